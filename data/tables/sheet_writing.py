"""Writing XLSX: every cell text or number, never a formula; filters, frozen header, colours."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO, Final

from data.tables.rows import Column
from data.tables.writing import TableWriter, flat

MAX_ROWS: Final = 1_048_576
MAX_CELL: Final = 32_767
_LARGEST_EXACT: Final = 10**15
_DEFAULT_SHEET: Final = "feedback"
_WIDE: Final = 60
_NARROW: Final = 14
# control characters, and halves of surrogate pairs, which XML cannot hold
_NOT_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")


class XlsxWriter(TableWriter):
    """Writes a workbook, few rows in memory; a full sheet goes on in a next one.

    Args:
        stream: takes the file when it is closed.
        sheets: the columns of every sheet.
        colours: column to value to RGB colour.
    """

    def __init__(
        self, stream: BinaryIO, sheets: Mapping[str, Sequence[Column]], colours: Mapping[str, Mapping[str, str]]
    ) -> None:
        from openpyxl import Workbook
        from openpyxl.styles import PatternFill

        self._stream, self._sheets = stream, sheets
        self._book: Any = Workbook(write_only=True)
        self._fills = {
            (column, value): PatternFill("solid", start_color=colour, end_color=colour)
            for column, of_value in colours.items()
            for value, colour in of_value.items()
        }
        self._open: dict[str, Any] = {}
        self._rows: dict[str, int] = {}
        self._parts: dict[str, int] = {}
        self._cut = self._controls = 0
        for name in sheets:
            self._new_sheet(name)

    def _new_sheet(self, name: str) -> None:
        from openpyxl.utils import get_column_letter

        part = self._parts[name] = self._parts.get(name, 0) + 1
        title = name or _DEFAULT_SHEET
        suffix = f" ({part})" if part > 1 else ""
        sheet = self._book.create_sheet(title[: 31 - len(suffix)] + suffix)
        columns = self._sheets[name]
        sheet.freeze_panes = "A2"
        for number in range(1, len(columns) + 1):
            sheet.column_dimensions[get_column_letter(number)].width = _WIDE if number == 1 else _NARROW
        self._open[name], self._rows[name] = sheet, 1
        sheet.append([self._cell(sheet, column.name) for column in columns])

    def write(self, cells: Mapping[str, Any], sheet: str = "") -> None:
        """Write one row."""
        if self._rows[sheet] >= MAX_ROWS:
            self._finish_sheet(sheet)
            self._new_sheet(sheet)
        self._rows[sheet] += 1
        target = self._open[sheet]
        row = []
        for column in self._sheets[sheet]:
            value = cells.get(column.name)
            cell = self._cell(target, value)
            fill = self._fills.get((column.name, value)) if isinstance(value, str) else None
            if fill is not None and cell is not None:
                cell.fill = fill
            row.append(cell)
        target.append(row)

    def _cell(self, sheet: Any, value: Any) -> Any:
        from openpyxl.cell import WriteOnlyCell

        if value is None or value in ("", []):
            return None
        if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < _LARGEST_EXACT:
            return WriteOnlyCell(sheet, value)  # a longer number would lose digits: it becomes text
        text, controls = _NOT_XML.subn("\ufffd", flat(value))
        self._controls += controls
        if len(text) > MAX_CELL:
            self._cut += 1
            text = text[:MAX_CELL]
        cell = WriteOnlyCell(sheet)
        cell.value = text
        cell.data_type = "s"  # openpyxl takes a text that begins with = for a formula
        return cell

    def _finish_sheet(self, name: str) -> None:
        from openpyxl.utils import get_column_letter

        last = get_column_letter(max(1, len(self._sheets[name])))
        self._open[name].auto_filter.ref = f"A1:{last}{self._rows[name]}"

    def close(self) -> None:
        """Write the workbook."""
        for name in self._open:
            self._finish_sheet(name)
        self._book.save(self._stream)
        self._stream.flush()

    def abandon(self) -> None:
        """Close openpyxl's generators while their errors can be caught, and remove its temporary files."""
        for sheet in self._book.worksheets:
            writer = getattr(sheet, "_writer", None)
            for stream in (getattr(sheet, "_rows", None), getattr(writer, "xf", None)):
                if stream is not None:
                    with contextlib.suppress(OSError):
                        stream.close()
            if writer is not None:
                with contextlib.suppress(OSError):
                    writer.cleanup()

    def notices(self) -> list[str]:
        """What Excel cannot hold."""
        notices = []
        if self._cut:
            notices.append(f"{self._cut:,} cells cut to {MAX_CELL:,} characters, Excel's limit; .csv keeps them whole")
        if self._controls:
            notices.append(f"{self._controls:,} control characters became \ufffd, Excel cannot hold them")
        more = sum(parts - 1 for parts in self._parts.values())
        if more:
            notices.append(f"{more} more sheets opened: a sheet ends at {MAX_ROWS:,} rows")
        return notices
