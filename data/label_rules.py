"""What the annotation guide forbids: label combinations that no reading of a text can justify.

The rules speak of the labels of the default taxonomy (`data/taxonomy.toml`); `docs/labels.md` explains each.
They catch slips, they do not label: a record that passes may still be labelled wrongly.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from data.corpus import CorpusRecord

_ESCALATED: Final = frozenset(("high", "critical"))
_MONEY_OR_ACCESS: Final = frozenset(("security", "payment_failure"))
_THEFT: Final = frozenset(("security.unauthorised_payment", "security.account_takeover"))
_LOOKS: Final = frozenset(("ui.ads", "ui.layout", "ui.navigation", "ui.steps", "ui.display", "ui.update"))
_DEFECTS: Final = frozenset(("ui.crash", "ui.loading", "ui.lag", "ui.malfunction"))

_THREAT: Final = re.compile(
    "投诉|举报|12315|12378|12363|12377|12381|12386|315|银监|银保监|保监|监管|金管局|工信|网信|消协|消委|消保委|工商局?|律师|起诉|法院|法庭"
    "|传票|法务|诉讼|仲裁|报警|警方|警察|派出所|公安|媒体|记者|报社|电视台|曝光|投訴|舉報|監管|律師|起訴|訴訟|報警|記者|媒體|傳媒"
)
_DEADLINE: Final = re.compile(
    "今天|今日|今晚|明天|明早|明日|当天|当日|即日|马上|立刻|小时|点前|截止|最后一天|聽日|今天內|到期"
)


@dataclass(frozen=True)
class LabelRule:
    """One combination that the guide rules out.

    Attributes:
        code: stable name, as it stands in messages and in `docs/labels.md`.
        reason: what is wrong and what the guide says, one sentence.
        broken: whether a record is such a case.
    """

    code: str
    reason: str
    broken: Callable[[CorpusRecord], bool]


def _high_without_reason(record: CorpusRecord) -> bool:
    named = _THREAT.search(record.text) or _DEADLINE.search(record.text)
    return record.urgency == "high" and not record.topics and not named


def _escalated_without_threat(record: CorpusRecord) -> bool:
    """Critical, or high although nobody outside is called in."""
    return record.urgency == "critical" or (record.urgency == "high" and not _THREAT.search(record.text))


def _open_defect(record: CorpusRecord) -> bool:
    if not _DEFECTS & set(record.issues) or record.handling == "unresolvable":
        return False
    return (record.urgency == "low") != (record.handling == "immediate")


def _only(record: CorpusRecord, *issues: str) -> bool:
    return bool(record.issues) and set(record.issues) <= set(issues)


LABEL_RULES: Final = (
    LabelRule(
        "escalated-positive",
        "critical or high with a positive stance: nobody is content while money or access is lost",
        lambda r: r.urgency in _ESCALATED and r.sentiment == "positive",
    ),
    LabelRule(
        "escalated-immediate",
        "critical or high with handling immediate: a reply alone does not bring money or access back",
        lambda r: r.urgency in _ESCALATED and r.handling == "immediate",
    ),
    LabelRule(
        "critical-topic",
        "critical without security or payment_failure: its rule speaks of loss, takeover, leaks, fraud and outages",
        lambda r: r.urgency == "critical" and not _MONEY_OR_ACCESS & set(r.topics),
    ),
    LabelRule(
        "high-reason",
        "high without a topic needs a threat (regulator, media, police, court) or a deadline in the text",
        _high_without_reason,
    ),
    LabelRule(
        "request-immediate",
        "feature_request with immediate: a wish is a product decision (investigate) or cannot be (unresolvable)",
        lambda r: "feature_request" in r.topics and r.handling == "immediate",
    ),
    LabelRule(
        "request-urgency",
        "nothing but a feature_request and high or critical: an idea is low, a function taken away at most normal",
        lambda r: r.topics == ("feature_request",) and _escalated_without_threat(r),
    ),
    LabelRule(
        "leaving-positive",
        "churn_risk with a positive stance: who is about to leave is not content",
        lambda r: r.churn_risk and r.sentiment == "positive",
    ),
    LabelRule(
        "nothing-open",
        "no topic, low, and yet investigate: what is open (then normal), or what reply closes it (then immediate)?",
        lambda r: not r.topics and r.urgency == "low" and r.handling == "investigate",
    ),
    LabelRule(
        "theft-urgency",
        "theft or takeover is critical, or low once cleared up; nothing between",
        lambda r: bool(_THEFT & set(r.issues)) and r.urgency not in ("critical", "low"),
    ),
    LabelRule(
        "fraud-urgency",
        "fraud alone is critical (money or data lost), normal (suspicion) or low (over), never high",
        lambda r: _only(r, "security.fraud") and r.urgency == "high",
    ),
    LabelRule(
        "card-binding-urgency",
        "a card that cannot be bound, and nothing else, is normal (ruling 6)",
        lambda r: _only(r, "payment_failure.card_binding") and _escalated_without_threat(r),
    ),
    LabelRule(
        "unwanted-charge-urgency",
        "the company's own unwanted charge is high (ruling 11), or low once settled",
        lambda r: _only(r, "payment_failure.unwanted_charge") and r.urgency not in ("high", "low"),
    ),
    LabelRule(
        "looks-urgency",
        "ads, layout, navigation, steps, display or updates alone cannot be high: what stops the user is missing",
        lambda r: _only(r, *_LOOKS) and _escalated_without_threat(r),
    ),
    LabelRule(
        "defect-handling",
        "a crash, lag, loading or function defect is low and immediate once over, else at least normal and investigate",
        _open_defect,
    ),
    LabelRule(
        "wordless",
        "a text without a letter has no topic and is low (ruling 17)",
        lambda r: not any(c.isalpha() for c in r.text) and bool(r.topics or r.urgency != "low"),
    ),
)


def broken_rules(record: CorpusRecord) -> Iterator[LabelRule]:
    """The rules that a record breaks, in the order of `LABEL_RULES`."""
    return (rule for rule in LABEL_RULES if rule.broken(record))
