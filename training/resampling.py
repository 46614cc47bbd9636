"""Bootstrap over records: 95 % intervals and paired differences of figures that are made from sums over records.

Macro-F1, kappa and recall depend on the records only through sums (hits, labels said, labels true, pairs of levels), so
a resample is a row of counts and a thousand of them are one matrix product (Efron & Tibshirani 1993, An Introduction to
the Bootstrap, chapter 13; paired use as in Koehn 2004, https://aclanthology.org/W04-3250).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from data.taxonomy import Head
from training.metrics import with_empty_set

Array = npt.NDArray[np.float64]
Matrix = npt.NDArray[Any]

ROUNDS: Final = 1000
_COUNTS_AT_ONCE: Final = 4_000_000


@dataclass(frozen=True)
class Figure:
    """A figure of one head that is made from sums over records.

    Attributes:
        name: as it stands in reports.
        statistics: head, truth and decisions (n, n_labels) to what is summed, (n, n_statistics).
        value: sums (…, n_statistics) to the figure (…).
    """

    name: str
    statistics: Callable[[Head, Matrix, Matrix], Array]
    value: Callable[[Array], Array]


def label_statistics(head: Head, truth: Matrix, decided: Matrix) -> Array:
    """Hits, labels said and labels true of every record, the empty set as a label: (n, 3 · n_labels)."""
    true, said = with_empty_set(head, truth), with_empty_set(head, decided)
    return np.concatenate([true * said, said, true], axis=1).astype(np.float64)


def label_scores_of(sums: Array) -> tuple[Array, Array, Array]:
    """Precision, recall and F1 a label from sums of `label_statistics`: three arrays (…, n_labels)."""
    hit, said, true = np.split(sums, 3, axis=-1)
    return hit / np.maximum(said, 1), hit / np.maximum(true, 1), 2 * hit / np.maximum(said + true, 1)


def _macro_f1(sums: Array) -> Array:
    _, said, true = np.split(sums, 3, axis=-1)
    seen = (said + true) > 0
    f1 = label_scores_of(sums)[2]
    counted = seen.sum(axis=-1)
    return np.where(counted > 0, (f1 * seen).sum(axis=-1) / np.maximum(counted, 1), 1.0)


def _level_pairs(head: Head, truth: Matrix, decided: Matrix) -> Array:
    pairs = truth[:, :, None] * decided[:, None, :]
    return np.asarray(pairs.reshape(len(truth), len(head.labels) ** 2), dtype=np.float64)


def _kappa(sums: Array) -> Array:
    n = round(sums.shape[-1] ** 0.5)
    observed = sums.reshape(*sums.shape[:-1], n, n)
    weights = np.square(np.arange(n)[:, None] - np.arange(n)[None, :])
    margins = observed.sum(axis=-1)[..., :, None] * observed.sum(axis=-2)[..., None, :]
    expected = (weights * margins).sum(axis=(-1, -2)) / np.maximum(observed.sum(axis=(-1, -2)), 1)
    disagreement = (weights * observed).sum(axis=(-1, -2))
    return np.where(disagreement == 0, 1.0, 1.0 - disagreement / np.maximum(expected, 1e-12))


MACRO_F1: Final = Figure("macro_f1", label_statistics, _macro_f1)
QUADRATIC_KAPPA: Final = Figure("quadratic_kappa", _level_pairs, _kappa)


def primary_figure(head: Head) -> Figure:
    """The one figure a head is judged by: quadratic-weighted kappa for ordinal heads, macro-F1 for others."""
    return QUADRATIC_KAPPA if head.kind == "ordinal" else MACRO_F1


def resampled_sums(statistics: Array, rounds: int = ROUNDS, seed: int = 0) -> Array:
    """Sums of records' statistics over samples drawn with replacement.

    Args:
        statistics: (n, n_statistics).
        rounds: samples drawn.
        seed: of the draw; the same seed and n draw the same records.

    Returns:
        (rounds, n_statistics) float64.
    """
    generator, n = np.random.default_rng(seed), len(statistics)
    step = max(1, _COUNTS_AT_ONCE // n)
    parts = []
    for begin in range(0, rounds, step):
        counts = generator.multinomial(n, np.full(n, 1.0 / n), size=min(step, rounds - begin))
        parts.append(counts.astype(np.float64) @ statistics)
    return np.concatenate(parts)


def interval(values: Array) -> tuple[float, float]:
    """The middle 95 % of resampled values."""
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def figure_with_interval(
    figure: Figure, head: Head, truth: Matrix, decided: Matrix
) -> tuple[float, tuple[float, float]]:
    """A figure and its 95 % interval."""
    statistics = figure.statistics(head, truth, decided)
    return float(figure.value(statistics.sum(axis=0))), interval(figure.value(resampled_sums(statistics)))


@dataclass(frozen=True)
class Difference:
    """A figure of two sets of decisions on the same records.

    Attributes:
        ours: its value for the first set.
        theirs: for the second.
        interval: 95 % of ours minus theirs over resampled records.
        worst: one-sided 95 % bound: ours minus theirs is not below it.
        p: two-sided bootstrap p-value of no difference.
    """

    ours: float
    theirs: float
    interval: tuple[float, float]
    worst: float
    p: float

    @property
    def difference(self) -> float:
        """Ours minus theirs."""
        return self.ours - self.theirs

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        values = {"ours": self.ours, "theirs": self.theirs, "difference": self.difference}
        return {**values, "interval": list(self.interval), "p": self.p}


def paired(ours: Array, theirs: Array, value: Callable[[Array], Array]) -> Difference:
    """Compare two sets of statistics of the same records, resampled together.

    Args:
        ours: (n, n_statistics).
        theirs: (n, n_statistics).
        value: sums to the figure.
    """
    columns = ours.shape[1]
    sums = resampled_sums(np.concatenate([ours, theirs], axis=1))
    drawn = value(sums[:, :columns]) - value(sums[:, columns:])
    tail = min(int((drawn <= 0).sum()), int((drawn >= 0).sum()))
    return Difference(
        float(value(ours.sum(axis=0))),
        float(value(theirs.sum(axis=0))),
        interval(drawn),
        float(np.percentile(drawn, 5)),
        min(1.0, 2 * (tail + 1) / (len(drawn) + 1)),
    )


def wilson(hits: int, n: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927), sensible near 0 and 1 and for few records."""
    if n == 0:
        return 0.0, 1.0
    z, share = 1.959964, hits / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * float(np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)))
    return max(0.0, centre - half), min(1.0, centre + half)
