from __future__ import annotations

import pytest

from data.errors import BlankText, TextTooLong
from model.classifier import Classifier
from model.decision import Prediction
from model.tokenizer import MAX_WINDOWS, WindowTokenizer


def test_bad_texts_do_not_harm_their_neighbours(classifier: Classifier) -> None:
    good = "转账一直失败"
    results = classifier.predict_each([good, "  ", "好" * 70_000, good])
    assert isinstance(results[1], BlankText) and isinstance(results[2], TextTooLong)
    assert isinstance(results[0], Prediction)
    assert results[0] == results[3] == classifier.predict([good])[0]


def test_a_lone_string_is_refused(classifier: Classifier) -> None:
    with pytest.raises(TypeError, match=r"predict\(\[text\]\)"):
        classifier.predict("转账一直失败")


def test_no_texts_no_predictions(classifier: Classifier) -> None:
    assert classifier.predict([]) == []


def test_neighbours_do_not_change_scores(classifier: Classifier) -> None:
    texts = ["闪退", "昨天充的话费没到账，找谁", "怎么登不上去了" * 30, "挺好", "有人动了我的钱" * 3]
    alone = [classifier.predict([text])[0] for text in texts]
    for one, together in zip(alone, classifier.predict(texts), strict=True):
        assert one.labels == together.labels
        assert one.probabilities == pytest.approx(together.probabilities, abs=2e-4)


def test_full_width_and_traditional_are_read_as_meant(classifier: Classifier) -> None:
    plain, wide, traditional = classifier.predict(["ios8闪退,打不开", "ｉｏｓ８閃退，打不開", "iOS8閃退,打不開"])
    assert plain.labels == wide.labels == traditional.labels


def test_the_end_of_a_long_text_counts(classifier: Classifier) -> None:
    filler = "今天天气不错，我们一家人去公园散步，回来的路上买了点水果。"
    ending = "另外，昨晚我的账户被人盗刷了五千块，不是我本人操作的，请马上冻结！"
    without, with_ending = classifier.predict([filler * 40, filler * 40 + ending])
    assert "security" not in without["topics"] and without["urgency"] != "critical"  # type: ignore[operator]
    assert "security" in with_ending["topics"] and with_ending["urgency"] == "critical"  # type: ignore[operator]


def test_windows_cover_and_are_bounded(classifier: Classifier) -> None:
    tokenizer = WindowTokenizer(classifier.bundle.path("tokenizer.json"), 64)
    short, long, huge = tokenizer.encode(["好", "转账失败了" * 60, "转账失败了" * 10_000])
    assert len(short) == 1 and len(long) > 1 and len(huge) == MAX_WINDOWS
    assert all(len(window) <= 64 for window in (*short, *long, *huge))


@pytest.mark.parametrize("text", ["👍", "😡😡😡", "1", "?", "a", "\ud800", "龘靐齉", "🏳️‍🌈", "<NUM>", "https://a.b"])
def test_odd_texts_are_classified(classifier: Classifier, text: str) -> None:
    assert classifier.predict([text])[0]["urgency"] in ("low", "normal", "high", "critical")
