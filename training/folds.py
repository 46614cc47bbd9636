"""Folds by hash: which part of training a record belongs to depends on nothing but its id."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Literal

Fold = Literal["fit", "select", "calibrate"]


def fold_of(record_id: str) -> Fold:
    """70 % fit (learned from), 15 % select (choices are made on it), 15 % calibrate (temperatures and thresholds)."""
    share = int(hashlib.sha256(record_id.encode()).hexdigest()[:8], 16) / 2**32
    return "fit" if share < 0.70 else "select" if share < 0.85 else "calibrate"


def folds(records: Iterable[Mapping[str, Any]]) -> dict[Fold, list[Mapping[str, Any]]]:
    """Records by fold, in order."""
    result: dict[Fold, list[Mapping[str, Any]]] = {"fit": [], "select": [], "calibrate": []}
    for record in records:
        result[fold_of(str(record["id"]))].append(record)
    return result
