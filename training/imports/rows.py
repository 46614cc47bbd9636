"""What a labelled file is read into: rows with their labels as they stand there, and what was wrong with others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from data.errors import TextError
from data.feedback import checked_text

ProblemKind = Literal["unreadable", "blank text", "text too long", "no label", "unknown label", "wrong value"]

HARMLESS: Final[frozenset[ProblemKind]] = frozenset({"blank text", "no label"})
"""Problems that every real export has; a file full of the others is likely read wrongly."""

FLAT_NAMES: Final = ("label", "labels", "标签", "标注", "类别", "分类", "category", "class", "intent", "意图", "target")
"""Columns named so hold labels, whatever the head is called."""


@dataclass(frozen=True)
class ImportOptions:
    """What a person may say about labelled files; found where it is not said.

    Attributes:
        text_column: column of the text, or several joined by ``+``.
        label_column: the only column to learn.
        heads: names of the taxonomy's heads, where it is known.
        encoding: codec of text files.
    """

    text_column: str | None = None
    label_column: str | None = None
    heads: tuple[str, ...] = ()
    encoding: str | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """A row that cannot be used.

    Attributes:
        where: file and line, ``tickets.csv:17``.
        kind: what is wrong.
        message: what stands there and what to do about it.
    """

    where: str
    kind: ProblemKind
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


@dataclass(frozen=True, slots=True)
class RawRow:
    """A row whose text can be used.

    Attributes:
        where: file and line.
        text: as it stands there.
        values: label column to what stands there.
        id: what the file calls the row.
        complete: whether an annotator answered for all heads, so that a head without a value has none of its labels.
    """

    where: str
    text: str
    values: Mapping[str, Any]
    id: str | None = None
    complete: bool = False


@dataclass
class LabelledFile:
    """A file that was read.

    Attributes:
        path: the file.
        form: what it was read as, for the report.
        columns: those that could hold labels: all but the text and the id.
        rows: usable so far.
        problems: rows that are not.
        notices: for the person, one line each.
    """

    path: Path
    form: str
    columns: tuple[str, ...] = ()
    rows: list[RawRow] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        """Rows in the file, good and bad."""
        return len(self.rows) + len(self.problems)

    def add(self, row: RawRow) -> None:
        """Take a row, or note why its text cannot be used."""
        try:
            checked_text(row.text)
        except TextError as error:
            kind: ProblemKind = "blank text" if error.code == "blank_text" else "text too long"
            self.problems.append(Problem(row.where, kind, str(error)))
        else:
            self.rows.append(row)
