"""Reading JSONL: one object a line, columns as they come."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Final

from data.errors import TableError
from data.tables.encoding import has_kept_bytes, replace_kept_bytes, safe_form
from data.tables.formats import FileFormat
from data.tables.rows import Column, ColumnKind, ReadOptions, Reject, Row
from data.tables.text_file import TextTable

_HEAD: Final = 1000
_KINDS: Final[dict[type, ColumnKind]] = {str: "text", bool: "boolean", int: "integer", float: "number"}
_INT64: Final = 1 << 63


class JsonlTable(TextTable):
    """A file of JSON objects, one a line.

    Args:
        path: the file.
        form: its format and compression.
        options: what the person said.

    Raises:
        TableError: the file is missing, damaged or has no object among its first thousand lines.
    """

    declares_columns = has_header = False

    def __init__(self, path: Path, form: FileFormat, options: ReadOptions) -> None:
        super().__init__(path, form, options.encoding)
        names: dict[str, None] = {}
        seen = list(islice(self.rows(), _HEAD))
        if seen and _is_array(seen[0]):
            raise TableError(f"{path} is one JSON array; turn it into one object a line: jq -c '.[]' {path.name}")
        for row in seen:
            if isinstance(row, Row):
                names.update(dict.fromkeys(row.cells))
        if not names:
            raise TableError(f"{path} has no JSON object in its first lines; JSONL is one object a line{_hint(seen)}")
        self.sheets = {"": tuple(names)}

    def rows(self) -> Iterator[Row | Reject]:
        """One row a line; what is not a JSON object is a reject."""
        report = self.report = self.new_report()
        with self.open_lines(newline="\n") as text:
            for number, line in enumerate(text, start=1):
                stripped = line.strip().strip("\ufeff")
                if stripped:
                    yield self._row(number, stripped)
                else:
                    report.blank_lines += 1

    def _row(self, number: int, line: str) -> Row | Reject:
        raw = line
        replaced = 0
        if not self.encoding.clean and has_kept_bytes(line):
            line, replaced = replace_kept_bytes(line)
        try:
            # NaN and Infinity are no JSON, but common; they become null
            cells = json.loads(line, parse_constant=lambda _: None)
        except json.JSONDecodeError as error:
            return Reject(number, f"not JSON: {error.msg} at character {error.pos + 1}", safe_form(raw))
        except (ValueError, RecursionError) as error:
            return Reject(number, f"not JSON that can be read: {error}", safe_form(raw))
        if not isinstance(cells, dict):
            return Reject(number, f"a JSON {type(cells).__name__}, not an object", safe_form(raw))
        self.report.replaced += replaced
        return Row(number, cells)

    def typed_columns(self) -> Mapping[str, tuple[Column, ...]]:
        """Columns of all lines, with the kind that all their values share; ``text`` where they share none."""
        kinds: dict[str, set[ColumnKind]] = {}
        for row in self.rows():
            if isinstance(row, Row):
                for name, value in row.cells.items():
                    found = kinds.setdefault(name, set())
                    if value is not None:
                        found.add(kind_of(value))
        return {"": tuple(Column(name, shared_kind(found)) for name, found in kinds.items())}


def kind_of(value: Any) -> ColumnKind:
    """The kind of one value."""
    if isinstance(value, int) and not -_INT64 <= value < _INT64:
        return "text"
    return _KINDS.get(type(value), "text")


def shared_kind(kinds: set[ColumnKind]) -> ColumnKind:
    """The kind that holds values of all these kinds."""
    if kinds == {"integer", "number"}:
        return "number"
    return next(iter(kinds)) if len(kinds) == 1 else "text"


def _is_array(first: Row | Reject) -> bool:
    return isinstance(first, Reject) and (first.raw == "[" or re.match(r"\[\s*\{", first.raw) is not None)


def _hint(seen: list[Row | Reject]) -> str:
    first = next((row for row in seen if isinstance(row, Reject)), None)
    return f" (line {first.line}: {first.reason})" if first else ""
