"""Run a behavioural suite (CheckList, Ribeiro et al. 2020, https://arxiv.org/abs/2005.04118) against a classifier.

Minimum functionality cases hold what the annotation guide makes certain; directional cases say how a decision must move
when something is added; invariance cases change nothing that matters.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from model.classifier import Classifier
from model.decision import Prediction
from training.errors import DataError


@dataclass(frozen=True)
class CaseResult:
    """One case.

    Attributes:
        case: as it stands in the suite.
        passed: whether all it expects holds.
        said: what was said of its text or texts, for reading failures.
    """

    case: Mapping[str, Any]
    passed: bool
    said: tuple[str, ...]


def read_suite(path: Path) -> list[dict[str, Any]]:
    """Read a suite, one case a line.

    Raises:
        DataError: the file is missing or a line is not a case.
    """
    if not path.is_file():
        raise DataError(f"no behavioural suite {path}")
    cases = [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]
    for number, case in enumerate(cases, 1):
        if not {"id", "kind", "text"} <= set(case):
            raise DataError(f"{path}:{number}: a case needs id, kind and text")
    return cases


def _topics(prediction: Prediction) -> set[str]:
    return set(cast("list[str]", prediction["topics"]))


def _holds(expect: Mapping[str, Any], prediction: Prediction) -> bool:
    topics = _topics(prediction)
    checks: dict[str, Callable[[Any], bool]] = {
        "topics": lambda value: set(value) == topics,
        "topics_include": lambda value: set(value) <= topics,
        "topics_exclude": lambda value: not set(value) & topics,
        "churn_risk": lambda value: prediction["churn_risk"] == value,
    }
    return all(checks[name](value) if name in checks else prediction[name] in value for name, value in expect.items())


def _moves(expect: Mapping[str, Any], levels: Sequence[str], before: Prediction, after: Prediction) -> bool:
    step = levels.index(str(after["urgency"])) - levels.index(str(before["urgency"]))
    urgency = {"higher": step > 0, "lower": step < 0, "not_higher": step <= 0, "not_lower": step >= 0}
    held = []
    for name, value in expect.items():
        if name == "urgency":
            held.append(urgency[value])
        elif name == "topics_gain":
            held.append(({value} if isinstance(value, str) else set(value)) <= _topics(after))
        elif name == "churn_risk":
            held.append(
                bool(after["churn_risk"])
                if value == "becomes_true"
                else not (before["churn_risk"] or after["churn_risk"])
            )
        else:
            raise DataError(f"a directional case cannot expect {name!r}")
    return all(held)


def run_suite(classifier: Classifier, cases: Sequence[Mapping[str, Any]]) -> list[CaseResult]:
    """Judge all cases."""
    before = classifier.predict([case["text"] for case in cases])
    after = classifier.predict([case.get("changed", case["text"]) for case in cases])
    levels = classifier.taxonomy.head("urgency").names
    results = []
    for case, one, two in zip(cases, before, after, strict=True):
        if case["kind"] == "minimum_functionality":
            passed = _holds(case["expect"], one)
        elif case["kind"] == "directional":
            passed = _moves(case["expect"], levels, one, two)
        else:
            passed = _topics(one) == _topics(two) and one["urgency"] == two["urgency"]
        results.append(CaseResult(case, passed, tuple(f"{sorted(_topics(p))} {p['urgency']}" for p in (one, two))))
    return results


def pass_rates(results: Sequence[CaseResult]) -> dict[str, dict[str, float]]:
    """Share passed by kind, by capability and, for invariance, by perturbation: ``{"rate", "n"}`` each."""
    groups: dict[str, list[bool]] = defaultdict(list)
    for result in results:
        groups[result.case["kind"]].append(result.passed)
        detail = result.case.get("perturbation") or result.case.get("capability", "")
        groups[f"{result.case['kind']}/{detail}"].append(result.passed)
    return {name: {"rate": sum(passed) / len(passed), "n": len(passed)} for name, passed in sorted(groups.items())}
