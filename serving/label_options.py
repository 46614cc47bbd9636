"""What a labelling run is told, and what it tells."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from data.tables import FileFormat, ReadOptions
from serving.labelling import WINDOW_ROWS


@dataclass(frozen=True)
class LabelOptions:
    """How to label a file.

    Attributes:
        text_column: a column, several joined by ``+``, or None to guess.
        id_column: must be there.
        read: how to read the input.
        output_encoding: codec of CSV and TSV; None for a byte order mark in CSV, which Chinese Excel needs.
        privacy: ``keep`` writes texts as they came, ``mask`` masks them; labels are of the text as it came.
        window_rows: rows between two checkpoints.
        workers: windows that are labelled at the same time, each by one thread.
        restart: forget finished and unfinished work.
    """

    text_column: str | None = None
    id_column: str | None = None
    read: ReadOptions = field(default_factory=ReadOptions)
    output_encoding: str | None = None
    privacy: str = "keep"
    window_rows: int = WINDOW_ROWS
    workers: int = 1
    restart: bool = False

    def encoding_for(self, form: FileFormat) -> str:
        """The codec of an output of that format."""
        return self.output_encoding or ("utf-8-sig" if form.kind == "csv" else "utf-8")

    def masked(self) -> Callable[[str], str]:
        """What a text becomes in the output."""
        if self.privacy == "keep":
            return str
        from data.privacy import mask

        return mask


@dataclass(frozen=True)
class Outcome:
    """What became of a file.

    Attributes:
        summary: the counts.
        already_done: nothing had to be done.
        resumed: an earlier run's work was gone on with.
    """

    summary: Mapping[str, Any]
    already_done: bool = False
    resumed: bool = False

    @property
    def unlabelled(self) -> int:
        """Rows and rejects without labels."""
        return int(self.summary["rejects"] + sum(self.summary["errors"].values()))
