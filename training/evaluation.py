"""Everything an evaluation says, as one value that JSON, HTML and the model card are made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from data.taxonomy import Head, Taxonomy
from model.classifier import Classifier
from training import metrics
from training.behaviour import failures, pass_rates, run_suite, suite_fits
from training.compare import aligned, compare, shared_heads
from training.dataset import Record, check_records, targets
from training.evaluate import Answers, Decided, classify_records, judge
from training.flips import flips
from training.mistakes import missed_escalations, worst_errors
from training.resampling import Array, interval, label_scores_of, label_statistics, resampled_sums
from training.slices import slice_figures


@dataclass(frozen=True)
class Rival:
    """Other answers to the same records.

    Attributes:
        name: what the column is called.
        answers: in the columns of the judged bundle's taxonomy.
        heads: the heads it answers.
        calibrated: whether its probabilities and review flags mean anything.
    """

    name: str
    answers: Answers
    heads: Sequence[Head]
    calibrated: bool


def rival_bundle(name: str, rival: Classifier, taxonomy: Taxonomy, records: Sequence[Record]) -> Rival:
    """Another bundle's answers.

    Raises:
        DataError: it shares no head with the judged one.
    """
    heads = shared_heads(taxonomy, rival.taxonomy)
    answers = aligned(classify_records(rival, records), rival.taxonomy, taxonomy)
    return Rival(name, answers, heads, calibrated=True)


def head_detail(head: Head, truth: Decided, decided: Decided, p: Array) -> dict[str, Any]:
    """Labels with intervals, confusion matrix and reliability of one head.

    Args:
        head: the head.
        truth: (n, n_labels) 0/1.
        decided: (n, n_labels) 0/1.
        p: (n, n_labels) calibrated.
    """
    statistics = label_statistics(head, truth, decided)
    drawn = label_scores_of(resampled_sums(statistics))
    labels = metrics.label_table(head, truth, decided)
    for column, row in enumerate(labels.values()):
        for name, values in zip(("precision", "recall", "f1"), drawn, strict=True):
            row[f"{name}_interval"] = interval(values[:, column])  # type: ignore[assignment]
    names, counts = metrics.confusion(head, truth, decided)
    return {
        "labels": labels,
        "confusion": {"names": list(names), "counts": counts.tolist()},
        "reliability": metrics.reliability(head, p, truth),
    }


def _present(taxonomy: Taxonomy, head: Head, wanted: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    return np.asarray(~np.isnan(wanted[:, taxonomy.slices[head.name]]).any(axis=1))


def _details(taxonomy: Taxonomy, wanted: npt.NDArray[np.float32], answers: Answers) -> dict[str, Any]:
    result = {}
    for head in taxonomy.heads:
        where, rows = taxonomy.slices[head.name], _present(taxonomy, head, wanted)
        if rows.any():
            truth = wanted[rows, where].astype(np.int64)
            result[head.name] = head_detail(
                head, truth, answers.decided[rows, where], answers.probabilities[rows, where]
            )
    return result


def evaluate_set(
    taxonomy: Taxonomy, records: Sequence[Record], answers: Answers, rivals: Sequence[Rival] = ()
) -> dict[str, Any]:
    """All that is said of one set of labelled records.

    Args:
        taxonomy: the judged bundle's.
        records: labelled records.
        answers: what the bundle says of them.
        rivals: others to hold it against.

    Returns:
        ``fankui`` and every rival's name give a report of `training.evaluate.judge`; beside them ``comparisons``,
        ``detail``, ``slices``, ``missed`` and ``worst``.

    Raises:
        DataError: a record does not fit the taxonomy.
    """
    check_records(records, taxonomy)
    wanted = targets(records, taxonomy)
    p, decided, review = answers
    result: dict[str, Any] = {"fankui": judge(taxonomy, records, decided, p, review)}
    for rival in rivals:
        theirs = rival.answers
        figures = (theirs.probabilities, theirs.review) if rival.calibrated else (None, None)
        report = judge(taxonomy, records, theirs.decided, *figures)
        answered = {head.name for head in rival.heads}
        report["heads"] = {name: entry for name, entry in report["heads"].items() if name in answered}
        result[rival.name] = report
    result["comparisons"] = {
        rival.name: compare(taxonomy, records, answers, rival.answers, rival.heads) for rival in rivals
    }
    result["detail"] = _details(taxonomy, wanted, answers)
    result["slices"] = slice_figures(taxonomy, records, answers)
    result["missed"] = missed_escalations(taxonomy, records, answers)
    result["worst"] = worst_errors(taxonomy, records, answers)
    return result


def evaluate_behaviour(
    classifier: Classifier,
    cases: Sequence[Mapping[str, Any]],
    sets: Mapping[str, tuple[Sequence[Record], Answers]],
) -> dict[str, Any]:
    """The suite's pass rates and the flips over sets of records.

    Args:
        classifier: the judged bundle.
        cases: of the suite; left out where the taxonomy is another one.
        sets: records and what was said of them, by name.

    Returns:
        ``{"rates", "failures", "flips": {set: {perturbation: {…}}}}``, ready for JSON.
    """
    results = run_suite(classifier, cases) if cases and suite_fits(classifier.taxonomy) else []
    flipped = {
        name: flips(classifier, [str(r["text"]) for r in records], answers.decided)
        for name, (records, answers) in sets.items()
    }
    return {"rates": pass_rates(results), "failures": failures(results), "flips": flipped}


def header(classifier: Classifier) -> dict[str, Any]:
    """What was judged and when."""
    bundle = classifier.bundle
    return {
        "model_version": bundle.model_version,
        "taxonomy": {"name": bundle.taxonomy.name, "version": bundle.taxonomy.version},
        "precision": "int8" if "int8" in bundle.onnx else "fp32",
        "measured_at": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }


def without_texts(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """A copy without any feedback text; ids stay, so that the rows can be found."""

    def cleaned(value: Any) -> Any:
        if isinstance(value, Mapping):
            kept = {k: v for k, v in value.items() if not (k in ("text", "changed") and isinstance(v, str))}
            return {k: [] if k == "examples" else cleaned(v) for k, v in kept.items()}
        return [cleaned(v) for v in value] if isinstance(value, list | tuple) else value

    return dict(cleaned(evaluation))
