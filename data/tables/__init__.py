"""Tables of feedback: CSV, TSV, JSONL, XLSX and Parquet, read and written row by row.

`open_table` reads, `open_writer` writes; both keep every column in order and hold few rows at a time.
"""

from data.tables.columns import choose_text_columns, text_of
from data.tables.formats import FileFormat, format_of
from data.tables.reading import open_table
from data.tables.rows import Column, ReadOptions, ReadReport, Reject, Row, Table
from data.tables.writing import TableWriter, open_writer

__all__ = [
    "Column",
    "FileFormat",
    "ReadOptions",
    "ReadReport",
    "Reject",
    "Row",
    "Table",
    "TableWriter",
    "choose_text_columns",
    "format_of",
    "open_table",
    "open_writer",
    "text_of",
]
