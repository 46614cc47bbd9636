"""What a table is made of, whatever file it lies in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

ColumnKind = Literal["text", "integer", "number", "boolean", "list", "scores"]


@dataclass(frozen=True)
class Column:
    """A column, with what a typed format (Parquet) needs to know of it.

    Attributes:
        name: unique in its table.
        kind: of its values; ``list`` of texts, ``scores`` from ``keys`` to numbers.
        keys: of ``scores``.
        arrow: the Arrow type, where the source has one.
    """

    name: str
    kind: ColumnKind = "text"
    keys: tuple[str, ...] = ()
    arrow: Any = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Row:
    """One row.

    Attributes:
        line: where it begins: line of a text file, row of a sheet, counted from 1.
        cells: column to value, in column order.
        sheet: of a workbook.
    """

    line: int
    cells: dict[str, Any]
    sheet: str = ""


@dataclass(frozen=True, slots=True)
class Reject:
    r"""What cannot be read as a row.

    Attributes:
        line: where it begins.
        reason: one phrase.
        raw: what stands there, ``\xNN`` for bytes that could not be decoded.
    """

    line: int
    reason: str
    raw: str


@dataclass
class ReadReport:
    """What a reader noticed; complete when the rows have been read to their end.

    Attributes:
        encoding: the codec of a text file.
        encoding_reason: why it was taken.
        replaced: bytes that could not be decoded and became U+FFFD.
        blank_lines: lines or rows with nothing in them, passed over.
        notices: for the person, one line each.
    """

    encoding: str | None = None
    encoding_reason: str | None = None
    replaced: int = 0
    blank_lines: int = 0
    notices: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class ReadOptions:
    """What a person may say about a table; everything is found where it is not said.

    Attributes:
        encoding: codec of a text file.
        delimiter: of CSV and TSV, one character.
        header_row: row or line the column names stand in, counted from 1.
        sheet: the only sheet of a workbook to read.
        wanted: columns that must be there; a header row is known by them.
    """

    encoding: str | None = None
    delimiter: str | None = None
    header_row: int | None = None
    sheet: str | None = None
    wanted: tuple[str, ...] = ()


class Table(ABC):
    """A file that can be read row by row, as often as wanted.

    Attributes:
        path: the file.
        sheets: the columns of every sheet; one sheet named ``""`` where the format has none.
        report: of the latest reading.
        declares_columns: whether the file says its columns before its rows; else only `typed_columns` knows all.
        has_header: whether the names of its columns are its first row, which might be a row of data by mistake.
    """

    declares_columns: ClassVar[bool] = True
    has_header: ClassVar[bool] = True
    path: Path
    sheets: Mapping[str, tuple[str, ...]]
    report: ReadReport

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of all sheets together, in order."""
        return tuple(dict.fromkeys(name for names in self.sheets.values() for name in names))

    @abstractmethod
    def rows(self) -> Iterator[Row | Reject]:
        """Read from the beginning; what is no row comes as a `Reject` in its place.

        Raises:
            TableDamaged: the file cannot be read on.
        """

    @abstractmethod
    def progress(self) -> float | None:
        """Share of the file that the latest `rows` has read, 0 to 1; None where nobody can say."""

    def typed_columns(self) -> Mapping[str, tuple[Column, ...]]:
        """Every column there is, sheet by sheet, with its kind; may have to read the whole file."""
        return {sheet: tuple(Column(name) for name in names) for sheet, names in self.sheets.items()}
