"""Records by what they are for, and what identifies them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from data.corpus import record_id as text_id
from training.dataset import Record
from training.teaching import TaughtTexts


@dataclass(frozen=True)
class TrainingData:
    """Records by what they are for.

    Attributes:
        train: learned from.
        validation: the best epoch is chosen on them.
        calibration: temperatures and thresholds are fitted on them.
        calibration_weights: one a calibration record, bringing them to natural shares; equal when empty.
        tests: named sets that are only measured.
        taught: unlabelled texts with what teachers say of them, learned from beside ``train``.
    """

    train: Sequence[Record]
    validation: Sequence[Record]
    calibration: Sequence[Record]
    calibration_weights: Sequence[float] = ()
    tests: dict[str, Sequence[Record]] = field(default_factory=dict)
    taught: TaughtTexts | None = None


def data_sha256(records: Iterable[Record]) -> str:
    """Hash of records' content, whatever their order."""
    lines = sorted(json.dumps(dict(r), sort_keys=True, ensure_ascii=False) for r in records)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def record_id(record: Record) -> str:
    """A record's id, or the first 10 hex digits of its text's SHA-1."""
    return str(record.get("id") or text_id(str(record["text"])))
