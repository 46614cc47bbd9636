"""Reading XLSX workbooks, sheet by sheet."""

from __future__ import annotations

import contextlib
import datetime
import warnings
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final
from xml.etree.ElementTree import ParseError

from data.errors import TableDamaged, TableError
from data.tables.columns import find_header, unique_names
from data.tables.formats import damage_named
from data.tables.jsonl import kind_of, shared_kind
from data.tables.rows import Column, ColumnKind, ReadOptions, ReadReport, Reject, Row, Table

_HEAD: Final = 20


class XlsxTable(Table):
    """A workbook; formulas are read as the values they had when the file was saved.

    Args:
        path: the file.
        options: what the person said.

    Raises:
        TableError: the file is missing or damaged, or has no such sheet.
    """

    def __init__(self, path: Path, options: ReadOptions) -> None:
        self.path, self.report = path, ReadReport()
        self._header_rows: dict[str, int] = {}
        self.sheets = {}
        with self._workbook() as book:
            names = [options.sheet] if options.sheet is not None else list(book.sheetnames)
            if options.sheet is not None and options.sheet not in book.sheetnames:
                raise TableError(f"{path} has no sheet {options.sheet!r}; its sheets are {', '.join(book.sheetnames)}")
            for name in names:
                if hasattr(book[name], "iter_rows"):  # a sheet of nothing but a chart has no cells
                    self._find_columns(name, book[name], options)
        if not self.sheets:
            raise TableError(f"{path} has no sheet with column names")

    def _find_columns(self, name: str, sheet: Any, options: ReadOptions) -> None:
        sheet.reset_dimensions()  # what the file says of its size is often wrong
        head = list(islice(sheet.iter_rows(values_only=True), options.header_row or _HEAD))
        if not any(cell is not None for record in head for cell in record):
            return
        number = options.header_row - 1 if options.header_row else find_header(head, options.wanted)
        if number >= len(head) or all(cell is None for cell in head[number]):
            raise TableError(f"sheet {name!r} of {self.path} has no column names in row {options.header_row}")
        self._header_rows[name] = number + 1
        self.sheets = {**self.sheets, name: unique_names(_trimmed(head[number]))}
        if number > 0:
            self.report.notices.append(
                f"sheet {name!r}: column names found in row {number + 1}; what is above is no row"
            )

    @contextlib.contextmanager
    def _workbook(self) -> Iterator[Any]:
        from openpyxl import load_workbook
        from openpyxl.utils.exceptions import InvalidFileException

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # openpyxl warns of styles and extensions that are of no matter here
            with damage_named(self.path), self.path.open("rb") as file:
                try:
                    with contextlib.closing(load_workbook(file, read_only=True, data_only=True)) as book:
                        yield book
                except (KeyError, ValueError, ParseError, InvalidFileException) as error:
                    raise TableDamaged(self.path, error) from error

    def progress(self) -> float | None:
        """Not known: a workbook does not say how many rows it has."""
        return None

    def rows(self) -> Iterator[Row | Reject]:
        """Rows of all sheets, one sheet after the other; rows with nothing in them are passed over."""
        report = self.report = ReadReport(notices=self.report.notices)
        with self._workbook() as book:
            for name, columns in self.sheets.items():
                sheet = book[name]
                sheet.reset_dimensions()
                begin = self._header_rows[name] + 1
                for number, record in enumerate(sheet.iter_rows(min_row=begin, values_only=True), start=begin):
                    if all(cell is None for cell in record):
                        report.blank_lines += 1
                        continue
                    yield _row(number, record, columns, name)

    def typed_columns(self) -> Mapping[str, tuple[Column, ...]]:
        """Columns with the kind that all their cells share; reads the whole file."""
        kinds: dict[str, dict[str, set[ColumnKind]]] = {
            sheet: {name: set() for name in names} for sheet, names in self.sheets.items()
        }
        for row in self.rows():
            if isinstance(row, Row):
                for name, value in row.cells.items():
                    if value is not None:
                        kinds[row.sheet][name].add(kind_of(value))
        return {
            sheet: tuple(Column(name, shared_kind(found)) for name, found in columns.items())
            for sheet, columns in kinds.items()
        }


def _trimmed(record: Sequence[Any]) -> Sequence[Any]:
    last = max(number for number, cell in enumerate(record) if cell is not None)
    return record[: last + 1]


def _row(number: int, record: Sequence[Any], columns: Sequence[str], sheet: str) -> Row | Reject:
    if any(cell is not None for cell in record[len(columns) :]):
        raw = " | ".join("" if cell is None else str(cell) for cell in record)
        return Reject(number, f"cells to the right of the last column name in sheet {sheet!r}", raw)
    values = [_value(cell) for cell in record[: len(columns)]]
    values += [None] * (len(columns) - len(values))
    return Row(number, dict(zip(columns, values, strict=True)), sheet)


def _value(cell: Any) -> Any:
    if isinstance(cell, datetime.datetime):
        return cell.isoformat(sep=" ")
    if isinstance(cell, (datetime.date, datetime.time, datetime.timedelta)):
        return str(cell)
    return cell
