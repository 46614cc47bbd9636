"""Run a behavioural suite (CheckList, Ribeiro et al. 2020, https://arxiv.org/abs/2005.04118) against a classifier.

Minimum functionality cases hold what the annotation guide makes certain; directional cases say how a decision must move
when something is added; invariance cases change nothing that matters. `training.flips` runs the invariances over any
texts.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from data.taxonomy import Taxonomy
from model.classifier import Classifier
from model.decision import Prediction
from training.errors import DataError

SUITE_FILE: Final = Path("tests") / "behaviour" / "suite.jsonl"

_HEADS_OF_SUITE: Final = ("topics", "urgency", "handling", "sentiment", "churn_risk")


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


def suite_path() -> Path:
    """Where the suite lies: in the checkout that this module is of, or in the one that is worked in.

    Raises:
        DataError: neither place has it.
    """
    for folder in (Path(__file__).parent.parent, Path.cwd()):
        if (folder / SUITE_FILE).is_file():
            return folder / SUITE_FILE
    raise DataError(
        f"no {SUITE_FILE}: the behavioural suite is no part of the installed package; run from a checkout of fankui or "
        "name a file with --suite"
    )


def suite_fits(taxonomy: Taxonomy) -> bool:
    """Whether a taxonomy has the heads that the suite's cases speak of."""
    return {head.name for head in taxonomy.heads} >= set(_HEADS_OF_SUITE)


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
    """Judge all cases.

    Raises:
        DataError: the classifier's taxonomy lacks a head the cases speak of, or a case expects what is not known.
    """
    if not suite_fits(classifier.taxonomy):
        raise DataError(f"the suite speaks of {', '.join(_HEADS_OF_SUITE)}; {classifier.taxonomy.name} lacks some")
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


def failures(results: Sequence[CaseResult]) -> list[dict[str, Any]]:
    """Cases that failed, as a report shows them: ``{"id", "kind", "detail", "text", "changed", "expect", "said"}``."""
    rows = []
    for result in results:
        if not result.passed:
            case = result.case
            detail = str(case.get("perturbation") or case.get("capability", ""))
            texts = {"text": case["text"], "changed": case.get("changed"), "expect": case.get("expect")}
            rows.append({"id": case["id"], "kind": case["kind"], "detail": detail, **texts, "said": list(result.said)})
    return rows


def format_behaviour(rates: Mapping[str, Mapping[str, float]], flipped: Mapping[str, Mapping[str, Any]]) -> str:
    """Pass rates of the suite by kind and flip rates by set, in plain text.

    Args:
        rates: of `pass_rates`; may be empty.
        flipped: of `training.flips.flips`, by name of the set.
    """
    lines = ["behaviour"]
    for name, row in rates.items():
        if "/" not in name or name.startswith("invariance/"):
            lines.append(f"  {name:<46}{row['rate']:>8.3f} passed of {int(row['n'])}")
    for name, perturbations in flipped.items():
        lines.append(f"  flip rates over {name}")
        for perturbation, row in perturbations.items():
            low, high = row["interval"]
            lines.append(
                f"    {perturbation:<44}{row['rate']:>8.3f} [{low:.3f}, {high:.3f}]  {row['flips']} of {row['n']}"
            )
    return "\n".join(lines)
