"""Opening a table for reading, whatever its format."""

from __future__ import annotations

from pathlib import Path

from data.errors import TableError
from data.tables.formats import FileFormat, check_content, format_of
from data.tables.rows import ReadOptions, Table


def open_table(path: Path, form: FileFormat | None = None, options: ReadOptions = ReadOptions()) -> Table:
    """Open a table and find its columns.

    Args:
        path: the file.
        form: its format; told by the name by default.
        options: what is said about it.

    Raises:
        TableError: the file is missing, empty, damaged or in no known format, or an option does not fit it.
    """
    if path.is_dir():
        raise TableError(f"{path} is a folder, not a file")
    form = form or format_of(path)
    check_content(path, form)
    if not form.is_text and (options.encoding or options.delimiter):
        raise TableError(f"{path} is {form.kind}, which has no encoding or delimiter to be told")
    if form.kind == "jsonl":
        from data.tables.jsonl import JsonlTable

        return JsonlTable(path, form, options)
    if form.kind == "xlsx":
        from data.tables.sheets import XlsxTable

        return XlsxTable(path, options)
    if form.kind == "parquet":
        from data.tables.columnar import ParquetTable

        return ParquetTable(path)
    from data.tables.delimited import DelimitedTable

    return DelimitedTable(path, form, options)
