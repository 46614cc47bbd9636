"""The file to label: its rows, where their text is, and the columns the output will have."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from data.errors import ColumnMissing, TextColumnUnknown
from data.tables import (
    Column,
    FileFormat,
    ReadOptions,
    Reject,
    Row,
    choose_text_columns,
    open_table,
)
from data.tables.columns import guess_text_column

_PREFIX: Final = "input_"
_SHEET: Final = Column("sheet")


class LabelInput:
    """A table whose text column is found.

    Args:
        path: the file.
        form: its format; told by its name where None.
        read: how to read it.
        text_column: a column, several joined by ``+``, or None to guess.
        id_column: a column that must be there.

    Attributes:
        table: the opened file.
        text_columns: where the text is.
        notices: what was guessed or left out, one line each.

    Raises:
        TableError: the file cannot be read, or a column is not there.
    """

    def __init__(
        self, path: Path, form: FileFormat | None, read: ReadOptions, text_column: str | None, id_column: str | None
    ) -> None:
        wanted = (text_column,) if text_column else ()
        self.table = open_table(path, form, dataclasses.replace(read, wanted=wanted))
        self.notices = list(self.table.report.notices)
        self.text_columns = self._chosen(text_column)
        if text_column is None:
            self.notices.append(self._guessed(self.text_columns[0]))
        self._sheets = self._labelled_sheets()
        if id_column is not None and id_column not in self.table.columns:
            raise ColumnMissing(id_column, self.table.columns)

    def _guessed(self, name: str) -> str:
        if guess_text_column([name], exact=True) is None and self.table.columns == (name,) and self.table.has_header:
            return (
                f"the only column is taken for the text; its name is {name!r}: if that is a text, put a line with a "
                "name above it"
            )
        return f"text column guessed: {name}; --text-column names another"

    def _chosen(self, asked: str | None) -> tuple[str, ...]:
        if asked is None:  # a cover sheet of one column must not win over a sheet that names its text
            for names in self.table.sheets.values():
                if (guess := guess_text_column(names, exact=True)) is not None:
                    return (guess,)
        for names in self.table.sheets.values():
            try:
                return choose_text_columns(asked, names)
            except (ColumnMissing, TextColumnUnknown):
                continue
        return choose_text_columns(asked, self.table.columns)

    def _labelled_sheets(self) -> list[str]:
        have = [sheet for sheet, names in self.table.sheets.items() if set(self.text_columns) <= set(names)]
        if not have:
            raise ColumnMissing("+".join(self.text_columns), self.table.columns)
        for sheet in self.table.sheets:
            if sheet not in have:
                self.notices.append(f"sheet {sheet!r} has no such column: left out")
        return have

    def rows(self) -> Iterator[Row | Reject]:
        """Rows of the sheets that have the text column."""
        several = len(self.table.sheets) > len(self._sheets)
        for row in self.table.rows():
            if not several or isinstance(row, Reject) or row.sheet in self._sheets:
                yield row

    def layout(self, kind: str, labels: Sequence[Column]) -> OutputLayout:
        """The columns of an output of that format.

        Args:
            kind: of the output.
            labels: the label columns.
        """
        if kind == "jsonl":
            sheets: Mapping[str, Sequence[Column]] = dict.fromkeys(self._sheets, ())
        elif kind == "parquet" or not self.table.declares_columns:
            sheets = self.table.typed_columns()
        else:
            sheets = {name: [Column(column) for column in names] for name, names in self.table.sheets.items()}
        label_names = frozenset(column.name for column in labels)
        renamed = {
            sheet: tuple(
                dataclasses.replace(column, name=name)
                for column, name in zip(
                    sheets[sheet], renamed_apart([column.name for column in sheets[sheet]], label_names), strict=True
                )
            )
            for sheet in self._sheets
        }
        if clash := [name for name in self.table.columns if name in label_names]:
            self.notices.append(f"columns that were there already are kept as {_PREFIX}…: {', '.join(clash)}")
        if kind == "xlsx":
            return OutputLayout({sheet: (*columns, *labels) for sheet, columns in renamed.items()}, label_names, False)
        name_sheet = len(renamed) > 1
        union = {column.name: column for columns in renamed.values() for column in columns}
        own = (*union.values(), *([_SHEET] if name_sheet and _SHEET.name not in union else []))
        return OutputLayout({"": (*own, *labels)}, label_names, name_sheet)


@dataclasses.dataclass(frozen=True)
class OutputLayout:
    """Which cells an output row has.

    Attributes:
        sheets: the columns of every sheet.
        label_names: the label columns.
        name_sheet: whether a column tells the sheet a row comes from.
    """

    sheets: Mapping[str, Sequence[Column]]
    label_names: frozenset[str]
    name_sheet: bool

    def sheet_of(self, row: Row) -> str:
        """The sheet of the output a row belongs in."""
        return row.sheet if row.sheet in self.sheets else ""

    def input_cells(self, row: Row) -> dict[str, Any]:
        """A row's own cells under their names in the output."""
        cells = row.cells
        if not self.label_names.isdisjoint(cells):
            cells = dict(zip(renamed_apart(list(cells), self.label_names), cells.values(), strict=True))
        return {**cells, _SHEET.name: row.sheet} if self.name_sheet and _SHEET.name not in cells else dict(cells)


def renamed_apart(names: Sequence[str], taken: frozenset[str]) -> list[str]:
    """Column names with ``input_`` before those that are taken."""
    result = []
    for name in names:
        free = name
        while free in taken or (free != name and free in names):
            free = _PREFIX + free
        result.append(free)
    return result
