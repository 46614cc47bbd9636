"""Judging decisions on labelled records: figures a head with intervals, beside another set of decisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from data.taxonomy import Head, Taxonomy
from model.classifier import Classifier
from training import metrics
from training.dataset import Record, check_records, targets
from training.resampling import MACRO_F1, QUADRATIC_KAPPA, figure_with_interval, interval, resampled_sums

Array = npt.NDArray[np.float64]
Decided = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_TEXTS_AT_ONCE: Final = 512


class Answers(NamedTuple):
    """What a classifier says of records.

    Attributes:
        probabilities: (n, n_logits) calibrated.
        decided: (n, n_logits) 0/1.
        review: (n,) who is flagged for review.
    """

    probabilities: Array
    decided: Decided
    review: Flags


def probabilities_of(classifier: Classifier, texts: Sequence[str]) -> Array:
    """Calibrated probabilities of any number of texts: (n_texts, n_logits)."""
    parts = [texts[i : i + _TEXTS_AT_ONCE] for i in range(0, max(len(texts), 1), _TEXTS_AT_ONCE)]
    return np.concatenate([classifier.probabilities(part) for part in parts])


def classify_records(classifier: Classifier, records: Sequence[Record]) -> Answers:
    """Run a classifier over records as serving would; each text is decided once."""
    p = probabilities_of(classifier, [str(r["text"]) for r in records])
    predictions = classifier.decider.decide(p)
    # The labels that serving would answer, put back into columns: there is no second decoding that could differ.
    decided = targets([prediction.labels for prediction in predictions], classifier.taxonomy).astype(np.int64)
    return Answers(p, decided, np.array([prediction.needs_review for prediction in predictions], dtype=np.bool_))


def escalating_columns(head: Head) -> Flags:
    """Which of a head's labels escalate: (n_labels,)."""
    return np.isin(head.names, head.escalate)


def escalation(
    head: Head, truth: npt.NDArray[Any], decided: Decided, review: Flags, intervals: bool = False
) -> dict[str, Any]:
    """Recall of the escalating labels, with and without review, and their predicted against their true share.

    Args:
        head: a head with escalating labels.
        truth: (n, n_labels) 0/1.
        decided: (n, n_labels) 0/1.
        review: (n,) flagged for review.
        intervals: whether to bootstrap.
    """
    columns = escalating_columns(head)
    true, said = truth[:, columns].any(axis=1), decided[:, columns].any(axis=1)
    found = {"recall": true & said, "recall_with_review": true & (said | review)}
    n = max(int(true.sum()), 1)
    result: dict[str, Any] = {name: float(hit.sum() / n) for name, hit in found.items()}
    result |= {"predicted_share": float(said.mean()), "true_share": float(true.mean()), "support": int(true.sum())}
    if intervals and true.any():
        for name, hit in found.items():
            sums = resampled_sums(np.stack([hit, true], axis=1).astype(np.float64))
            result[f"{name}_interval"] = interval(sums[:, 0] / np.maximum(sums[:, 1], 1))
    return result


def judge(
    taxonomy: Taxonomy,
    records: Sequence[Record],
    decided: Decided,
    probabilities: Array | None = None,
    review: Flags | None = None,
    intervals: bool = True,
) -> dict[str, Any]:
    """Figures of all heads the records carry.

    Args:
        taxonomy: the heads.
        records: labelled records.
        decided: (n, n_logits) 0/1.
        probabilities: (n, n_logits) calibrated; without them there is no calibration error.
        review: (n,) flagged for review; without it nobody is.
        intervals: whether to bootstrap.

    Returns:
        ``{"n", "review_rate", "heads": {name: {…}}}``, ready for JSON.

    Raises:
        DataError: a record does not fit the taxonomy.
    """
    check_records(records, taxonomy)
    wanted = targets(records, taxonomy)
    flagged = np.zeros(len(records), dtype=bool) if review is None else review
    heads: dict[str, Any] = {}
    for head in taxonomy.heads:
        where = taxonomy.slices[head.name]
        present = ~np.isnan(wanted[:, where]).any(axis=1)
        if not present.any():
            continue
        truth, said = wanted[present, where].astype(np.int64), decided[present, where]
        entry = _judge_head(head, truth, said, flagged[present], intervals)
        if probabilities is not None:
            entry["calibration_error"] = metrics.calibration_error(head, probabilities[present, where], truth)
        heads[head.name] = entry
    return {"n": len(records), "review_rate": float(flagged.mean()), "heads": heads}


def _judge_head(head: Head, truth: npt.NDArray[Any], said: Decided, flagged: Flags, intervals: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {"kind": head.kind, "n": len(truth)}
    for figure in (MACRO_F1, QUADRATIC_KAPPA) if head.kind == "ordinal" else (MACRO_F1,):
        if intervals:
            entry[figure.name], entry[f"{figure.name}_interval"] = figure_with_interval(figure, head, truth, said)
        else:
            entry[figure.name] = float(figure.value(figure.statistics(head, truth, said).sum(axis=0)))
    entry["labels"] = metrics.label_table(head, truth, said)
    if head.escalate:
        entry["escalation"] = escalation(head, truth, said, flagged, intervals)
    return entry


def _cell(entry: Mapping[str, Any], name: str) -> str:
    if name not in entry:
        return "-"
    interval = entry.get(f"{name}_interval")
    return f"{entry[name]:.3f}" + (f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else "")


def format_table(title: str, columns: Mapping[str, Mapping[str, Any]]) -> str:
    """A plain-text table of reports side by side.

    Args:
        title: its first line.
        columns: report of `judge` by name.
    """
    names = list(columns)
    reports = list(columns.values())
    lines = [f"{title} (n = {reports[0]['n']}; 95 % bootstrap intervals)"]
    lines.append("  " + f"{'':<33}" + "".join(f"{name:<26}" for name in names))
    for head, first in reports[0]["heads"].items():
        entries = [report["heads"].get(head, {}) for report in reports]
        for figure in ("macro_f1", "quadratic_kappa"):
            if figure in first:
                lines.append("  " + f"{head + ' ' + figure:<33}" + "".join(f"{_cell(e, figure):<26}" for e in entries))
        for figure in ("recall", "recall_with_review", "predicted_share", "true_share"):
            if "escalation" in first:
                cells = [f"{e['escalation'][figure]:.3f}" if "escalation" in e else "-" for e in entries]
                lines.append("  " + f"{'  escalated ' + figure:<33}" + "".join(f"{cell:<26}" for cell in cells))
        cells = [f"{e['calibration_error']:.3f}" if "calibration_error" in e else "-" for e in entries]
        lines.append("  " + f"{head + ' calibration error':<33}" + "".join(f"{cell:<26}" for cell in cells))
    lines.append("  " + f"{'review rate':<33}" + "".join(f"{r['review_rate']:<26.3f}" for r in reports))
    return "\n".join(lines)


def format_labels(report: Mapping[str, Any]) -> str:
    """Precision, recall and F1 of every label of every head, in plain text."""
    lines = [f"  {'label':<44}{'precision':>10}{'recall':>8}{'f1':>8}{'support':>9}"]
    for head, entry in report["heads"].items():
        for label, row in entry["labels"].items():
            if row["support"] or row["precision"]:
                name = f"{head}/{label}"
                lines.append(
                    f"  {name:<44}{row['precision']:>10.3f}{row['recall']:>8.3f}{row['f1']:>8.3f}{row['support']:>9}"
                )
    return "\n".join(lines)
