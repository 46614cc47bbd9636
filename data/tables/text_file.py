"""What tables in text files share: the codec, the compression and how far the reading is."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from data.tables.encoding import detect_encoding, forced_encoding, open_text
from data.tables.formats import FileFormat, damage_named, open_plain
from data.tables.rows import ReadReport, Table


class TextTable(Table):
    """A table in a text file.

    Args:
        path: the file.
        form: its format and compression.
        encoding: its codec; found where None.

    Raises:
        TableError: the file is missing or damaged, or the codec unknown.
    """

    def __init__(self, path: Path, form: FileFormat, encoding: str | None) -> None:
        self.path, self.form = path, form
        self._size = 0
        self._raw_position: Callable[[], int] = int
        if encoding is not None:
            self.encoding = forced_encoding(encoding)
        else:
            with damage_named(path), path.open("rb") as raw:
                self.encoding = detect_encoding(open_plain(raw, form.compression))
        self.report = self.new_report()

    def new_report(self) -> ReadReport:
        """A report for a new reading."""
        return ReadReport(self.encoding.name, self.encoding.reason)

    @contextmanager
    def open_lines(self, newline: Literal["", "\n"]) -> Iterator[io.TextIOWrapper]:
        r"""The file from its beginning, decoded.

        Args:
            newline: ``""`` for all line ends, kept as they are; ``"\n"`` for that one only.

        Raises:
            TableDamaged: the file cannot be read on.
        """
        with damage_named(self.path), self.path.open("rb") as raw:
            self._size, self._raw_position = self.path.stat().st_size, raw.tell
            with open_text(open_plain(raw, self.form.compression), self.encoding, newline) as text:
                yield text

    def progress(self) -> float | None:
        """Share of the file's bytes that are read."""
        try:
            return min(1.0, self._raw_position() / self._size) if self._size else None
        except ValueError:  # closed: read to its end
            return 1.0
