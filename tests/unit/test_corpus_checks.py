"""Every rule of `fankui data check`: a sound corpus passes, a broken one is named by file, line and reason."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data.commands import data
from data.corpus import CORPUS_SPLITS, CorpusRecord, corpus_folder, read_lines, record_id, write_lines
from data.corpus_checks import Failure, check_corpus
from data.label_rules import LABEL_RULES, broken_rules
from data.personal_data import passes_luhn, personal_data, valid_identity
from data.skeletons import skeleton
from data.taxonomy import Taxonomy

Rows = dict[str, list[dict[str, Any]]]


def record(text: str, *issues: str, **labels: Any) -> dict[str, Any]:
    head = Taxonomy.default().head("topics")
    topics = sorted({issue.split(".")[0] for issue in issues}, key=head.index)
    plain = {"urgency": "low", "handling": "immediate", "sentiment": "negative"}
    rest = {"churn_risk": False, "channel": "app_review", "enriched": False}
    return {"id": record_id(text), "text": text, "topics": topics, "issues": list(issues), **plain, **rest, **labels}


SOUND = {
    "train": [
        record("点账单就闪", "ui.crash", urgency="normal", handling="investigate"),
        record("老妈也学会了，好用", sentiment="positive"),
    ],
    "validation": [record("哪里改手机号", sentiment="neutral")],
    "test": [
        record("卡里少了九千，不是我花的", "security.unauthorised_payment", urgency="critical", handling="investigate")
    ],
}


def write(folder: Path, rows: Rows) -> None:
    for split in CORPUS_SPLITS:
        write_lines(folder / f"{split}.jsonl", sorted(rows[split], key=lambda row: str(row["id"])))


@pytest.fixture
def check(tmp_path: Path) -> Callable[..., list[Failure]]:
    """Check the sound corpus with some rows added to a split."""

    def run(*added: dict[str, Any], split: str = "train", public: tuple[str, ...] = ()) -> list[Failure]:
        write(tmp_path, {**SOUND, split: [*SOUND[split], *added]})
        return check_corpus(tmp_path, Taxonomy.default(), public)[1]

    return run


def test_a_sound_corpus_passes(check: Callable[..., list[Failure]]) -> None:
    assert check() == []


def test_the_shipped_corpus_passes_and_its_pages_are_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    code = data(["check"])
    said = capsys.readouterr().out
    assert code == 0, said
    assert int(said.split()[0].replace(",", "")) >= 8000


BREAKERS = {
    "escalated-positive": record(
        "钱终于要回来了吗", "payment_failure.refund", urgency="high", handling="investigate", sentiment="positive"
    ),
    "escalated-immediate": record("转账没到", "payment_failure.transfer", urgency="high"),
    "critical-topic": record("全完了", "ui.loading", urgency="critical", handling="investigate"),
    "high-reason": record("柜员不理人", urgency="high", handling="investigate"),
    "request-immediate": record("出个手表版", "feature_request.device_support", sentiment="neutral"),
    "request-urgency": record("出个手表版吧", "feature_request.device_support", urgency="high", handling="investigate"),
    "leaving-positive": record("好用，下周就卸", sentiment="positive", churn_risk=True),
    "nothing-open": record("年费真贵", handling="investigate"),
    "theft-urgency": record("有人登了我的号", "security.account_takeover", urgency="high", handling="investigate"),
    "fraud-urgency": record("被骗了两千", "security.fraud", urgency="high", handling="investigate"),
    "card-binding-urgency": record(
        "绑不了社保卡", "payment_failure.card_binding", urgency="high", handling="investigate"
    ),
    "unwanted-charge-urgency": record(
        "又自动续了会员", "payment_failure.unwanted_charge", urgency="normal", handling="investigate"
    ),
    "looks-urgency": record("首页太花", "ui.layout", urgency="high", handling="investigate"),
    "defect-handling": record("老是卡顿啊", "ui.lag", handling="investigate"),
    "wordless": record("。。。？", urgency="normal", handling="investigate"),
}


def test_there_is_a_breaker_for_every_label_rule() -> None:
    assert list(BREAKERS) == [rule.code for rule in LABEL_RULES]


@pytest.mark.parametrize("code", BREAKERS)
def test_each_label_rule_catches_its_case_and_nothing_else_does(code: str, check: Callable[..., list[Failure]]) -> None:
    assert [failure.rule for failure in check(BREAKERS[code])] == [code]


@pytest.mark.parametrize(
    "row",
    [
        record("明天不退我就去12378投诉", urgency="high", handling="investigate"),
        record("首页太花，还乱跳，已经递材料到工信部", "ui.layout", urgency="high", handling="investigate"),
        record("已经还了，上周闪退那事好了", "ui.crash"),
        record("塞班机装了就崩", "ui.crash", urgency="normal", handling="unresolvable"),
        record("那笔不是盗刷，是我妈交的电费", "security.unauthorised_payment", sentiment="neutral"),
        record(
            "加个手表版，还有，今天转账没到",
            "payment_failure.transfer",
            "feature_request.device_support",
            urgency="high",
            handling="investigate",
        ),
    ],
)
def test_rules_leave_lawful_cases_alone(row: dict[str, Any]) -> None:
    assert [rule.code for rule in broken_rules(CorpusRecord.from_dict(row))] == []


@pytest.mark.parametrize(
    ("row", "rule", "reason"),
    [
        ({**record("闪退了哟"), "urgency": "huge"}, "schema", "unknown label 'huge'"),
        ({**record("闪退了哟"), "channel": "fax"}, "schema", "unknown channel 'fax'"),
        ({**record("闪退了哟"), "stars": 5}, "schema", "unknown \\['stars'\\]"),
        (
            record("闪退了哟", "ui.lag", "ui.crash", urgency="normal", handling="investigate"),
            "schema",
            "not in the taxonomy's order",
        ),
        ({**record("好看"), "topics": ["ui"]}, "topics-issues", "topics \\['ui'\\] are not the parents"),
        (record(" 好看"), "text", "white space"),
        ({**record("好看"), "id": "0" * 10}, "id", "is not the text's hash"),
        (record("打我电话 138 1234 5678"), "personal-data", "mobile number"),
    ],
)
def test_broken_records_are_named(
    row: dict[str, Any], rule: str, reason: str, check: Callable[..., list[Failure]]
) -> None:
    failures = check(row)
    assert [failure.rule for failure in failures] == [rule]
    assert re.search(reason, failures[0].reason)
    lines = failures[0].path.read_text("utf-8").split("\n")
    assert f'"{row["text"]}"' in lines[failures[0].number - 1]
    assert str(failures[0]).startswith(f"{failures[0].path}:{failures[0].number}: [{rule}]")


def test_repetitions_and_disorder_are_named(tmp_path: Path) -> None:
    rows = sorted([*SOUND["train"], SOUND["train"][0]], key=lambda row: str(row["id"]), reverse=True)
    write(tmp_path, SOUND)
    write_lines(tmp_path / "train.jsonl", rows)
    assert {failure.rule for failure in check_corpus(tmp_path, Taxonomy.default())[1]} == {"duplicate", "order"}


LONG = "昨天在菜市场付款码一直转圈后面排了一长队"


def test_a_near_duplicate_in_another_split_is_a_leak(check: Callable[..., list[Failure]]) -> None:
    labels = {"urgency": "normal", "handling": "investigate"}
    same = {**SOUND, "train": [*SOUND["train"], record(LONG, "ui.loading", **labels)]}
    failures = check(
        record(LONG + "，气人", "ui.loading", **labels), record(LONG, "ui.loading", **labels), split="test"
    )
    assert [failure.rule for failure in failures] == ["near-duplicate"]
    folder = failures[0].path.parent
    write(folder, {**same, "test": [*SOUND["test"], record(LONG + "，气人", "ui.loading", **labels)]})
    failures = check_corpus(folder, Taxonomy.default())[1]
    assert [(failure.rule, failure.path.name) for failure in failures] == [("leak", "test.jsonl")]
    assert "train.jsonl:" in failures[0].reason


def test_one_sentence_with_other_names_and_numbers_is_a_template(check: Callable[..., list[Failure]]) -> None:
    labels = {"urgency": "normal", "handling": "investigate"}
    texts = ["用建行卡付楼下早餐摊十五块失败", "用工行卡付楼下早餐摊八块失败", "用农商行卡付楼下早餐摊三百元失败"]
    rows = [record(text, "payment_failure.payment", **labels) for text in texts]
    assert "template" not in [failure.rule for failure in check(*rows[:2])]
    assert "template" in [failure.rule for failure in check(*rows)]


def test_skeletons_lose_names_numbers_and_punctuation() -> None:
    assert skeleton("给老婆转了3,000元，招行扣了！") == skeleton("给儿子转了五百元，建行扣了")
    assert skeleton("转账失败") == "转账失败"


def test_a_worn_out_opening_is_named(check: Callable[..., list[Failure]]) -> None:
    ends = "甲乙丙丁戊己庚辛壬癸子丑寅卯辰巳午未申酉戌"
    failures = check(*(record(f"我想问下{end}") for end in ends))
    assert [failure.rule for failure in failures] == ["opening"]
    assert "21 texts begin with '我想问下', the limit is 20" in failures[0].reason
    assert check(*(record(f"我想问下{end}") for end in ends[:-1])) == []


def test_reserved_sentences_and_public_texts_are_kept_away_from(
    tmp_path: Path, check: Callable[..., list[Failure]]
) -> None:
    (tmp_path / "reserved.txt").write_text("挺好用的\n", "utf-8")
    row = record("挺好用的哟", sentiment="positive")
    assert [failure.rule for failure in check(row)] == ["reserved"]
    (tmp_path / "reserved.txt").unlink()
    assert check(row) == []
    copy = record(
        "昨天在菜市场，付款码一直转圈，后面排了一长队！", "ui.loading", urgency="normal", handling="investigate"
    )
    assert [failure.rule for failure in check(copy, public=(LONG, "另外一条"))] == ["copied"]


# Made for these tests: the check digits are right, the numbers belong to nobody (region 000000, year 1800).
IDENTITY = "00000018000101000"
IDENTITY += next(digit for digit in "0123456789X" if valid_identity(IDENTITY + digit))


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("电话13812345678", "mobile number"),
        ("电话+86 138-1234-5678", "mobile number"),
        ("whatsapp +852 9123 4567", "mobile number"),
        (f"身份证{IDENTITY}", "identity number"),
        ("卡号4111 1111 1111 1111", "bank card"),
        ("写信到li.lei@mail.cn", "e-mail address"),
    ],
)
def test_what_could_be_a_persons_is_found(text: str, kind: str) -> None:
    assert [found for found, _ in personal_data(text)] == [kind]


@pytest.mark.parametrize(
    "text",
    [
        "138****0000",
        "尾号2231",
        "打95588",
        "订单20240131889901",
        "li@example.com",
        "4111111111111112",
        "+852 5138 开头",
        "3.1415926",
    ],
)
def test_what_cannot_be_a_persons_is_left_alone(text: str) -> None:
    assert list(personal_data(text)) == []


def test_check_digits() -> None:
    assert passes_luhn("79927398713")
    assert not passes_luhn("79927398710")
    assert not valid_identity(IDENTITY[:-1] + ("1" if IDENTITY[-1] != "1" else "2"))


def test_the_command_prints_failures_and_exits_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, {**SOUND, "test": [*SOUND["test"], BREAKERS["nothing-open"]]})
    assert data(["check", "--folder", str(tmp_path)]) == 1
    lines = capsys.readouterr().out.strip().split("\n")
    assert re.fullmatch(rf"{re.escape(str(tmp_path))}/test\.jsonl:\d: \[nothing-open\] .*年费真贵", lines[0])
    assert lines[1] == "5 records checked: 1 failure"


def test_every_rule_is_explained_in_the_documentation() -> None:
    page = (Path(__file__).parents[2] / "docs" / "labels.md").read_text("utf-8")
    source = (Path(__file__).parents[2] / "data" / "corpus_checks.py").read_text("utf-8")
    codes = {rule.code for rule in LABEL_RULES} | set(re.findall(r'_?[Ff]ailure\([^"]*?"([a-z-]+)"', source))
    assert {"leak", "schema", "template", "personal-data"} <= codes
    assert [code for code in sorted(codes) if f"`{code}`" not in page] == []


def test_every_label_is_explained_in_the_documentation() -> None:
    page = (Path(__file__).parents[2] / "docs" / "labels.md").read_text("utf-8")
    for head in Taxonomy.default().heads:
        for label in head.labels:
            assert f"`{label.name}`" in page
            assert label.zh in page


def test_the_sentences_of_the_behavioural_suite_are_reserved() -> None:
    reserved = (corpus_folder() / "reserved.txt").read_text("utf-8").split("\n")
    plain = Path(__file__).parents[1] / "behaviour" / "plain_sentences.jsonl"
    texts = [row["text"] for _, row in read_lines(plain)]
    assert len(texts) >= 40
    assert [text for text in texts if text not in reserved] == []
