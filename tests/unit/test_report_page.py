"""The page: whole, self-contained, and safe whatever a stranger wrote."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from data.taxonomy import Head, Label, Taxonomy
from training.dataset import targets
from training.evaluate import Answers
from training.evaluation import Rival, evaluate_set, without_texts
from training.report import breakable, commonest, label_text, render
from training.report_charts import bar, differences, reliability

NASTY = "<script>alert('我')</script><img src=x onerror=alert(1)> & \"引号\" {{ 7*7 }} </style>"
TOPICS = Head("topics", "multi_label", (Label("a", "甲类"), Label("b<i>", "乙<b>类")), zh="主题", empty_set="other")
LEVEL = Head("level", "ordinal", (Label("low"), Label("mid"), Label("top", "紧急")), escalate=("top",), miss_cost=4.0)
MANY = Head("many", "multi_label", tuple(Label(f"m{n}") for n in range(20)))
LEAVES = Head("leaves", "binary", (Label("leaves"),))
TAXONOMY = Taxonomy("t<1>", "1", (TOPICS, LEVEL, MANY, LEAVES))
VOID = {"meta", "br", "wbr", "img", "link", "input"}


class _Page(HTMLParser):
    """Collects tags and checks that they are nested."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]} at {self.getpos()}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.text += data


def _parsed(html: str) -> _Page:
    page = _Page()
    page.feed(html)
    page.close()
    assert page.open == []
    return page


def _evaluation(rivals: bool = True) -> dict[str, object]:
    generator = np.random.default_rng(0)
    records: list[dict[str, object]] = [
        {
            "id": f"id{n}",
            "text": f"{NASTY}{n}",
            "topics": ["a"] if n % 3 else ["b<i>"] if n % 2 else [],
            "level": ("low", "mid", "top")[n % 3],
            "many": [f"m{n % 20}"],
            "leaves": n % 5 == 0,
            "channel": NASTY if n % 2 else "sms",
        }
        for n in range(60)
    ]
    truth = targets(records, TAXONOMY).astype(np.int64)
    said = [dict(records[n] if n % 4 else records[(n + 1) % 60]) for n in range(60)]
    decided = targets(said, TAXONOMY).astype(np.int64)
    p = (decided * 0.8 + generator.random(decided.shape) * 0.2).astype(np.float64)
    answers = Answers(p, decided, np.arange(60) % 8 == 0)
    perfect = Answers((truth * 0.9).astype(np.float64), truth, np.zeros(60, dtype=bool))
    others = [Rival("against", perfect, TAXONOMY.heads, calibrated=True)]
    return {
        "model_version": "0123456789ab",
        "taxonomy": {"name": TAXONOMY.name, "version": "1"},
        "precision": "int8",
        "measured_at": "2026-01-01 00:00 UTC",
        **({"against": {"model_version": "ffff"}} if rivals else {}),
        "sets": {f"set {NASTY}": evaluate_set(TAXONOMY, records, answers, others if rivals else [])},
        "behaviour": {
            "rates": {"invariance": {"rate": 0.9, "n": 10}, "invariance/emoji": {"rate": 0.9, "n": 10}},
            "failures": [
                {"id": "i1", "kind": "invariance", "detail": "emoji", "text": NASTY, "changed": NASTY, "expect": None,
                 "said": ["[] low", "['a'] top"]},
                {"id": "i2", "kind": "minimum_functionality", "detail": "x", "text": NASTY, "changed": None,
                 "expect": {"topics": [NASTY]}, "said": ["[] low"]},
            ],
            "flips": {"set": {"emoji": {"n": 60, "heads": {"topics": 3, "level": 0}, "flips": 3, "rate": 0.05,
                                        "interval": (0.01, 0.1), "examples": [(NASTY, NASTY + "🙏")]}}},
        },
    }  # fmt: skip


def test_nothing_a_stranger_wrote_becomes_markup() -> None:
    html = render(_evaluation(), TAXONOMY)
    page = _parsed(html)
    names = {tag for tag, _ in page.tags}
    assert not names & {"script", "img", "iframe", "link", "object", "form", "b<i>", "i"}
    assert not [a for _, attributes in page.tags for a in attributes if a.startswith("on")]
    assert NASTY in page.text  # and it is all there to be read, braces too
    assert "乙<b>类" in page.text and page.text.count("t<1>") == 2


