"""Figures by part of the data: channel, source, length, how many labels a text has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from data.taxonomy import Taxonomy
from training.dataset import Record, targets
from training.evaluate import Answers, Flags, escalation
from training.resampling import figure_with_interval, primary_figure

FIELDS: Final = ("channel", "source", "slice", "enriched")
"""Fields of a record that make slices where records carry them."""

FEWEST_RECORDS: Final = 10
"""A smaller slice says nothing and is left out."""

_LENGTHS: Final = ((10, "1–10"), (25, "11–25"), (60, "26–60"), (150, "61–150"), (500, "151–500"))


def _length(record: Record) -> str:
    n = len(str(record["text"]).strip())
    return next((name for limit, name in _LENGTHS if n <= limit), "over 500")


def _dimensions(taxonomy: Taxonomy, records: Sequence[Record]) -> dict[str, Callable[[Record], str | None]]:
    """How a record is sorted, by name of the dimension; None where it cannot be."""

    def by_field(name: str) -> Callable[[Record], str | None]:
        return lambda record: None if record.get(name) is None else str(record[name]).lower()

    def by_count(name: str) -> Callable[[Record], str | None]:
        return lambda record: None if record.get(name) is None else str(len(record[name]))

    found: dict[str, Callable[[Record], str | None]] = {
        name: by_field(name) for name in FIELDS if any(record.get(name) is not None for record in records)
    }
    found["characters"] = _length
    for head in taxonomy.heads:
        if head.kind == "multi_label" and head.parent is None:
            found[f"number of {head.name}"] = by_count(head.name)
    return found


def slice_figures(taxonomy: Taxonomy, records: Sequence[Record], answers: Answers) -> list[dict[str, Any]]:
    """The primary figure of every head without a parent, in every slice of at least `FEWEST_RECORDS`.

    Returns:
        ``{"dimension", "name", "n", "review_rate", "heads": {head: {"figure", "value", "interval", "n"}}, "found":
        {head: {"share", "support"}}}`` each, ready for JSON. ``found`` is the share of escalating records that were
        said to escalate or sent to review.
    """
    wanted = targets(records, taxonomy)
    rows = []
    for dimension, sort in _dimensions(taxonomy, records).items():
        names = [sort(record) for record in records]
        order = [name for _, name in _LENGTHS] + ["over 500"] if dimension == "characters" else []
        for name in sorted({n for n in names if n is not None}, key=lambda n: (order.index(n) if n in order else 0, n)):
            inside = np.array([own == name for own in names])
            if inside.sum() >= FEWEST_RECORDS:
                rows.append({"dimension": dimension, "name": name, **_slice(taxonomy, wanted, answers, inside)})
    return rows


def _slice(taxonomy: Taxonomy, wanted: Any, answers: Answers, inside: Flags) -> dict[str, Any]:
    heads: dict[str, Any] = {}
    found: dict[str, Any] = {}
    for head in taxonomy.heads:
        where = taxonomy.slices[head.name]
        rows = inside & ~np.isnan(wanted[:, where]).any(axis=1)
        if head.parent is not None or not rows.any():
            continue
        truth, said = wanted[rows, where].astype(np.int64), answers.decided[rows, where]
        figure = primary_figure(head)
        value, bounds = figure_with_interval(figure, head, truth, said)
        heads[head.name] = {"figure": figure.name, "value": value, "interval": bounds, "n": int(rows.sum())}
        if head.escalate:
            entry = escalation(head, truth, said, answers.review[rows])
            if entry["support"]:
                found[head.name] = {"share": entry["recall_with_review"], "support": entry["support"]}
    return {
        "n": int(inside.sum()),
        "review_rate": float(answers.review[inside].mean()),
        "heads": heads,
        "found": found,
    }
