"""Judging decisions on labelled records: figures a head with intervals, beside another set of decisions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from data.taxonomy import Head, Taxonomy
from model.classifier import Classifier
from training import metrics
from training.dataset import Record, check_records, targets

Array = npt.NDArray[np.float64]
Decided = npt.NDArray[np.int64]

_BOOTSTRAP_ROUNDS = 1000


def classify_records(classifier: Classifier, records: Sequence[Record]) -> tuple[Array, Decided, npt.NDArray[np.bool_]]:
    """Run a classifier over records as serving would.

    Returns:
        Probabilities (n, n_logits), decisions (n, n_logits) 0/1, and who is flagged for review (n,).
    """
    texts = [str(r["text"]) for r in records]
    p = np.concatenate([classifier.probabilities(texts[i : i + 512]) for i in range(0, len(texts), 512)])
    return p, classifier.decider.choose_all(p), np.array([x.needs_review for x in classifier.decider.decide(p)])


def escalation(
    head: Head, truth: npt.NDArray[Any], decided: Decided, review: npt.NDArray[np.bool_]
) -> dict[str, float]:
    """Recall of the escalating labels, with and without review, and their predicted against their true share."""
    columns = np.isin(head.names, head.escalate)
    true, said = truth[:, columns].any(axis=1), decided[:, columns].any(axis=1)
    n = max(int(true.sum()), 1)
    return {
        "recall": float((true & said).sum() / n),
        "recall_with_review": float((true & (said | review)).sum() / n),
        "predicted_share": float(said.mean()),
        "true_share": float(true.mean()),
        "support": int(true.sum()),
    }


def _interval(
    head: Head, truth: npt.NDArray[Any], decided: Decided, figure: Callable[[Head, npt.NDArray[Any], Decided], float]
) -> tuple[float, float]:
    return metrics.bootstrap(lambda rows: figure(head, truth[rows], decided[rows]), len(truth), _BOOTSTRAP_ROUNDS)


def judge(
    taxonomy: Taxonomy,
    records: Sequence[Record],
    decided: Decided,
    probabilities: Array | None = None,
    review: npt.NDArray[np.bool_] | None = None,
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
        figures = {"macro_f1": metrics.macro_f1}
        if head.kind == "ordinal":
            figures["quadratic_kappa"] = metrics.quadratic_kappa
        entry: dict[str, Any] = {"kind": head.kind, "n": int(present.sum())}
        for name, figure in figures.items():
            entry[name] = figure(head, truth, said)
            if intervals:
                entry[f"{name}_interval"] = _interval(head, truth, said, figure)
        entry["labels"] = metrics.label_table(head, truth, said)
        if head.escalate:
            entry["escalation"] = escalation(head, truth, said, flagged[present])
        if probabilities is not None:
            entry["calibration_error"] = metrics.calibration_error(head, probabilities[present, where], truth)
        heads[head.name] = entry
    return {"n": len(records), "review_rate": float(flagged.mean()), "heads": heads}


def paired_difference(
    taxonomy: Taxonomy, records: Sequence[Record], head_name: str, ours: Decided, theirs: Decided
) -> dict[str, Any]:
    """Difference of a head's primary figure between two sets of decisions on the same records.

    Returns:
        ``difference`` (ours minus theirs) and its 95 % paired bootstrap ``interval``.
    """
    head, where = taxonomy.head(head_name), taxonomy.slices[head_name]
    wanted = targets(records, taxonomy)[:, where]
    present = ~np.isnan(wanted).any(axis=1)
    truth, a, b = wanted[present].astype(np.int64), ours[present, where], theirs[present, where]

    def difference(rows: npt.NDArray[np.int64]) -> float:
        return metrics.primary(head, truth[rows], a[rows]) - metrics.primary(head, truth[rows], b[rows])

    rows = np.arange(len(truth))
    return {"difference": difference(rows), "interval": metrics.bootstrap(difference, len(truth), _BOOTSTRAP_ROUNDS)}


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
    lines.append("  " + f"{'':<30}" + "".join(f"{name:<26}" for name in names))
    for head, first in reports[0]["heads"].items():
        entries = [report["heads"].get(head, {}) for report in reports]
        for figure in ("macro_f1", "quadratic_kappa"):
            if figure in first:
                lines.append("  " + f"{head + ' ' + figure:<30}" + "".join(f"{_cell(e, figure):<26}" for e in entries))
        for figure in ("recall", "recall_with_review", "predicted_share", "true_share"):
            if "escalation" in first:
                cells = [f"{e['escalation'][figure]:.3f}" if "escalation" in e else "-" for e in entries]
                lines.append("  " + f"{'  escalated ' + figure:<30}" + "".join(f"{cell:<26}" for cell in cells))
        cells = [f"{e['calibration_error']:.3f}" if "calibration_error" in e else "-" for e in entries]
        lines.append("  " + f"{head + ' calibration error':<30}" + "".join(f"{cell:<26}" for cell in cells))
    lines.append("  " + f"{'review rate':<30}" + "".join(f"{r['review_rate']:<26.3f}" for r in reports))
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
