"""What a labelling run did, counted row by row."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from data.tables import ReadReport, Row, text_of
from data.taxonomy import Head, Taxonomy


class Summary:
    """Counts of one run.

    Args:
        taxonomy: of the bundle; topics are its first multi-label head, urgency its first ordinal one.

    Attributes:
        rows: written to the output.
        rejects: written to the rejects file.
        needs_review: rows a person should look at.
        errors: rows without labels, by ``label_error``.
        labels: how often each label was given, by head.
    """

    def __init__(self, taxonomy: Taxonomy) -> None:
        self._taxonomy = taxonomy
        self._topics = _first(taxonomy, "multi_label")
        self._urgency = _first(taxonomy, "ordinal")
        self.rows = self.rejects = self.needs_review = 0
        self.errors: Counter[str] = Counter()
        self.labels: dict[str, Counter[str]] = {head.name: Counter() for head in taxonomy.heads}
        self._table: Counter[tuple[str, str]] = Counter()

    @property
    def unlabelled(self) -> int:
        """Rows and rejects without labels."""
        return self.rejects + self.errors.total()

    def add(self, labels: Mapping[str, Any]) -> None:
        """Count one row's label columns."""
        self.rows += 1
        if labels["label_error"] is not None:
            self.errors[labels["label_error"]] += 1
            return
        self.needs_review += bool(labels["needs_review"])
        for head in self._taxonomy.heads:
            self.labels[head.name].update(_names(head, labels[head.name]))
        if self._topics and self._urgency:
            level = labels[self._urgency.name]
            self._table.update((topic, level) for topic in _names(self._topics, labels[self._topics.name]))

    def to_dict(self, report: ReadReport, duplicates: int, seconds: float) -> dict[str, Any]:
        """Plain values for ``--summary``.

        Args:
            report: of the input.
            duplicates: rows that shared the labels of an earlier one.
            seconds: wall time of this run.
        """
        labelled = self.rows - self.errors.total()
        return {
            "rows_in": self.rows + self.rejects,
            "rows_out": self.rows,
            "labelled": labelled,
            "rejects": self.rejects,
            "errors": dict(sorted(self.errors.items())),
            "needs_review": self.needs_review,
            "duplicates": duplicates,
            "encoding": report.encoding,
            "encoding_reason": report.encoding_reason,
            "replaced_bytes": report.replaced,
            "blank_lines": report.blank_lines,
            "notices": report.notices,
            "labels": {name: dict(counts) for name, counts in self.labels.items()},
            "topics_by_urgency": self._crossed(),
            "seconds": round(seconds, 3),
            "rows_per_second": round((self.rows + self.rejects) / seconds, 1) if seconds else None,
        }

    def _crossed(self) -> dict[str, dict[str, int]]:
        if not (self._topics and self._urgency):
            return {}
        names = [*self._topics.names, *([self._topics.empty_set] if self._topics.empty_set else [])]
        return {topic: {level: self._table[topic, level] for level in self._urgency.names} for topic in names}


def summary_text(values: Mapping[str, Any]) -> str:
    """The table shown at the end of a run.

    Args:
        values: from `Summary.to_dict`.
    """
    lines = []
    if table := values["topics_by_urgency"]:
        levels = list(next(iter(table.values())))
        lines += _aligned([["", *levels], *([topic, *map(str, row.values())] for topic, row in table.items())])
    share = values["needs_review"] / values["labelled"] if values["labelled"] else 0.0
    errors = ", ".join(f"{count:,} {code}" for code, count in values["errors"].items()) or "none"
    lines += [
        f"rows in {values['rows_in']:,} = rows out {values['rows_out']:,} + rejects {values['rejects']:,}",
        f"to review {values['needs_review']:,} ({share:.1%}), not labelled: {errors}",
    ]
    if values["encoding"]:
        replaced = (
            f", {values['replaced_bytes']:,} bytes that it cannot read became \ufffd"
            if values["replaced_bytes"]
            else ""
        )
        lines.append(f"read as {values['encoding']} ({values['encoding_reason']}){replaced}")
    if values["blank_lines"]:
        lines.append(f"{values['blank_lines']:,} blank lines passed over")
    lines += values["notices"]
    lines.append(f"{values['seconds']:.1f} s, {values['rows_per_second'] or 0:,.0f} rows a second")
    return "\n".join(lines)


def _first(taxonomy: Taxonomy, kind: str) -> Head | None:
    return next((head for head in taxonomy.heads if head.kind == kind), None)


def _names(head: Head, value: Any) -> Sequence[str]:
    if isinstance(value, bool):
        return (str(value).lower(),)
    if isinstance(value, str):
        return (value,)
    return value or ([head.empty_set] if head.empty_set else [])


def rows_text(
    taxonomy: Taxonomy,
    rows: Sequence[tuple[Row, Mapping[str, Any]]],
    text_columns: Sequence[str],
    id_column: str | None,
    masked: Callable[[str], str],
) -> str:
    """Rows and their labels as a table, for ``--dry-run``.

    Args:
        taxonomy: whose heads are shown; those with a parent are left out.
        rows: with their label columns.
        text_columns: where the text is.
        id_column: shown before the text; the line is where None.
        masked: what a text becomes.
    """
    heads = [head for head in taxonomy.heads if head.parent is None]
    table = [["line" if id_column is None else id_column, "text", *(head.name for head in heads), "review"]]
    for row, labels in rows:
        name = str(row.line) if id_column is None else shortened(str(row.cells.get(id_column)), 20)
        text = shortened(masked(text_of(row.cells, text_columns)), 40)
        if labels["label_error"] is not None:
            said = [labels["label_error"], *("" for _ in heads)]
        else:
            said = ["|".join(_names(head, labels[head.name])) for head in heads] + [labels["review_reason"] or ""]
        table.append([name, text, *said])
    widths = [max(width_of(line[number]) for line in table) for number in range(len(table[0]))]
    return "\n".join(
        "  ".join(cell + " " * (width - width_of(cell)) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in table
    )


def shortened(text: str, width: int) -> str:
    """A text on one line, cut to that many columns of a terminal."""
    text = " ".join(text.replace("\x00", " ").split())
    if width_of(text) <= width:
        return text
    cut = text[:width]
    while width_of(cut) > width - 1:
        cut = cut[:-1]
    return cut + "…"


def width_of(text: str) -> int:
    """Columns a text takes on a terminal."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(width_of(row[number]) for row in rows) for number in range(len(rows[0]))]
    return [
        "  ".join(
            [
                row[0] + " " * (widths[0] - width_of(row[0])),
                *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True)),
            ]
        )
        for row in rows
    ]
