"""Reading Parquet, a batch of rows at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from data.errors import TableDamaged, TableError
from data.tables.formats import damage_named
from data.tables.rows import Column, ReadReport, Reject, Row, Table

_BATCH: Final = 4096


def pyarrow() -> Any:
    """The pyarrow module, with its Parquet part loaded.

    Raises:
        TableError: it is not installed.
    """
    try:
        import pyarrow as module
        import pyarrow.parquet
    except ModuleNotFoundError as error:
        raise TableError("Parquet needs one more library: pip install 'fankui[tables]'") from error
    return module


class ParquetTable(Table):
    """A Parquet file.

    Args:
        path: the file.

    Raises:
        TableError: the file is missing or damaged, or pyarrow is not installed.
    """

    has_header = False

    def __init__(self, path: Path) -> None:
        self.path, self.report = path, ReadReport()
        self._arrow = pyarrow()
        self._read = 0
        with damage_named(path):
            try:
                with self._arrow.parquet.ParquetFile(path) as file:
                    self._schema, self._total = file.schema_arrow, file.metadata.num_rows
            except self._arrow.ArrowException as error:
                raise TableDamaged(path, error) from error
        self.sheets = {"": tuple(self._schema.names)}

    def progress(self) -> float | None:
        """Share of the rows that are read."""
        return self._read / self._total if self._total else None

    def rows(self) -> Iterator[Row | Reject]:
        """Every row; a Parquet file has no broken ones."""
        self.report, self._read = ReadReport(), 0
        with damage_named(self.path), self._arrow.parquet.ParquetFile(self.path) as file:
            batches = file.iter_batches(batch_size=_BATCH)
            while True:
                try:
                    batch = next(batches, None)
                except self._arrow.ArrowException as error:
                    raise TableDamaged(self.path, error) from error
                if batch is None:
                    return
                for cells in batch.to_pylist():
                    self._read += 1
                    yield Row(self._read, cells)

    def typed_columns(self) -> Mapping[str, tuple[Column, ...]]:
        """The columns of the schema, each with its Arrow type."""
        return {"": tuple(Column(field.name, arrow=field.type) for field in self._schema)}
