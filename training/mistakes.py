"""The records an evaluation is read for: urgent ones that nobody would have seen, and the surest wrong answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from data.taxonomy import Head, LabelValue, Taxonomy
from training.dataset import Record, targets
from training.evaluate import Answers, escalating_columns

_WORST_A_HEAD: Final = 12


def label_value(head: Head, row: npt.NDArray[Any]) -> LabelValue:
    """One head's columns of one record (n_labels,) 0/1 as a label value."""
    if head.kind == "binary":
        return bool(row[0])
    names = [name for name, given in zip(head.names, row, strict=True) if given]
    return names if head.kind == "multi_label" else names[0]


def missed_escalations(taxonomy: Taxonomy, records: Sequence[Record], answers: Answers) -> list[dict[str, Any]]:
    """Records whose true label escalates and whose said label does not.

    Returns:
        ``{"head", "id", "text", "truth", "said", "probability", "review"}`` each, ``probability`` that of the
        escalating labels together; those not sent to review first, then by rising probability.
    """
    wanted = targets(records, taxonomy)
    rows = []
    for head in taxonomy.heads:
        if not head.escalate:
            continue
        where, columns = taxonomy.slices[head.name], escalating_columns(head)
        truth, said = wanted[:, where], answers.decided[:, where]
        missed = (truth[:, columns] == 1).any(axis=1) & ~said[:, columns].any(axis=1)
        for number in np.flatnonzero(missed).tolist():
            row = _row(head, records[number], truth[number], said[number], bool(answers.review[number]))
            row["probability"] = float(answers.probabilities[number, where][columns].sum())
            rows.append({"head": head.name, **row})
    return sorted(rows, key=lambda row: (row["review"], row["probability"]))


def worst_errors(
    taxonomy: Taxonomy, records: Sequence[Record], answers: Answers, most: int = _WORST_A_HEAD
) -> dict[str, list[dict[str, Any]]]:
    """Wrong answers a head, those first where the truth was thought least likely.

    Args:
        taxonomy: the heads.
        records: labelled records.
        answers: what was said of them.
        most: rows a head at most.

    Returns:
        ``{"id", "text", "truth", "said", "probability", "review"}`` by head, ``probability`` that of the least
        likely true state among the head's labels.
    """
    wanted = targets(records, taxonomy)
    result: dict[str, list[dict[str, Any]]] = {}
    for head in taxonomy.heads:
        where = taxonomy.slices[head.name]
        truth, said, p = wanted[:, where], answers.decided[:, where], answers.probabilities[:, where]
        wrong = ~np.isnan(truth).any(axis=1) & (truth != said).any(axis=1)
        if head.kind in ("multi_label", "binary"):
            states = np.where(truth == 1, p, 1 - p)
            of_truth = np.where(truth != said, states, 1.0).min(axis=1)
        else:
            of_truth = (p * np.nan_to_num(truth)).sum(axis=1)
        numbers = np.flatnonzero(wrong)
        rows = []
        for number in numbers[np.argsort(of_truth[numbers], kind="stable")][:most].tolist():
            row = _row(head, records[number], truth[number], said[number], bool(answers.review[number]))
            rows.append({**row, "probability": float(of_truth[number])})
        if rows:
            result[head.name] = rows
    return result


def _row(head: Head, record: Record, truth: npt.NDArray[Any], said: npt.NDArray[Any], review: bool) -> dict[str, Any]:
    return {
        "id": str(record.get("id") or ""),
        "text": str(record["text"]),
        "truth": label_value(head, truth),
        "said": label_value(head, said),
        "review": review,
    }
