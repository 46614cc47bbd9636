"""Which records the shipped bundle learns from, is chosen on and is calibrated on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from data.corpus import read_split
from training.calibrate import CalibrationConfig
from training.dataset import Record, read_jsonl
from training.folds import folds
from training.training_data import TrainingData

NATURAL_URGENCY: Final = {"low": 0.41, "normal": 0.33, "high": 0.24, "critical": 0.02}
"""Shares of urgency in real feedback as it comes; the authored corpus has more of the rare ones."""

SHIPPED_CALIBRATION: Final = CalibrationConfig(review_rate=0.12, review_heads=("topics", "urgency"))
"""Only what a text is routed by asks for a person: on the select fold that finds more of the urgent texts with fewer
reviews than doubts about sentiment, handling or churn do."""

_AUTHORED_WEIGHT: Final = 0.4
"""Weight of all authored calibration records together, as a factor of that of the real ones."""


def authored_split(name: str) -> list[Record]:
    """A split of the authored corpus as plain records."""
    return [record.to_dict() for record in read_split(name)]


def natural_weights(records: Sequence[Record]) -> list[float]:
    """Weights that bring records to the natural shares of urgency; they average 1."""
    counts = Counter(str(r["urgency"]) for r in records)
    return [NATURAL_URGENCY[str(r["urgency"])] * len(records) / counts[str(r["urgency"])] for r in records]


def shipped_data(public: Path | None, public_repeats: int = 3) -> TrainingData:
    """The authored corpus, and the public real rows where they are at hand.

    The public rows are split by hash: the fit fold is learned from (``public_repeats`` times an epoch), the epoch is
    chosen on the select fold, decisions are fitted on the calibrate fold beside authored validation records, which
    are weighted back to natural shares.

    Args:
        public: JSONL that `fankui data fetch-public` wrote, or None for the authored corpus alone.
        public_repeats: how often a public row is seen in an epoch.
    """
    train, validation, test = (authored_split(name) for name in ("train", "validation", "test"))
    if public is None:
        return TrainingData(train, validation, validation, natural_weights(validation), {"authored test": test})
    real = folds(read_jsonl(public))
    factor = _AUTHORED_WEIGHT * len(real["calibrate"]) / len(validation)
    return TrainingData(
        train + list(real["fit"]) * public_repeats,
        real["select"],
        [*real["calibrate"], *validation],
        [1.0] * len(real["calibrate"]) + [w * factor for w in natural_weights(validation)],
        {"authored test": test, "public select fold": real["select"]},
    )
