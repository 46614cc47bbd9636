"""Writing Parquet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO, Final

from data.errors import TableError
from data.tables.columnar import pyarrow
from data.tables.rows import Column
from data.tables.writing import TableWriter, flat

_ROWS_A_GROUP: Final = 16_384


class ParquetWriter(TableWriter):
    """Writes a Parquet file, a row group at a time.

    Args:
        stream: takes the bytes.
        columns: with their kinds; texts take any value, written as in CSV.
    """

    def __init__(self, stream: BinaryIO, columns: Sequence[Column]) -> None:
        self._arrow = pyarrow()
        self._stream, self._columns = stream, columns
        names = [column.name.encode("utf-8", "replace").decode() for column in columns]
        self._schema = self._arrow.schema(
            [(name, self._type(column)) for name, column in zip(names, columns, strict=True)]
        )
        self._writer = self._arrow.parquet.ParquetWriter(stream, self._schema, compression="zstd")
        self._waiting: list[list[Any]] = [[] for _ in columns]

    def _type(self, column: Column) -> Any:
        arrow = self._arrow
        if column.arrow is not None:
            return column.arrow
        if column.kind == "scores":
            return arrow.struct([(key, arrow.float64()) for key in column.keys])
        types = {
            "text": arrow.string(),
            "integer": arrow.int64(),
            "number": arrow.float64(),
            "boolean": arrow.bool_(),
            "list": arrow.list_(arrow.string()),
        }
        return types[column.kind]

    def write(self, cells: Mapping[str, Any], sheet: str = "") -> None:
        """Take one row; written when the row group is full."""
        for column, waiting in zip(self._columns, self._waiting, strict=True):
            value = cells.get(column.name)
            if column.kind == "text" and column.arrow is None and value is not None:
                value = flat(value).encode("utf-8", "replace").decode()
            waiting.append(value)
        if self._waiting and len(self._waiting[0]) >= _ROWS_A_GROUP:
            self._write_group()

    def _write_group(self) -> None:
        try:
            arrays = [
                self._arrow.array(values, type=field.type)
                for values, field in zip(self._waiting, self._schema, strict=True)
            ]
        except self._arrow.ArrowException as error:
            raise TableError(f"a value does not fit its Parquet column: {error}") from error
        self._writer.write_table(self._arrow.Table.from_arrays(arrays, schema=self._schema))
        self._waiting = [[] for _ in self._columns]

    def abandon(self) -> None:
        """Keep pyarrow from writing a footer when it is cleared away."""
        self._writer.is_open = False

    def close(self) -> None:
        """Write the last group and the footer."""
        if self._waiting and self._waiting[0]:
            self._write_group()
        self._writer.close()
        self._stream.flush()
