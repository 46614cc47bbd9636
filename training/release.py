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
from training.dataset import Record, check_records
from training.errors import ConfigError
from training.evaluate import classify_records
from training.release_checks import (
    Check,
    Judged,
    Margins,
    alone_and_together,
    flip_checks,
    flip_share,
    impossible_answers,
    learned_check,
    loss_checks,
    share_checks,
    size_check,
    suite_checks,
    together,
    unlearned,
)
from training.write_bundle import serving_copy


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
    whole, old = _opened_whole(candidate), Classifier.load(over)
    if whole.taxonomy.logit_names != old.taxonomy.logit_names:
        raise ConfigError(
            f"{candidate} and {over} answer different heads or labels, so nothing says whether one is better; "
            "a new taxonomy is put in place by hand"
        )
    for records in sets.values():
        check_records(records, whole.taxonomy)
    exact = Classifier(dataclasses.replace(whole, onnx={"fp32": whole.onnx["fp32"]}))
    with tempfile.TemporaryDirectory(prefix="fankui-release-") as folder:
        small = Path(folder) / "bundle"
        version = serving_copy(candidate, small)
        clean = {name: unlearned(small, records) for name, records in sets.items()}
        checks = [size_check(small, margins), learned_check(sets, clean, margins)]
        clean = {name: records for name, records in clean.items() if records}
        new = Classifier.load(small)
        checks += _answer_checks(new, old, exact, clean, margins)
        if cases and suite_fits(whole.taxonomy):
            checks += suite_checks(new, old, cases, margins)
    counts = {name: len(records) for name, records in clean.items()}
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return GateResult(version, old.model_version, counts, tuple(checks), margins, now)


def _answer_checks(
    new: Classifier, old: Classifier, exact: Classifier, sets: Mapping[str, Sequence[Record]], margins: Margins
) -> list[Check]:
    """On every set, and on all of them together."""
    checks: list[Check] = []
    judged = []
    for name, records in sets.items():
        on = Judged(name, records, classify_records(new, records), classify_records(old, records))
        judged.append(on)
        checks += share_checks(new.taxonomy, on, margins)
        if len(sets) > 1:
            checks += loss_checks(new.taxonomy, on, margins, worst=False)
    if not judged:
        return checks
    every = together(judged)
    checks += loss_checks(new.taxonomy, every, margins)
    checks += _agreement_checks(new, exact, every, margins)
    return checks + flip_checks(new, old, every, margins)


def _agreement_checks(new: Classifier, exact: Classifier, on: Judged, margins: Margins) -> list[Check]:
    """With itself: possible answers, the same alone and in a batch, the same in int8 and float32."""
    texts, decided = [str(record["text"]) for record in on.records], on.ours.decided
    impossible = int(impossible_answers(new.taxonomy, decided).sum())
    alone = alone_and_together(new, texts, decided)
    flipped = flip_share(new.taxonomy, decided, classify_records(exact, on.records).decided)
    return [
        Check("impossible combinations", on.name, impossible, margins.impossible),
        Check("answered otherwise alone than in a batch", on.name, alone, margins.batch_flips),
        Check("int8 flips against fp32", on.name, flipped, margins.int8_flips),
    ]