def test_the_page_needs_nothing_from_outside() -> None:
    html = render(_evaluation(), TAXONOMY)
    page = _parsed(html)
    assert {attributes["href"] for tag, attributes in page.tags if tag == "a"} == {"#set1", "#behaviour", "#reading"}
    assert not [tag for tag, attributes in page.tags if "src" in attributes or tag == "base"]
    assert not re.search(r"url\(|@import|https?://", html.replace("http-equiv", ""))
    policies = [a["content"] for tag, a in page.tags if a.get("http-equiv") == "Content-Security-Policy"]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'"]
    assert {a["name"] for tag, a in page.tags if tag == "meta" and "name" in a} >= {"viewport", "color-scheme"}
    targets_ = {a["id"] for _, a in page.tags if "id" in a}
    assert targets_ >= {"set1", "behaviour", "reading"}


def test_figures_on_the_page_are_those_of_the_evaluation() -> None:
    evaluation = _evaluation()
    (result,) = evaluation["sets"].values()  # type: ignore[attr-defined]
    text = _parsed(render(evaluation, TAXONOMY)).text
    for head in ("topics", "many", "leaves"):
        assert f"{result['fankui']['heads'][head]['macro_f1']:.3f}" in text
    assert f"{result['fankui']['heads']['level']['quadratic_kappa']:.3f}" in text
    assert f"{result['comparisons']['against']['heads']['topics']['difference']:+.3f}" in text
    assert "甲类" in text and "主题" in text and "Commonest confusions" in text
    missed = result["missed"]
    assert missed and text.count(missed[0]["id"]) >= 1


def test_texts_can_be_left_out() -> None:
    evaluation = _evaluation()
    text = _parsed(render(without_texts(evaluation), TAXONOMY)).text
    assert "alert('我')</script><img src=x onerror=alert(1)> & \"引号\" {{ 7*7 }} </style>1" not in text
    assert "id1" in text and "contains feedback texts" not in text


def test_a_page_without_rivals_or_behaviour() -> None:
    evaluation = _evaluation(rivals=False)
    del evaluation["behaviour"]
    text = _parsed(render(evaluation, TAXONOMY)).text
    assert "Compared with" not in text and "Changes that must not matter" not in text


def test_charts_stay_inside_their_frames() -> None:
    for value, bounds in ((0.0, (0.0, 0.0)), (1.0, (0.9, 1.0)), (0.5, None), (7.0, (-1.0, 9.0))):
        numbers = [float(n) for n in re.findall(r'(?:x|width)="([\d.]+)"', str(bar(value, bounds)))]
        assert max(numbers) <= 100 and "-" not in re.sub(r"aria-hidden", "", str(bar(value, bounds)))
    svg = str(reliability("<x>", [{"n": 5, "hits": 5, "confidence": 1.0, "accuracy": 1.0}]))
    assert "<x>" not in svg and "&lt;x&gt;" in svg and svg.count("<circle") == 1
    forest = str(differences([("a&b", {"difference": 0.1, "interval": [0.05, 0.2], "p": 0.01})]))
    assert "a&amp;b" in forest and 'class="dot better"' in forest
    assert differences([]) == ""


@pytest.mark.parametrize(
    ("value", "text"), [(True, "yes"), (False, "no"), ([], "(none)"), (["a", "b"], "a, b"), ("low", "low")]
)
def test_label_values_as_people_read_them(value: object, text: str) -> None:
    assert label_text(value) == text


def test_names_may_break_and_stay_escaped() -> None:
    assert breakable("payment_failure.top<b>") == "payment_<wbr>failure.<wbr>top&lt;b&gt;"


def test_commonest_confusions_come_first() -> None:
    confusion = {"names": ["a", "b", "—"], "counts": [[9, 1, 3], [0, 9, 0], [2, 0, 0]]}
    assert commonest(confusion) == [("a", "—", 3), ("—", "a", 2), ("a", "b", 1)]
