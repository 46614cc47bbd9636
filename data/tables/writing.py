"""Opening a table for writing, and the text formats."""

from __future__ import annotations

import csv
import io
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, BinaryIO, Final

from data.tables.columns import cell_text
from data.tables.formats import FileFormat, open_packed
from data.tables.rows import Column

_NUMBER: Final = re.compile(r"[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII)
_RUN_BY_EXCEL: Final = ("=", "+", "-", "@", "\t", "\r")


class TableWriter(ABC):
    """A table being written; `close` makes it whole."""

    @abstractmethod
    def write(self, cells: Mapping[str, Any], sheet: str = "") -> None:
        """Write one row; columns it lacks stay empty."""

    @abstractmethod
    def close(self) -> None:
        """Write what is left and close the file."""

    def abandon(self) -> None:  # noqa: B027 (most formats have nothing to do here)
        """Let go of a table that could not be written to its end."""

    def notices(self) -> list[str]:
        """What a person should know about the file, one line each."""
        return []


def open_writer(
    stream: BinaryIO,
    form: FileFormat,
    sheets: Mapping[str, Sequence[Column]],
    encoding: str = "utf-8",
    colours: Mapping[str, Mapping[str, str]] | None = None,
) -> TableWriter:
    """Open a table for writing.

    Args:
        stream: takes the bytes; it is flushed, not closed.
        form: the format.
        sheets: the columns of every sheet; formats without sheets take the one named ``""``.
        encoding: codec of CSV and TSV; ``utf-8-sig`` writes a byte order mark, which Chinese Excel needs.
        colours: column to value to RGB colour; XLSX only.

    Raises:
        TableError: a library for the format is not installed.
    """
    if form.kind == "xlsx":
        from data.tables.sheet_writing import XlsxWriter

        return XlsxWriter(stream, sheets, colours or {})
    if form.kind == "parquet":
        from data.tables.columnar_writing import ParquetWriter

        return ParquetWriter(stream, sheets[""])
    if form.kind == "jsonl":
        return JsonlWriter(stream, form)
    return DelimitedWriter(stream, form, [column.name for column in sheets[""]], encoding)


class JsonlWriter(TableWriter):
    """Writes one JSON object a line, in UTF-8, columns as they come."""

    def __init__(self, stream: BinaryIO, form: FileFormat) -> None:
        self._stream = stream
        self._packed = open_packed(stream, form.compression)

    def write(self, cells: Mapping[str, Any], sheet: str = "") -> None:
        """Write one object."""
        try:
            line = json.dumps(cells, ensure_ascii=False, default=json_value).encode()
        except UnicodeEncodeError:  # half of a surrogate pair, as an escape in the input; only an escape can say it
            line = json.dumps(cells, default=json_value).encode()
        self._packed.write(line + b"\n")

    def close(self) -> None:
        """End the compression."""
        _finish(self._packed, self._stream)


class DelimitedWriter(TableWriter):
    r"""Writes CSV or TSV.

    Lines end in CRLF, as RFC 4180 says: only so does Python's csv module quote a cell that holds a lone ``\r``.
    """

    def __init__(self, stream: BinaryIO, form: FileFormat, names: Sequence[str], encoding: str) -> None:
        self._stream, self._names = stream, names
        self._packed = open_packed(stream, form.compression)
        self._text = io.TextIOWrapper(self._packed, encoding=encoding, errors="replace", newline="")
        self._csv = csv.writer(self._text, delimiter="\t" if form.kind == "tsv" else ",")
        self.escaped = 0
        self._csv.writerow([self._harmless(name) for name in names])

    def write(self, cells: Mapping[str, Any], sheet: str = "") -> None:
        """Write one row."""
        self._csv.writerow([self._harmless(flat(cells.get(name))) for name in self._names])

    def _harmless(self, text: str) -> str:
        if not text.startswith(_RUN_BY_EXCEL) or _NUMBER.fullmatch(text):
            return text
        self.escaped += 1
        return f"'{text}"

    def close(self) -> None:
        """End the compression."""
        self._text.flush()
        self._text.detach()
        _finish(self._packed, self._stream)

    def notices(self) -> list[str]:
        """How many cells had to be made harmless."""
        return [f"{self.escaped:,} cells begin like a formula; written with ' before them"] if self.escaped else []


def flat(value: Any) -> str:
    """A value as the text of a cell: lists joined by ``|``, objects as JSON, truth as true and false."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, list) and all(isinstance(item, str) and "|" not in item for item in value):
        return "|".join(value)
    if isinstance(value, (list, dict)):
        return json.dumps(value, ensure_ascii=False, default=json_value)
    return cell_text(value)


def json_value(value: Any) -> Any:
    """What stands in JSON for a value that JSON does not know: dates, decimals, bytes (from Parquet)."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, Iterable):
        return list(value)
    return str(value)


def _finish(packed: BinaryIO, stream: BinaryIO) -> None:
    if packed is not stream:
        packed.close()
    stream.flush()
