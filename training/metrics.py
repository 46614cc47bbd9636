"""Metrics a head, from probabilities, decisions and truth."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from sklearn.metrics import cohen_kappa_score

from data.taxonomy import Head

Array = npt.NDArray[np.float64]

NOTHING: Final = "—"
"""In a confusion matrix: no false label in a missed one's place, or no missed label behind a false one."""


def with_empty_set(head: Head, matrix: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Add a column for the empty set: (n, n_labels) 0/1 to (n, n_labels + 1)."""
    whole = matrix.astype(np.int64)
    if head.empty_set is None:
        return whole
    return np.concatenate([whole, (whole.sum(axis=1, keepdims=True) == 0).astype(np.int64)], axis=1)


def label_scores(truth: npt.NDArray[Any], decided: npt.NDArray[Any]) -> tuple[Array, Array, Array]:
    """Precision, recall and F1 a column of two 0/1 matrices (n, n_labels); 0 where undefined."""
    hit = (truth * decided).sum(axis=0).astype(np.float64)
    said, true = decided.sum(axis=0), truth.sum(axis=0)
    return hit / np.maximum(said, 1), hit / np.maximum(true, 1), 2 * hit / np.maximum(said + true, 1)


def macro_f1(head: Head, truth: npt.NDArray[Any], decided: npt.NDArray[Any]) -> float:
    """Macro-F1 over a head's labels, the empty set counted as one; labels absent from both are left out.

    For a binary head it is the F1 of true.

    Args:
        head: the head.
        truth: (n, n_labels) 0/1.
        decided: (n, n_labels) 0/1.
    """
    true, said = with_empty_set(head, truth), with_empty_set(head, decided)
    seen = (true.sum(axis=0) + said.sum(axis=0)) > 0
    return float(label_scores(true, said)[2][seen].mean()) if seen.any() else 1.0


def primary(head: Head, truth: npt.NDArray[Any], decided: npt.NDArray[Any]) -> float:
    """The one figure a head is chosen by: quadratic-weighted kappa for ordinal heads, macro-F1 for others."""
    if head.kind == "ordinal":
        return quadratic_kappa(head, truth, decided)
    return macro_f1(head, truth, decided)


def quadratic_kappa(head: Head, truth: npt.NDArray[Any], decided: npt.NDArray[Any]) -> float:
    """Cohen's kappa with quadratic weights between one-hot truth and decision, both (n, n_labels)."""
    true, said = truth.argmax(axis=1), decided.argmax(axis=1)
    if (true == said).all():
        return 1.0
    return float(cohen_kappa_score(true, said, weights="quadratic", labels=range(len(head.labels))))


def label_table(head: Head, truth: npt.NDArray[Any], decided: npt.NDArray[Any]) -> dict[str, dict[str, float]]:
    """Precision, recall, F1 and support a label, the empty set included."""
    true, said = with_empty_set(head, truth), with_empty_set(head, decided)
    names = [*head.names, head.empty_set] if head.empty_set else list(head.names)
    columns = (*label_scores(true, said), true.sum(axis=0))
    return {
        str(name): {"precision": float(p), "recall": float(r), "f1": float(f), "support": int(s)}
        for name, p, r, f, s in zip(names, *columns, strict=True)
    }


def _confidence(head: Head, probabilities: Array, truth: npt.NDArray[Any]) -> tuple[Array, npt.NDArray[Any]]:
    """What was claimed and whether it held, (n_claims,) each.

    For ordinal and single-label heads the top probability; for multi-label and binary heads every label's
    probability, pooled.
    """
    if head.kind in ("ordinal", "single_label"):
        return probabilities.max(axis=1), truth[np.arange(len(truth)), probabilities.argmax(axis=1)]
    return probabilities.reshape(-1), truth.reshape(-1)


def reliability(
    head: Head, probabilities: Array, truth: npt.NDArray[Any], bins: int = 10
) -> list[dict[str, float | int]]:
    """Claimed against observed frequency in equal-width bins; empty bins are left out.

    Args:
        head: the head.
        probabilities: (n, n_labels) calibrated.
        truth: (n, n_labels) 0/1.
        bins: number of bins.

    Returns:
        ``{"n", "hits", "confidence", "accuracy"}`` a bin, from low to high.
    """
    confidence, right = _confidence(head, probabilities, truth)
    index = np.minimum((confidence * bins).astype(int), bins - 1)
    result: list[dict[str, float | int]] = []
    for number in range(bins):
        inside = index == number
        if inside.any():
            result.append(
                {
                    "n": int(inside.sum()),
                    "hits": int(right[inside].sum()),
                    "confidence": float(confidence[inside].mean()),
                    "accuracy": float(right[inside].mean()),
                }
            )
    return result


def calibration_error(head: Head, probabilities: Array, truth: npt.NDArray[Any], bins: int = 10) -> float:
    """Expected calibration error with equal-width bins (Guo et al. 2017, https://arxiv.org/abs/1706.04599).

    For ordinal and single-label heads of the top probability; for multi-label and binary heads of every
    label's probability, pooled.
    """
    rows = reliability(head, probabilities, truth, bins)
    total = sum(row["n"] for row in rows)
    return float(sum(row["n"] * abs(row["confidence"] - row["accuracy"]) for row in rows) / total)


def confusion(
    head: Head, truth: npt.NDArray[Any], decided: npt.NDArray[Any]
) -> tuple[tuple[str, ...], npt.NDArray[np.int64]]:
    """What was said where a label is true.

    The diagonal counts hits. Off it, a missed label (row) counts every false label said in its place (column). For
    multi-label heads a last row and column named ``—`` hold false labels said though none was missed, and labels
    missed without a false one. The empty set is a label; binary heads have ``false`` and ``true``.

    Args:
        head: the head.
        truth: (n, n_labels) 0/1.
        decided: (n, n_labels) 0/1.

    Returns:
        Names and (n_names, n_names) counts.
    """
    if head.kind == "binary":
        true, said = (np.concatenate([1 - m, m], axis=1).astype(np.int64) for m in (truth, decided))
        names: tuple[str, ...] = ("false", "true")
    else:
        true, said = with_empty_set(head, truth), with_empty_set(head, decided)
        names = (*head.names, head.empty_set) if head.empty_set else head.names
    missed, false = true * (1 - said), said * (1 - true)
    counts = missed.T @ false + np.diag((true * said).sum(axis=0))
    if head.kind != "multi_label":
        return names, counts
    left_out = missed.T @ (false.sum(axis=1) == 0)
    extra = (missed.sum(axis=1) == 0) @ false
    counts = np.block([[counts, left_out[:, None]], [extra[None, :], np.zeros((1, 1), dtype=np.int64)]])
    return (*names, NOTHING), counts.astype(np.int64)


def bootstrap(
    figure: Callable[[npt.NDArray[np.int64]], float], n: int, rounds: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """95 % percentile interval of a figure over resampled records.

    Args:
        figure: takes the row numbers of a sample, gives the figure.
        n: number of records.
        rounds: samples drawn.
        seed: of the draw.
    """
    generator = np.random.default_rng(seed)
    values = [figure(generator.integers(0, n, n)) for _ in range(rounds)]
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)
