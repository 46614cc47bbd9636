"""Reading CSV and TSV: any codec, any line end, quotes that never close, rows of the wrong width."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Final

from data.errors import TableError
from data.tables.columns import find_header, unique_names
from data.tables.encoding import has_kept_bytes, replace_kept_bytes, safe_form
from data.tables.formats import FileFormat
from data.tables.rows import ReadOptions, Reject, Row
from data.tables.text_file import TextTable

MAX_RECORD: Final = 1_000_000
"""Characters after which a record that goes on over lines is taken for a quote that was never closed."""

_DELIMITERS: Final = ",\t;|"
_HEAD: Final = 20


class _RecordTooLong(Exception):
    pass


class _Lines:
    """Physical lines for the csv module, which can be given back when a quote turns out never to close."""

    def __init__(self, source: Iterator[str], clean: bool) -> None:
        self._source, self._clean = source, clean
        self._returned: deque[str] = deque()
        self.taken: list[str] = []
        self.number = self._size = 0
        self.ended = self.dirty = False

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        if self.taken and self._size > MAX_RECORD:
            raise _RecordTooLong
        if self._returned:
            line = self._returned.popleft()
        else:
            try:
                line = next(self._source)
            except StopIteration:
                self.ended = True
                raise
        self.number += 1
        self.taken.append(line)
        self._size += len(line)
        self.dirty = self.dirty or (not self._clean and has_kept_bytes(line))
        return line

    def begin_record(self) -> None:
        """Forget the lines of the record before."""
        self.taken = []
        self._size = 0
        self.dirty = self.ended = False

    def give_back_all_but_first(self) -> str:
        """Let the next record begin on the second line of this one; returns the first."""
        self._returned.extendleft(reversed(self.taken[1:]))
        self.number -= len(self.taken) - 1
        self.ended = False
        return self.taken[0]


def _records(lines: _Lines, delimiter: str) -> Iterator[tuple[int, list[str] | Reject]]:
    """Records with the line they begin on; a record whose quote never closes gives up its first line only."""
    csv.field_size_limit(1 << 30)  # the default refuses cells above 131,072 characters
    reader = csv.reader(lines, delimiter=delimiter)
    while True:
        first = lines.number + 1
        lines.begin_record()
        reason = "a quote that opens here is never closed"
        try:
            cells = next(reader)
        except StopIteration:
            return
        except _RecordTooLong:
            cells = None
        except csv.Error as error:
            cells, reason = None, str(error)
        if cells is None or lines.ended:
            raw = lines.give_back_all_but_first()
            reader = csv.reader(lines, delimiter=delimiter)
            yield first, Reject(first, reason, safe_form(raw.rstrip("\r\n")))
        else:
            yield first, cells


class DelimitedTable(TextTable):
    """A CSV or TSV file.

    Args:
        path: the file.
        form: its format and compression.
        options: what the person said.

    Raises:
        TableError: the file is missing, empty or damaged, or an option does not fit it.
    """

    def __init__(self, path: Path, form: FileFormat, options: ReadOptions) -> None:
        super().__init__(path, form, options.encoding)
        self._delimiter = options.delimiter or self._found_delimiter()
        with self._lines() as lines:
            head = list(islice(_records(lines, self._delimiter), options.header_row or _HEAD))
        self._header_line = self._found_header(head, options)
        readable = [replace_kept_bytes(cell) for cell in self._header]
        self._replaced_in_header = sum(replaced for _, replaced in readable)
        self.sheets = {"": unique_names([cell for cell, _ in readable])}

    @contextmanager
    def _lines(self) -> Iterator[_Lines]:
        with self.open_lines(newline="") as text:
            yield _Lines(text, self.encoding.clean)

    def _found_delimiter(self) -> str:
        if self.form.kind == "tsv":
            return "\t"
        with self._lines() as lines:
            head = [_outside_quotes(line) for line in islice(lines, _HEAD)]
        first = next((line for line in head if line.strip()), "")
        lines_with = {delimiter: sum(delimiter in line for line in head) for delimiter in _DELIMITERS}
        return max(_DELIMITERS, key=lambda found: (found in first, lines_with[found], first.count(found)))

    def _found_header(self, head: list[tuple[int, list[str] | Reject]], options: ReadOptions) -> int:
        rows = [(line, record) for line, record in head if not isinstance(record, Reject)]
        if options.header_row is not None:
            rows = [(line, record) for line, record in rows if line == options.header_row]
        if not any(cell.strip() for _, record in rows for cell in record):
            where = f" in line {options.header_row}" if options.header_row else ""
            raise TableError(f"{self.path} has no column names{where}; the first row must name the columns")
        number = 0 if options.header_row else find_header([record for _, record in rows], options.wanted)
        line, self._header = rows[number]
        if line > 1:
            self.report.notices.append(f"column names found in line {line}; the lines above it are no rows")
        return line

    def rows(self) -> Iterator[Row | Reject]:
        """Rows under the header.

        A row with too few cells is filled up with empty ones; one with too many is a reject, because nobody can
        say which cell is the surplus one. Surplus cells that are empty are dropped.
        """
        notices, report = self.report.notices, self.new_report()
        self.report, report.notices, report.replaced = report, notices, self._replaced_in_header
        names = self.sheets[""]
        with self._lines() as lines:
            for line, record in _records(lines, self._delimiter):
                if line <= self._header_line:
                    continue
                if isinstance(record, Reject):
                    yield record
                    continue
                if not record:
                    report.blank_lines += 1
                    continue
                if len(record) > len(names) and any(record[len(names) :]):
                    reason = f"{len(record)} cells under {len(names)} column names"
                    yield Reject(line, reason, safe_form("".join(lines.taken).rstrip("\r\n")))
                    continue
                cells = dict(zip(names, self._cleaned(record) if lines.dirty else record, strict=False))
                if len(record) < len(names):
                    cells.update(dict.fromkeys(names[len(record) :], ""))
                yield Row(line, cells)

    def _cleaned(self, record: list[str]) -> list[str]:
        cleaned = []
        for cell in record:
            text, replaced = replace_kept_bytes(cell)
            self.report.replaced += replaced
            cleaned.append(text)
        return cleaned


def _outside_quotes(line: str) -> str:
    return "".join(line.split('"')[::2])
