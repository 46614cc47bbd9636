"""What the release gate holds a candidate to: the margins, and one function for each kind of check."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from data.taxonomy import Taxonomy
from model.classifier import Classifier
from training.behaviour import pass_rates, run_suite
from training.compare import found_difference, primary_difference
from training.dataset import Record, targets
from training.evaluate import Answers, judge
from training.flips import flips
from training.resampling import primary_figure
from training.training_data import record_id


@dataclass(frozen=True)
class Margins:
    """How much worse a candidate may be, and what it must never be.

    Differences are candidate minus current on the same texts. On all texts together the first three bound the worst
    loss that the data allows (one-sided 95 % of a paired bootstrap); on each set they bound the loss seen, because a
    few hundred texts allow almost anything. Between two bundles of the same recipe on the authored test split (1,637
    texts, 470 of them urgent) the standard error of the difference is 0.012 for ``found``, 0.008 for topics and 0.014
    for urgency, which says how often an equally good candidate is turned away by chance.

    Attributes:
        found: loss in the share of escalating texts that are said to escalate or sent to review. The costliest error
            there is, so the doubt is the candidate's: one equally good in six is turned away.
        main_figure: loss in the first head's primary figure (macro-F1 of topics): what the desk routes by. One
            equally good candidate in fifty is turned away.
        ordinal_figure: loss in an ordinal head's quadratic-weighted kappa. One in forty.
        escalated_factor: predicted share of escalating texts over their true share. A desk that is sent a third more
            urgent tickets than there are stops believing the label.
        review_rate: gain in the share of texts sent to review; otherwise "found" could be bought with people's time.
        calibration_error: largest calibration error of a head without a parent, unless the current bundle's own is
            larger; scores are shown to people and must mean what they say.
        calibration_slack: what it may be above the current bundle's where that is over the limit already.
        minimum_functionality: loss in the suite's pass rate of what must always be right (371 cases: seven of them).
        directional: the same for changes that must move the answer (67 cases: three of them).
        invariance: the same for changes that must not (111 cases: three of them).
        flip_rate: share of texts whose topics or urgency flip under one perturbation, unless the current bundle's own
            is larger: what two annotators disagree on anyway.
        flip_slack: what it may be above the current bundle's where that is over the limit already; some two standard
            errors of that difference on 2,000 texts.
        int8_flips: share of answers (texts times heads) that int8 gives otherwise than float32; what a person would
            not notice, far below the model's own error.
        batch_flips: texts answered otherwise in a batch than alone. One is too many: an answer must not depend on
            who else was asking.
        impossible: texts given an issue without its topic, or not exactly one level.
        learned: share of a set's texts that are among the rows the candidate learned from. They are left out; a
            praise of three characters is written by many, but more than a few mean that the set was trained on.
        serving_bytes: all serving files together; they travel in the wheel and the image.
    """

    found: float = 0.03
    main_figure: float = 0.03
    ordinal_figure: float = 0.05
    escalated_factor: float = 1.3
    review_rate: float = 0.05
    calibration_error: float = 0.07
    calibration_slack: float = 0.01
    minimum_functionality: float = 0.02
    directional: float = 0.05
    invariance: float = 0.03
    flip_rate: float = 0.03
    flip_slack: float = 0.015
    int8_flips: float = 0.005
    batch_flips: int = 0
    impossible: int = 0
    learned: float = 0.01
    serving_bytes: int = 15_000_000


@dataclass(frozen=True)
class Check:
    """One check.

    Attributes:
        name: what is checked.
        on: the data it is checked on; empty where that is the bundle itself.
        value: what was measured.
        limit: what it is held to.
        most: whether the limit is the most (else the least) the value may be.
        candidate: the candidate's own figure behind a difference.
        current: the current bundle's.
    """

    name: str
    on: str
    value: float
    limit: float
    most: bool = True
    candidate: float | None = None
    current: float | None = None

    @property
    def passed(self) -> bool:
        """Whether the value holds to the limit; what could not be measured (NaN) does not."""
        return self.value <= self.limit if self.most else self.value >= self.limit

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        values = {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in asdict(self).items()}
        return {**values, "passed": self.passed}


@dataclass(frozen=True)
class Judged:
    """What candidate and current bundle say of one set.

    Attributes:
        name: of the set.
        records: labelled.
        ours: the candidate's answers.
        theirs: the current bundle's.
    """

    name: str
    records: Sequence[Record]
    ours: Answers
    theirs: Answers


def together(judged: Sequence[Judged]) -> Judged:
    """Several sets as one."""
    records = [record for one in judged for record in one.records]
    ours, theirs = (
        Answers(*(np.concatenate(parts) for parts in zip(*answers, strict=True)))
        for answers in ([one.ours for one in judged], [one.theirs for one in judged])
    )
    return Judged(judged[0].name if len(judged) == 1 else "all texts together", records, ours, theirs)


def size_check(folder: Path, margins: Margins) -> Check:
    """Bytes of all files of a serving copy."""
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return Check("bytes of the serving files", "", size, margins.serving_bytes)


def unlearned(folder: Path, records: Sequence[Record]) -> list[Record]:
    """Records that are not among the rows a bundle says it learned from."""
    path = folder / "training_rows.txt"
    learned = set(path.read_text("utf-8").split()) if path.is_file() else set()
    return [record for record in records if record_id(record) not in learned]


def learned_check(
    sets: Mapping[str, Sequence[Record]], clean: Mapping[str, Sequence[Record]], margins: Margins
) -> Check:
    """Share of a set that was learned from, in the set where it is largest."""
    share = max((1 - len(clean[name]) / len(records) for name, records in sets.items()), default=0.0)
    return Check("test texts it learned from (left out)", "", share, margins.learned)


def impossible_answers(taxonomy: Taxonomy, decided: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Rows (n, n_logits) in which a label lacks its parent, or a head with exactly one label has none or several."""
    bad = np.zeros(len(decided), dtype=bool)
    for head in taxonomy.heads:
        own = decided[:, taxonomy.slices[head.name]]
        if head.kind in ("ordinal", "single_label"):
            bad |= own.sum(axis=1) != 1
        if head.parent is not None:
            parent = taxonomy.head(head.parent)
            begin = taxonomy.slices[parent.name].start
            columns = [begin + parent.index(str(label.parent)) for label in head.labels]
            bad |= ((own == 1) & (decided[:, columns] == 0)).any(axis=1)
    return bad


