"""Sentences written by another hand than the corpus's and never trained on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from data.corpus import read_corpus
from data.text import normalise
from model.classifier import Classifier

FRONT_PAGE = [
    ("昨晚有人在外地用我的账户刷了三笔，一共8600，我没有操作过", "security", "critical"),
    ("希望出个深色模式", "feature_request", "low"),
    ("转账一直失败，钱扣了对方没收到", "payment_failure", "high"),
    ("挺好用的", None, "low"),
]


@pytest.mark.parametrize(("text", "topic", "urgency"), FRONT_PAGE)
def test_front_page_sentences(classifier: Classifier, text: str, topic: str | None, urgency: str) -> None:
    prediction = classifier.predict([text])[0]
    topics = prediction["topics"]
    assert isinstance(topics, list)
    assert (topic in topics) if topic else topics == []
    assert prediction["urgency"] == urgency


def test_forty_plain_sentences_have_at_most_four_wrong(classifier: Classifier) -> None:
    """A sentence is wrong if its topics are not exactly the right ones."""
    path = Path(__file__).parent / "plain_sentences.jsonl"
    cases = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert len(cases) == 40
    predictions = classifier.predict([case["text"] for case in cases])
    wrong = [
        (case["text"], case["topics"], prediction["topics"])
        for case, prediction in zip(cases, predictions, strict=True)
        if set(case["topics"]) != set(prediction["topics"])  # type: ignore[arg-type]
    ]
    assert len(wrong) <= 4, wrong


def test_the_corpus_does_not_hold_them() -> None:
    path = Path(__file__).parent / "plain_sentences.jsonl"
    held_out = {normalise(json.loads(line)["text"]) for line in path.read_text("utf-8").splitlines()}
    held_out |= {normalise(text) for text, _, _ in FRONT_PAGE}
    corpus = {normalise(record.text) for records in read_corpus().values() for record in records}
    assert held_out & corpus == set()
