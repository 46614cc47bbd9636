"""Labelled tables: CSV, TSV, XLSX, Parquet, and JSONL with a key a head (doccano's export among them)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from data.errors import ColumnMissing, TextColumnUnknown
from data.tables import FileFormat, ReadOptions, Row, Table, choose_text_columns, open_table, text_of
from training.errors import DataError
from training.imports.rows import FLAT_NAMES, ImportOptions, LabelledFile, Problem, RawRow

IDS: Final = ("id", "_id", "编号", "工单号", "序号")
_MORE_TEXT_NAMES: Final = ("文本", "句子", "sentence", "query", "utterance", "标题", "title")


def read_table(path: Path, form: FileFormat, options: ImportOptions) -> LabelledFile:
    """Read a table whose first row names the columns, or JSON objects line by line.

    Raises:
        TableError: the file cannot be read.
        DataError: no column holds the text.
    """
    wanted = tuple(name for name in (options.text_column, options.label_column) if name)
    table = open_table(path, form, ReadOptions(encoding=options.encoding, wanted=wanted))
    text_columns = find_text_columns(path.name, table.columns, options)
    result = LabelledFile(path, _form(table, form, text_columns), label_columns(table.columns, text_columns))
    passed_over = [sheet for sheet, names in table.sheets.items() if not set(text_columns) & set(names)]
    for row in table.rows():
        if not isinstance(row, Row):
            result.problems.append(Problem(f"{path.name}:{row.line}", "unreadable", row.reason))
        elif row.sheet not in passed_over:
            where = f"{path.name}:{row.sheet}:{row.line}" if row.sheet else f"{path.name}:{row.line}"
            cells = {name: "" if cell is None else cell for name, cell in row.cells.items()}
            add_row(result, where, cells if form.kind == "xlsx" else row.cells, text_columns)
    result.notices += [*table.report.notices, *(f"sheet {name!r} has no text column" for name in passed_over)]
    if table.report.replaced:
        result.notices.append(f"{table.report.replaced} bytes could not be decoded and became U+FFFD")
    return result


def _form(table: Table, form: FileFormat, text_columns: Sequence[str]) -> str:
    name = "JSONL" if form.kind == "jsonl" else form.kind.upper()
    codec = f", {table.report.encoding} ({table.report.encoding_reason})" if table.report.encoding else ""
    return f"{name}{codec}, text from {' + '.join(text_columns)}"


def label_columns(columns: Sequence[str], text_columns: Sequence[str]) -> tuple[str, ...]:
    """Columns that could hold labels."""
    return tuple(name for name in columns if name not in text_columns and name.strip().lower() not in IDS)


def find_text_columns(name: str, columns: Sequence[str], options: ImportOptions) -> tuple[str, ...]:
    """The columns of the text: asked for, named like one, or the only one that is left.

    Raises:
        DataError: none can be told.
    """
    try:
        if options.text_column:
            return choose_text_columns(options.text_column, columns)
        taken = {*options.heads, options.label_column, *IDS, *FLAT_NAMES}
        left = [column for column in columns if column not in taken]
        if len(left) == 1:
            return (left[0],)
        by_name = [column for column in left if column.strip().lower() in _MORE_TEXT_NAMES]
        try:
            return choose_text_columns(None, left)
        except TextColumnUnknown:
            if len(by_name) == 1:
                return (by_name[0],)
            raise
    except ColumnMissing as error:
        raise DataError(f"{name}: {error}") from error
    except TextColumnUnknown as error:
        raise DataError(
            f"{name}: {error}; if these are no column names, put names into the first line, "
            "or save label⇥text lines as .tsv"
        ) from error


def add_row(
    result: LabelledFile, where: str, cells: Mapping[str, Any], text_columns: Sequence[str], complete: bool = False
) -> None:
    """Take a row of cells into the file, or note why its text cannot be used."""
    odd = next((cells[name] for name in text_columns if isinstance(cells.get(name), (dict, list))), None)
    if odd is not None:
        message = f"the text is a JSON {'list' if isinstance(odd, list) else 'object'}, not a string"
        result.problems.append(Problem(where, "wrong value", message))
        return
    values = {name: cells[name] for name in result.columns if name in cells}
    key = next((name for name in cells if name.strip().lower() in IDS), None)
    identifier = cells.get(key) if key else None
    result.add(RawRow(where, text_of(cells, text_columns), values, str(identifier or "") or None, complete))