def flip_share(taxonomy: Taxonomy, one: npt.NDArray[np.int64], two: npt.NDArray[np.int64]) -> float:
    """Share of answers, rows (n, n_logits) times heads, that differ."""
    differs = one != two
    return float(np.mean([differs[:, where].any(axis=1).mean() for where in taxonomy.slices.values()]))


def alone_and_together(classifier: Classifier, texts: Sequence[str], together: npt.NDArray[np.int64]) -> int:
    """How many texts are decided otherwise alone than they were in a batch, ``together`` (n, n_logits)."""
    alone = np.concatenate([classifier.decider.choose_all(classifier.probabilities([text])) for text in texts])
    return int((alone != together).any(axis=1).sum())


def loss_checks(taxonomy: Taxonomy, on: Judged, margins: Margins, worst: bool = True) -> list[Check]:
    """What the candidate loses against the current bundle.

    Args:
        taxonomy: of both.
        on: labelled records and what both say of them.
        margins: what is allowed.
        worst: whether to bound the worst loss that the data allows, or the loss seen.
    """
    wanted = targets(on.records, taxonomy)
    suffix = "worst loss" if worst else "loss seen"
    checks = []
    for number, head in enumerate(taxonomy.heads):
        where = taxonomy.slices[head.name]
        rows = ~np.isnan(wanted[:, where]).any(axis=1)
        if head.parent is not None or not rows.any():
            continue
        truth = wanted[rows, where].astype(np.int64)
        a, b = ((answers.decided[rows, where], answers.review[rows]) for answers in (on.ours, on.theirs))
        found = found_difference(head, truth, a, b) if head.escalate else None
        gaps = [] if found is None else [(f"{'+'.join(head.escalate)} found or reviewed", found, margins.found)]
        if number == 0 or head.kind == "ordinal":
            margin = margins.main_figure if number == 0 else margins.ordinal_figure
            what = f"{head.name} {primary_figure(head).name}"
            gaps.append((what, primary_difference(head, truth, a[0], b[0]), margin))
        for what, gap, margin in gaps:
            value = gap.worst if worst else gap.difference
            checks.append(Check(f"{what}, {suffix}", on.name, value, -margin, False, gap.ours, gap.theirs))
    return checks


def share_checks(taxonomy: Taxonomy, on: Judged, margins: Margins) -> list[Check]:
    """How much is called urgent, how much is sent to review, and how far off probabilities are."""
    name = on.name
    new, old = (
        judge(taxonomy, on.records, answers.decided, answers.probabilities, answers.review, intervals=False)
        for answers in (on.ours, on.theirs)
    )
    limit = old["review_rate"] + margins.review_rate
    rates = (new["review_rate"], old["review_rate"])
    checks = [Check("review rate", name, rates[0], limit, True, *rates)]
    for head in taxonomy.heads:
        entry, before = new["heads"].get(head.name), old["heads"].get(head.name)
        if entry is None or head.parent is not None:
            continue
        if head.escalate and entry["escalation"]["support"]:
            shares = [e["escalation"]["predicted_share"] / e["escalation"]["true_share"] for e in (entry, before)]
            what = f"{'+'.join(head.escalate)} said, times true"
            checks.append(Check(what, name, shares[0], margins.escalated_factor, True, *shares))
        errors = (entry["calibration_error"], before["calibration_error"])
        limit = max(margins.calibration_error, errors[1] + margins.calibration_slack)
        checks.append(Check(f"{head.name} calibration error", name, errors[0], limit, True, *errors))
    return checks


def suite_checks(new: Classifier, old: Classifier, cases: Sequence[Mapping[str, Any]], margins: Margins) -> list[Check]:
    """Candidate against current bundle on the behavioural suite, by kind of case."""
    rates = [pass_rates(run_suite(classifier, cases)) for classifier in (new, old)]
    limits = {
        "minimum_functionality": margins.minimum_functionality,
        "directional": margins.directional,
        "invariance": margins.invariance,
    }
    checks = []
    for kind, margin in limits.items():
        if kind in rates[0]:
            ours, theirs = rates[0][kind]["rate"], rates[1][kind]["rate"]
            checks.append(Check(f"{kind} passed, loss", "suite", ours - theirs, -margin, False, ours, theirs))
    return checks


def flip_checks(new: Classifier, old: Classifier, on: Judged, margins: Margins) -> list[Check]:
    """Flip rate of every perturbation."""
    texts = [str(record["text"]) for record in on.records]
    ours, theirs = flips(new, texts, on.ours.decided), flips(old, texts, on.theirs.decided)
    checks = []
    for perturbation, row in ours.items():
        before = theirs[perturbation]["rate"]
        limit = max(margins.flip_rate, before + margins.flip_slack)
        checks.append(Check(f"flips under {perturbation}", on.name, row["rate"], limit, True, row["rate"], before))
    return checks
