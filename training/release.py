"""The release gate: a candidate takes a bundle's place only if it has lost nothing that matters."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from model.bundle import Bundle, open_bundle
from model.classifier import Classifier
from training.behaviour import suite_fits
from training.compare import aligned
from training.dataset import Record, check_records
from training.errors import ConfigError
from training.evaluate import Answers, classify_records
from training.release_checks import (
    Check,
    Margins,
    alone_and_together,
    flip_checks,
    flip_share,
    impossible_answers,
    learned_check,
    quality_checks,
    size_check,
    suite_checks,
)
from training.train import serving_copy


@dataclass(frozen=True)
class GateResult:
    """What the gate found.

    Attributes:
        candidate: model version of the candidate's serving copy.
        over: model version of the bundle it would replace.
        sets: number of texts by name of the set.
        checks: all checks.
        margins: what they were held to.
        judged_at: when.
    """

    candidate: str
    over: str
    sets: Mapping[str, int]
    checks: tuple[Check, ...]
    margins: Margins
    judged_at: str

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(check.passed for check in self.checks)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        values = dataclasses.asdict(self)
        checks = [check.to_dict() for check in self.checks]
        return {"passed": self.passed, **values, "sets": dict(self.sets), "checks": checks}

    def table(self) -> str:
        """The checks as plain text, one a line."""
        lines = [f"candidate {self.candidate} over {self.over}"]
        lines += [f"  {name}: {n:,} texts" for name, n in self.sets.items()]
        lines.append(f"{'check':<46}{'on':<24}{'candidate':>10}{'current':>10}{'value':>13}{'limit':>14}")
        for check in self.checks:
            own = "".join(f"{'' if v is None else f'{v:.3f}':>10}" for v in (check.candidate, check.current))
            limit = f"{'≤' if check.most else '≥'} {_number(check.limit)}"
            verdict = "pass" if check.passed else "FAIL"
            lines.append(f"{check.name:<46}{check.on[:23]:<24}{own}{_number(check.value):>13}{limit:>14}  {verdict}")
        failed = sum(not check.passed for check in self.checks)
        lines.append("passed" if self.passed else f"not released: {failed} of {len(self.checks)} checks failed")
        return "\n".join(lines)


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}"


def _opened_whole(folder: Path) -> Bundle:
    bundle = open_bundle(folder)
    if "fp32" not in bundle.onnx:
        raise ConfigError(
            f"{folder} has no float32 ONNX file, which the gate holds int8 against; give the whole bundle that "
            "`fankui train` wrote, not a serving copy"
        )
    return bundle


def judge_candidate(
    candidate: Path,
    over: Path,
    sets: Mapping[str, Sequence[Record]],
    cases: Sequence[Mapping[str, Any]] = (),
    margins: Margins = Margins(),
) -> GateResult:
    """Hold a candidate against the bundle it would replace. Nothing is changed.

    Args:
        candidate: a whole bundle, as `fankui train` writes it.
        over: the bundle it would replace.
        sets: labelled records by name.
        cases: of the behavioural suite; left out for taxonomies they do not speak of.
        margins: what is allowed.

    Raises:
        BundleError: a bundle cannot be opened.
        ConfigError: the candidate is not whole, or answers other heads or labels than the current bundle.
        DataError: a record does not fit the taxonomy.
    """
    whole = _opened_whole(candidate)
    old = Classifier.load(over)
    if [(h.name, h.names) for h in whole.taxonomy.heads] != [(h.name, h.names) for h in old.taxonomy.heads]:
        raise ConfigError(
            f"{candidate} and {over} answer different heads or labels, so nothing says whether one is better; "
            "a new taxonomy is put in place by hand"
        )
    for records in sets.values():
        check_records(records, whole.taxonomy)
    with tempfile.TemporaryDirectory(prefix="fankui-release-") as folder:
        small = Path(folder) / "bundle"
        version = serving_copy(candidate, small)
        new = Classifier.load(small)
        exact = Classifier(dataclasses.replace(whole, onnx={"fp32": whole.onnx["fp32"]}))
        checks = [size_check(small, margins), learned_check(small, sets, margins)]
        for name, records in sets.items():
            checks += _set_checks(new, old, exact, name, records, margins)
        if cases and suite_fits(whole.taxonomy):
            checks += suite_checks(new, old, cases, margins)
    counts = {name: len(records) for name, records in sets.items()}
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return GateResult(version, old.model_version, counts, tuple(checks), margins, now)


def _set_checks(
    new: Classifier, old: Classifier, exact: Classifier, name: str, records: Sequence[Record], margins: Margins
) -> list[Check]:
    taxonomy, texts = new.taxonomy, [str(record["text"]) for record in records]
    ours: Answers = classify_records(new, records)
    theirs = aligned(classify_records(old, records), old.taxonomy, taxonomy)
    in_fp32 = classify_records(exact, records).decided
    impossible = int(impossible_answers(taxonomy, ours.decided).sum())
    alone = alone_and_together(new, texts, ours.decided)
    return [
        Check("impossible combinations", name, impossible, margins.impossible),
        Check("answered otherwise alone than in a batch", name, alone, margins.batch_flips),
        Check("int8 flips against fp32", name, flip_share(taxonomy, ours.decided, in_fp32), margins.int8_flips),
        *quality_checks(taxonomy, name, records, ours, theirs, margins),
        *flip_checks((new, ours), (old, theirs), name, texts, margins),
    ]
