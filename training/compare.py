"""Two sets of decisions on the same records: what differs, and whether that could be chance.

Heads are compared by their primary figure with a paired bootstrap, labels by McNemar's exact test on the records that
only one of the two gets right (McNemar 1947; Dietterich 1998, https://doi.org/10.1162/089976698300017197), with Holm's
correction over all labels of all heads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest

from data.taxonomy import Head, Taxonomy
from training.dataset import Record, targets
from training.errors import DataError
from training.evaluate import Answers, Decided, Flags, escalating_columns
from training.metrics import label_scores, with_empty_set
from training.resampling import Array, Difference, paired, primary_figure


def shared_heads(ours: Taxonomy, theirs: Taxonomy) -> list[Head]:
    """Heads that both have with the same labels in the same order.

    Raises:
        DataError: there is none.
    """
    known = {head.name: head.names for head in theirs.heads}
    shared = [head for head in ours.heads if known.get(head.name) == head.names]
    if not shared:
        raise DataError(
            f"{ours.name} {ours.version} and {theirs.name} {theirs.version} share no head with the same labels; "
            "bundles are compared on the heads they share"
        )
    return shared


def aligned(answers: Answers, theirs: Taxonomy, ours: Taxonomy) -> Answers:
    """Answers of another bundle in the columns of our taxonomy; heads it lacks are zero."""
    shape = (len(answers.decided), len(ours.logit_names))
    probabilities, decided = np.zeros(shape), np.zeros(shape, dtype=np.int64)
    for head in shared_heads(ours, theirs):
        there, here = theirs.slices[head.name], ours.slices[head.name]
        probabilities[:, here], decided[:, here] = answers.probabilities[:, there], answers.decided[:, there]
    return Answers(probabilities, decided, answers.review)


def mcnemar(ours_right: Flags, theirs_right: Flags) -> tuple[int, int, float]:
    """McNemar's exact test.

    Args:
        ours_right: (n,) whether the first is right.
        theirs_right: (n,) whether the second is.

    Returns:
        How many only the first gets right, how many only the second, and the two-sided p-value.
    """
    only_ours, only_theirs = int((ours_right & ~theirs_right).sum()), int((theirs_right & ~ours_right).sum())
    if only_ours + only_theirs == 0:
        return 0, 0, 1.0
    return only_ours, only_theirs, float(binomtest(only_ours, only_ours + only_theirs).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values (Holm 1979), in the order given."""
    order = sorted(range(len(p_values)), key=lambda number: p_values[number])
    adjusted, floor = [1.0] * len(p_values), 0.0
    for rank, number in enumerate(order):
        floor = max(floor, min(1.0, (len(p_values) - rank) * p_values[number]))
        adjusted[number] = floor
    return adjusted


def primary_difference(head: Head, truth: Decided, ours: Decided, theirs: Decided) -> Difference:
    """Difference of a head's primary figure; all arrays (n, n_labels) 0/1."""
    figure = primary_figure(head)
    return paired(figure.statistics(head, truth, ours), figure.statistics(head, truth, theirs), figure.value)


def found_difference(head: Head, truth: Decided, ours: tuple[Decided, Flags], theirs: tuple[Decided, Flags]) -> Any:
    """Difference in the share of escalating records that are found: said to escalate, or sent to review.

    Args:
        head: a head with escalating labels.
        truth: (n, n_labels) 0/1.
        ours: decisions (n, n_labels) and review flags (n,).
        theirs: the same of the other.

    Returns:
        A `Difference`, or None where no record escalates.
    """
    columns = escalating_columns(head)
    true = truth[:, columns].any(axis=1)
    if not true.any():
        return None

    def statistics(decided: Decided, review: Flags) -> Array:
        return np.stack([true & (decided[:, columns].any(axis=1) | review), true], axis=1).astype(np.float64)

    def share(sums: Array) -> Array:
        return np.asarray(sums[..., 0] / np.maximum(sums[..., 1], 1))

    return paired(statistics(*ours), statistics(*theirs), share)


def _label_rows(head: Head, truth: Decided, ours: Decided, theirs: Decided) -> list[dict[str, Any]]:
    matrices = [with_empty_set(head, matrix) for matrix in (truth, ours, theirs)]
    true, a, b = matrices
    names = [*head.names, head.empty_set] if head.empty_set else list(head.names)
    scores: list[npt.NDArray[np.float64]] = [label_scores(true, said)[2] for said in (a, b)]
    rows = []
    for column, name in enumerate(names):
        right = [said[:, column] == true[:, column] for said in (a, b)]
        only_ours, only_theirs, p = mcnemar(right[0], right[1])
        if any(matrix[:, column].any() for matrix in matrices):
            f1 = {"f1_ours": float(scores[0][column]), "f1_theirs": float(scores[1][column])}
            counts = {"only_ours_right": only_ours, "only_theirs_right": only_theirs, "p": p}
            rows.append({"head": head.name, "label": name, "support": int(true[:, column].sum()), **f1, **counts})
    return rows


def compare(
    taxonomy: Taxonomy, records: Sequence[Record], ours: Answers, theirs: Answers, heads: Sequence[Head]
) -> dict[str, Any]:
    """Compare two sets of answers on labelled records.

    Args:
        taxonomy: gives the columns of both.
        records: labelled records.
        ours: the answers that are judged.
        theirs: the answers they are held against.
        heads: heads that both answer.

    Returns:
        ``{"heads": {name: {figure, ours, theirs, difference, interval, p, changed}}, "found": {head: {…}},
        "labels": […]}``, ready for JSON; ``changed`` is the share of records answered differently.
    """
    wanted = targets(records, taxonomy)
    result: dict[str, Any] = {"heads": {}, "found": {}, "labels": []}
    for head in heads:
        where = taxonomy.slices[head.name]
        present = ~np.isnan(wanted[:, where]).any(axis=1)
        if not present.any():
            continue
        truth = wanted[present, where].astype(np.int64)
        a, b = ours.decided[present, where], theirs.decided[present, where]
        changed = float((a != b).any(axis=1).mean())
        values = primary_difference(head, truth, a, b).to_dict()
        result["heads"][head.name] = {"figure": primary_figure(head).name, **values, "changed": changed}
        if head.escalate:
            found = found_difference(head, truth, (a, ours.review[present]), (b, theirs.review[present]))
            if found is not None:
                result["found"][head.name] = found.to_dict()
        result["labels"] += _label_rows(head, truth, a, b)
    for row, p in zip(result["labels"], holm([row["p"] for row in result["labels"]]), strict=True):
        row["p_holm"] = p
    return result
