"""From logits to labels: calibrated probabilities, thresholds, consistency, and when a person should look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from data.taxonomy import Head, LabelValue, Taxonomy
from model.bundle import HeadDecision

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Prediction:
    """What is said of one text.

    Attributes:
        labels: the value of every head.
        scores: for multi-label heads without a parent the probability of every label, for all other heads but
            those with a parent the probability of what was said.
        probabilities: every label's probability, ``head/label``.
        needs_review: whether a person should look.
        review_reason: ``low_confidence:<head>`` for the least certain head, or None.
        model_version: of the bundle that said it.
    """

    labels: Mapping[str, LabelValue]
    scores: Mapping[str, dict[str, float] | float]
    probabilities: Mapping[str, float]
    needs_review: bool
    review_reason: str | None
    model_version: str

    def __getitem__(self, head: str) -> LabelValue:
        return self.labels[head]

    def to_dict(self) -> dict[str, Any]:
        """The flat form of the API and of labelled files, ``model_version`` left out."""
        row: dict[str, Any] = {}
        for name, value in self.labels.items():
            row[name] = value
            score = self.scores.get(name)
            if score is not None:
                row[f"{name}_scores" if isinstance(score, dict) else f"{name}_score"] = score
        return {**row, "needs_review": self.needs_review, "review_reason": self.review_reason}


def probabilities(head: Head, decision: HeadDecision, logits: npt.NDArray[np.floating[Any]]) -> Array:
    """Calibrated probabilities of one head.

    Args:
        head: the head.
        decision: its calibration.
        logits: (n, n_labels).

    Returns:
        (n, n_labels) float64; rows sum to 1 for ordinal and single-label heads.
    """
    scaled = logits.astype(np.float64) * np.array(decision.scale) + np.array(decision.bias)
    if head.kind in ("multi_label", "binary"):
        return np.asarray(1.0 / (1.0 + np.exp(-np.clip(scaled, -60, 60))))
    exponent = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return np.asarray(exponent / exponent.sum(axis=1, keepdims=True))


def merge_windows(head: Head, windows: Array) -> Array:
    """One distribution from a text's windows: (n_windows, n_labels) to (n_labels,).

    A label of a multi-label or binary head holds if one window says so; the level of an ordinal head is that of
    the window with the highest expected level; other heads are averaged.
    """
    if len(windows) == 1:
        return np.asarray(windows[0])
    if head.kind in ("multi_label", "binary"):
        return np.asarray(windows.max(axis=0))
    if head.kind == "ordinal":
        return np.asarray(windows[(windows @ np.arange(windows.shape[1])).argmax()])
    return np.asarray(windows.mean(axis=0))


@lru_cache(maxsize=64)
def _escalating(names: tuple[str, ...], escalate: tuple[str, ...]) -> npt.NDArray[np.bool_]:
    """Which labels escalate: (n_labels,) bool."""
    return np.isin(names, escalate)


def _one_hot(columns: npt.NDArray[np.int64], n: int) -> npt.NDArray[np.int64]:
    return np.asarray(columns[:, None] == np.arange(n), dtype=np.int64)


def choose(head: Head, decision: HeadDecision, p: Array) -> npt.NDArray[np.int64]:
    """Decide one head for many texts.

    Args:
        head: the head.
        decision: its thresholds.
        p: (n, n_labels) calibrated probabilities.

    Returns:
        (n, n_labels) 0/1; one-hot for ordinal and single-label heads.
    """
    if head.kind in ("multi_label", "binary"):
        return (p >= np.array(decision.thresholds)).astype(np.int64)
    if decision.escalate_threshold is None:
        return _one_hot(p.argmax(axis=1), p.shape[1])
    escalating = _escalating(head.names, head.escalate)
    up = p[:, escalating].sum(axis=1) >= decision.escalate_threshold
    allowed = np.where(up[:, None], escalating[None, :], ~escalating[None, :])
    return _one_hot(np.where(allowed, p, -1.0).argmax(axis=1), p.shape[1])


def confidence(head: Head, decision: HeadDecision, p: Array, chosen: npt.NDArray[np.int64]) -> Array:
    """How sure a head's decision is: (n,) float64.

    For multi-label and binary heads the least sure label: p where given, 1 - p where not. For heads with
    escalating labels 1 where one is given, because a person looks at it anyway, else the probability that none
    applies. For other heads the probability of the chosen label.
    """
    if head.kind in ("multi_label", "binary"):
        return np.asarray(np.where(chosen == 1, p, 1 - p).min(axis=1))
    if decision.escalate_threshold is None:
        return np.asarray((p * chosen).sum(axis=1))
    escalating = _escalating(head.names, head.escalate)
    side = p[:, escalating].sum(axis=1)
    return np.asarray(np.where((chosen * escalating).sum(axis=1) == 1, 1.0, 1 - side))


class Decider:
    """Decides all heads by a bundle's calibration and thresholds.

    Args:
        taxonomy: the heads.
        decisions: one a head.
        model_version: put into every prediction.
    """

    def __init__(self, taxonomy: Taxonomy, decisions: Mapping[str, HeadDecision], model_version: str) -> None:
        self._taxonomy, self._decisions, self._version = taxonomy, decisions, model_version
        self._slices, self._logit_names = taxonomy.slices, taxonomy.logit_names

    def probabilities(self, logits: npt.NDArray[np.float32], owners: Sequence[int], n: int) -> Array:
        """Calibrated probabilities a text: window logits (n_windows, n_logits) to (n, n_logits).

        Args:
            logits: of all windows.
            owners: the text number of each window, ascending.
            n: number of texts.
        """
        merged = np.empty((n, logits.shape[1]))
        bounds = np.searchsorted(np.asarray(owners), np.arange(n + 1))
        for head in self._taxonomy.heads:
            where = self._taxonomy.slices[head.name]
            p = probabilities(head, self._decisions[head.name], logits[:, where])
            if len(owners) == n:
                merged[:, where] = p
            else:
                for text in range(n):
                    merged[text, where] = merge_windows(head, p[bounds[text] : bounds[text + 1]])
        return merged

    def choose_all(self, p: Array) -> npt.NDArray[np.int64]:
        """Decisions of all heads, made consistent: (n, n_logits) 0/1.

        A label of a head with a parent is given only where its parent label is.
        """
        chosen = np.empty(p.shape, dtype=np.int64)
        for head in self._taxonomy.heads:
            where = self._taxonomy.slices[head.name]
            chosen[:, where] = choose(head, self._decisions[head.name], p[:, where])
            if head.parent is not None:
                parent = self._taxonomy.head(head.parent)
                columns = [
                    self._taxonomy.slices[parent.name].start + parent.index(str(label.parent)) for label in head.labels
                ]
                chosen[:, where] &= chosen[:, columns]
        return chosen

    def decide(self, p: Array) -> list[Prediction]:
        """Predictions from calibrated probabilities (n, n_logits)."""
        chosen = self.choose_all(p)
        review = {}
        for head in self._taxonomy.heads:
            decision, where = self._decisions[head.name], self._taxonomy.slices[head.name]
            if decision.review_below > 0:
                sure = confidence(head, decision, p[:, where], chosen[:, where])
                review[head.name] = sure / decision.review_below
        reasons = self._review_reasons(review, len(p))
        scores, given = np.round(p, 4).tolist(), chosen.tolist()
        return [self._prediction(*row) for row in zip(scores, given, reasons, strict=True)]

    def _review_reasons(self, sureness: Mapping[str, Array], n: int) -> list[str | None]:
        """For each of n texts the least sure head as a reason for review, or None."""
        if not sureness:
            return [None] * n
        names, table = list(sureness), np.stack(list(sureness.values()))
        worst, least = table.argmin(axis=0).tolist(), table.min(axis=0).tolist()
        return [f"low_confidence:{names[at]}" if low < 1.0 else None for at, low in zip(worst, least, strict=True)]

    def _prediction(self, p: list[float], chosen: list[int], reason: str | None) -> Prediction:
        labels: dict[str, LabelValue] = {}
        scores: dict[str, dict[str, float] | float] = {}
        for head in self._taxonomy.heads:
            where = self._slices[head.name]
            own, given = p[where], chosen[where]
            if head.kind == "multi_label":
                labels[head.name] = [name for name, yes in zip(head.names, given, strict=True) if yes]
                if head.parent is None:
                    scores[head.name] = dict(zip(head.names, own, strict=True))
            elif head.kind == "binary":
                labels[head.name] = bool(given[0])
                scores[head.name] = own[0]
            else:
                at = given.index(max(given))
                labels[head.name] = head.names[at]
                scores[head.name] = own[at]
        everything = dict(zip(self._logit_names, p, strict=True))
        return Prediction(labels, scores, everything, reason is not None, reason, self._version)
