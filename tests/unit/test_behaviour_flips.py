"""Perturbations keep what a text says, and flips are counted as they are."""

from __future__ import annotations

import numpy as np
import pytest

from data.corpus import read_split
from data.taxonomy import Head, Label, Taxonomy
from data.text import normalise
from model.classifier import Classifier
from training.behaviour import suite_fits
from training.evaluate import classify_records
from training.flips import flips, held_heads
from training.perturbations import PERTURBATIONS, full_width, no_punctuation, order_number, polite, traditional


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("转账失败，钱没了！怎么办？", "转账失败 钱没了 怎么办"),
        ("扣了3.50元,两次.", "扣了3.50元 两次"),
        ("版本v2.1.3打不开", "版本v2.1.3打不开"),
        ("10:42付的，2024-11-03到账", "10:42付的 2024-11-03到账"),
        ("见 https://x.cn/a?b=1，谢谢", "见 https://x.cn/a?b=1，谢谢"),
        ("我的号<NUM>登不上。", "我的号<NUM>登不上"),
        ("。。。", ""),
    ],
)
def test_punctuation_goes_and_numbers_stay(text: str, expected: str) -> None:
    assert no_punctuation(text) == expected


def test_full_width_and_traditional_are_folded_back_by_the_one_normalisation() -> None:
    for record in read_split("validation")[:200]:
        assert normalise(full_width(record.text)) == normalise(record.text)
    assert traditional("转账失败，钱没到账") == "轉賬失敗，錢沒到賬"
    assert normalise(traditional("余额宝的钱转不出来")) == "余额宝的钱转不出来"


def test_perturbations_are_the_same_every_time_and_keep_the_text() -> None:
    text = "提现三天没到账。"
    for perturb in (polite, order_number, PERTURBATIONS["emoji"]):
        assert perturb(text) == perturb(text) != text
        assert "提现三天没到账" in perturb(text)
    assert normalise(order_number(text)).count("<NUM>") == 1


def test_flips_are_counted_against_what_was_said_before(classifier: Classifier) -> None:
    texts = ["转账失败，钱扣了对方没收到", "希望出个深色模式", "好", "ABC 打不开了!"]
    decided = classify_records(classifier, [{"text": text} for text in texts]).decided
    rates = flips(classifier, texts, decided)
    assert set(rates) <= set(PERTURBATIONS)
    assert rates["full_width"]["n"] == 1 and rates["full_width"]["flips"] == 0  # one text has anything to widen
    assert rates["traditional"]["flips"] == 0  # folded back before the model sees it
    assert rates["emoji"]["n"] == 4
    other = decided.copy()
    other[:, classifier.taxonomy.slices["sentiment"]] = 1 - other[:, classifier.taxonomy.slices["sentiment"]]
    again = flips(classifier, texts, other)
    assert again["full_width"]["heads"]["sentiment"] == 1 and again["full_width"]["flips"] == 0
    other[:, classifier.taxonomy.slices["topics"]] = 1 - decided[:, classifier.taxonomy.slices["topics"]]
    again = flips(classifier, texts, other)
    assert again["full_width"]["rate"] == 1.0 and again["full_width"]["examples"] == [(texts[3], full_width(texts[3]))]


def test_decisions_are_those_that_serving_gives(classifier: Classifier) -> None:
    texts = ["昨晚有人用我的账户刷了三笔", "界面太乱，而且转账老失败", "挺好"]
    answers = classify_records(classifier, [{"text": text} for text in texts])
    assert (answers.decided == classifier.decider.choose_all(answers.probabilities)).all()
    predictions = classifier.predict(texts)
    assert answers.review.tolist() == [prediction.needs_review for prediction in predictions]
    urgency = answers.decided[:, classifier.taxonomy.slices["urgency"]]
    names = classifier.taxonomy.head("urgency").names
    assert [names[int(row)] for row in np.argmax(urgency, axis=1)] == [p["urgency"] for p in predictions]


def test_heads_that_must_hold_still() -> None:
    wallet = Taxonomy.default()
    assert held_heads(wallet) == ["topics", "urgency"] and suite_fits(wallet)
    parent = Head("dish", "multi_label", (Label("汤"),))
    child = Head("kind", "multi_label", (Label("汤.鲜", parent="汤"),), parent="dish")
    kitchen = Taxonomy("k", "1", (parent, child, Head("hot", "binary", (Label("hot"),))))
    assert held_heads(kitchen) == ["dish", "hot"] and not suite_fits(kitchen)
