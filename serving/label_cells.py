"""The label columns of a row: their names, kinds and values."""

from __future__ import annotations

from typing import Any

from data.errors import TextError
from data.tables import Column
from data.taxonomy import Head, Taxonomy
from model.decision import Prediction

_LEVEL_COLOURS = ("FFFFFF", "FFF2CC", "F8CBAD", "FF9999")


def label_columns(taxonomy: Taxonomy) -> tuple[Column, ...]:
    """The columns that labelling adds, in order."""
    columns = [column for head in taxonomy.heads for column in _head_columns(head)]
    return (
        *columns,
        Column("needs_review", "boolean"),
        Column("review_reason"),
        Column("label_error"),
        Column("model_version"),
    )


def _head_columns(head: Head) -> tuple[Column, ...]:
    if head.kind == "multi_label":
        labels = Column(head.name, "list")
        return (labels,) if head.parent else (labels, Column(f"{head.name}_scores", "scores", head.names))
    return (Column(head.name, "boolean" if head.kind == "binary" else "text"), Column(f"{head.name}_score", "number"))


def label_values(result: Prediction | TextError, names: tuple[str, ...]) -> list[Any]:
    """The values of the label columns for one text; all but ``label_error`` are empty where there is an error.

    Args:
        result: what the classifier said.
        names: the label columns.
    """
    cells = {"label_error": result.code} if isinstance(result, TextError) else result.to_dict()
    return [cells.get(name) for name in names]


def urgency_colours(taxonomy: Taxonomy) -> dict[str, dict[str, str]]:
    """Cell colours of ordinal heads: column to label to RGB, from nothing to red."""
    colours = {}
    for head in taxonomy.heads:
        if head.kind == "ordinal":
            last = len(head.names) - 1
            steps = [round(level * (len(_LEVEL_COLOURS) - 1) / last) for level in range(last + 1)]
            colours[head.name] = {
                name: _LEVEL_COLOURS[step] for name, step in zip(head.names, steps, strict=True) if step > 0
            }
    return colours
