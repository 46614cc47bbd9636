"""The bar to clear: character n-gram TF-IDF with logistic regression, tuned, on the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from data.taxonomy import Head, Taxonomy
from data.text import normalise
from training import metrics
from training.dataset import Record, targets

STRENGTHS = (1.0, 4.0, 16.0)


@dataclass(frozen=True)
class LinearBaseline:
    """Decisions of the tuned linear model.

    Attributes:
        decided: (n_records, n_logits) 0/1; zero in heads that were left out.
        strengths: the chosen inverse regularisation strength a head.
    """

    decided: npt.NDArray[np.int64]
    strengths: dict[str, float]


def _fit_head(
    head: Head, features: object, wanted: npt.NDArray[np.float32], rows: Sequence[object], strength: float
) -> list[npt.NDArray[np.int64]]:
    def fitted(target: npt.NDArray[np.int64]) -> LogisticRegression | int:
        if len(np.unique(target)) < 2:
            return int(target[0])
        return LogisticRegression(
            C=strength, class_weight="balanced", solver="liblinear" if target.max() < 2 else "lbfgs", max_iter=300
        ).fit(features, target)

    def said(model: LogisticRegression | int, row: object) -> npt.NDArray[np.int64]:
        n = int(row.shape[0])  # type: ignore[attr-defined]
        return np.full(n, model) if isinstance(model, int) else np.asarray(model.predict(row), dtype=np.int64)

    if head.kind in ("multi_label", "binary"):
        models = [fitted(wanted[:, column].astype(np.int64)) for column in range(wanted.shape[1])]
        return [np.stack([said(m, row) for m in models], axis=1) for row in rows]
    model = fitted(wanted.argmax(axis=1))
    return [np.eye(wanted.shape[1], dtype=np.int64)[said(model, row)] for row in rows]


def linear_baseline(
    taxonomy: Taxonomy,
    train: Sequence[Record],
    validation: Sequence[Record],
    tests: Sequence[Sequence[Record]],
    heads: Sequence[str],
) -> list[LinearBaseline]:
    """Fit on ``train``, choose each head's strength on ``validation``, decide all of ``tests``.

    Args:
        taxonomy: the heads.
        train: labelled records.
        validation: labelled records for tuning.
        tests: sets of records to decide.
        heads: names of the heads to fit.

    Returns:
        One result a test set.
    """
    vectoriser = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), sublinear_tf=True, min_df=2)
    features = vectoriser.fit_transform([normalise(r["text"]) for r in train])
    rows = [vectoriser.transform([normalise(r["text"]) for r in part]) for part in (validation, *tests)]
    wanted, checked = targets(train, taxonomy), targets(validation, taxonomy)
    decided = [np.zeros((len(part), len(taxonomy.logit_names)), dtype=np.int64) for part in tests]
    strengths: dict[str, float] = {}
    for head in (taxonomy.head(name) for name in heads):
        where = taxonomy.slices[head.name]
        present, judged = ~np.isnan(wanted[:, where]).any(axis=1), ~np.isnan(checked[:, where]).any(axis=1)
        best = -1.0
        for strength in STRENGTHS:
            first, *others = _fit_head(head, features[np.flatnonzero(present)], wanted[present, where], rows, strength)
            score = metrics.primary(head, checked[judged, where], first[judged])
            if score > best:
                best, strengths[head.name] = score, strength
                for target, values in zip(decided, others, strict=True):
                    target[:, where] = values
    return [LinearBaseline(part, strengths) for part in decided]
