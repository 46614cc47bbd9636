"""What evaluation computes, held against counting by hand and against slow textbook code."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from data.taxonomy import Head, Label, Taxonomy
from training import metrics
from training.compare import aligned, compare, holm, mcnemar, shared_heads
from training.dataset import targets
from training.errors import DataError
from training.evaluate import Answers
from training.evaluation import evaluate_set, without_texts
from training.mistakes import missed_escalations, worst_errors
from training.resampling import (
    MACRO_F1,
    QUADRATIC_KAPPA,
    figure_with_interval,
    label_statistics,
    paired,
    resampled_sums,
    wilson,
)
from training.slices import slice_figures

TOPICS = Head("topics", "multi_label", (Label("a", "甲"), Label("b", "乙")), empty_set="other")
LEVEL = Head("level", "ordinal", (Label("low"), Label("mid"), Label("top")), escalate=("top",), miss_cost=4.0)
LEAVES = Head("leaves", "binary", (Label("leaves"),))
TAXONOMY = Taxonomy("t", "1", (TOPICS, LEVEL, LEAVES))


def _answers(records: list[dict[str, object]], sure: float = 0.9) -> Answers:
    decided = np.nan_to_num(targets(records, TAXONOMY)).astype(np.int64)
    return Answers(np.where(decided == 1, sure, 1 - sure), decided, np.zeros(len(records), dtype=bool))


@pytest.mark.parametrize("n", [7, 150])
def test_figures_from_sums_equal_the_plain_ones(n: int) -> None:
    generator = np.random.default_rng(n)
    truth, said = (generator.random((n, 2)) < 0.4).astype(int), (generator.random((n, 2)) < 0.5).astype(int)
    value, (low, high) = figure_with_interval(MACRO_F1, TOPICS, truth, said)
    assert value == pytest.approx(metrics.macro_f1(TOPICS, truth, said)) and low <= value <= high
    eye = np.eye(3, dtype=int)
    levels, guesses = eye[generator.integers(0, 3, n)], eye[generator.integers(0, 3, n)]
    value, _ = figure_with_interval(QUADRATIC_KAPPA, LEVEL, levels, guesses)
    assert value == pytest.approx(metrics.quadratic_kappa(LEVEL, levels, guesses))
    assert figure_with_interval(QUADRATIC_KAPPA, LEVEL, levels, levels) == (1.0, (1.0, 1.0))


def test_resampling_agrees_with_drawing_records_one_by_one() -> None:
    generator = np.random.default_rng(3)
    truth, said = (generator.random((120, 2)) < 0.4).astype(int), (generator.random((120, 2)) < 0.4).astype(int)
    fast = MACRO_F1.value(resampled_sums(label_statistics(TOPICS, truth, said), 2000))
    slow = metrics.bootstrap(lambda rows: metrics.macro_f1(TOPICS, truth[rows], said[rows]), 120, 1000)
    assert np.percentile(fast, [2.5, 97.5]) == pytest.approx(slow, abs=0.02)
    assert resampled_sums(np.ones((9, 1)), 50).ravel().tolist() == [9.0] * 50


def test_paired_difference_knows_signal_from_chance() -> None:
    generator = np.random.default_rng(0)
    truth = (generator.random((300, 2)) < 0.5).astype(int)
    noise = (generator.random((300, 2)) < 0.15).astype(int)
    worse, level = truth ^ noise, truth ^ noise[::-1]
    right, wrong, other = (label_statistics(TOPICS, truth, said) for said in (truth, worse, level))
    better = paired(right, wrong, MACRO_F1.value)
    assert better.difference > 0.1 and better.interval[0] > 0 and better.worst > 0 and better.p < 0.01
    same = paired(wrong, other, MACRO_F1.value)
    assert same.interval[0] < 0 < same.interval[1] and same.p > 0.05
    nothing = paired(wrong, wrong, MACRO_F1.value)
    assert (nothing.difference, nothing.interval, nothing.p) == (0.0, (0.0, 0.0), 1.0)


def test_mcnemar_and_holm_by_hand() -> None:
    ours = np.array([True] * 9 + [False] * 1 + [True] * 5)
    theirs = np.array([False] * 9 + [True] * 1 + [True] * 5)
    only_ours, only_theirs, p = mcnemar(ours, theirs)
    assert (only_ours, only_theirs) == (9, 1) and p == pytest.approx(2 * (1 + 10) / 2**10)
    assert mcnemar(ours, ours) == (0, 0, 1.0)
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])


def test_wilson_by_hand() -> None:
    assert wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert wilson(5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)
    assert wilson(0, 0) == (0.0, 1.0)


def test_confusion_by_hand() -> None:
    truth = np.array([[1, 0], [1, 1], [0, 0], [0, 1], [1, 1]])
    said = np.array([[0, 1], [1, 0], [1, 0], [0, 1], [1, 1]])
    names, counts = metrics.confusion(TOPICS, truth, said)
    assert names == ("a", "b", "other", metrics.NOTHING)
    # a: hit twice, once b in its place; b: hit twice, once left out; other: once called a
    assert counts.tolist() == [[2, 1, 0, 0], [0, 2, 0, 1], [1, 0, 0, 0], [0, 0, 0, 0]]
    names, counts = metrics.confusion(LEAVES, np.array([[1], [0], [0]]), np.array([[1], [1], [0]]))
    assert names == ("false", "true") and counts.tolist() == [[1, 1], [0, 1]]
    names, counts = metrics.confusion(LEVEL, np.eye(3, dtype=int)[[0, 1, 2, 2]], np.eye(3, dtype=int)[[0, 0, 2, 1]])
    assert names == LEVEL.names and counts.tolist() == [[1, 0, 0], [1, 0, 0], [0, 1, 1]]


def test_reliability_counts_every_claim_once() -> None:
    p = np.array([[0.05], [0.06], [0.95], [1.0]])
    rows = metrics.reliability(LEAVES, p, np.array([[0], [1], [1], [1]]))
    assert [(row["n"], row["hits"]) for row in rows] == [(2, 1), (2, 2)]
    assert rows[0]["confidence"] == pytest.approx(0.055) and rows[1]["accuracy"] == 1.0


def test_missed_urgent_texts_come_with_those_nobody_would_see_first() -> None:
    records: list[dict[str, object]] = [
        {"id": "1", "text": "账户被盗", "level": "top"},
        {"id": "2", "text": "钱没了", "level": "top"},
        {"id": "3", "text": "被骗了", "level": "top"},
        {"id": "4", "text": "挺好", "level": "low"},
        {"id": "5", "text": "没有等级"},
    ]
    said = _answers([{"text": "x", "level": level} for level in ("low", "mid", "top", "low", "low")])
    answers = said._replace(review=np.array([True, False, False, False, False]))
    rows = missed_escalations(TAXONOMY, records, answers)
    assert [(row["id"], row["review"], row["truth"], row["said"]) for row in rows] == [
        ("2", False, "top", "mid"),
        ("1", True, "top", "low"),
    ]


def test_worst_errors_are_the_surest_ones() -> None:
    records: list[dict[str, object]] = [
        {"id": "1", "text": "x", "topics": ["a"], "leaves": False},
        {"id": "2", "text": "y", "topics": ["a", "b"], "leaves": True},
        {"id": "3", "text": "z", "topics": [], "leaves": True},
    ]
    decided = targets(
        [{"text": "x", "topics": ["b"], "level": "low", "leaves": n == 2} for n in range(3)], TAXONOMY
    ).astype(np.int64)
    p = np.where(decided == 1, 0.7, 0.3)
    p[1, 0] = 0.02
    worst = worst_errors(TAXONOMY, records, Answers(p, decided, np.zeros(3, dtype=bool)))
    assert [(row["id"], row["truth"], row["said"]) for row in worst["topics"]] == [
        ("2", ["a", "b"], ["b"]),
        ("1", ["a"], ["b"]),
        ("3", [], ["b"]),
    ]
    assert worst["topics"][0]["probability"] == pytest.approx(0.02)
    assert [(row["id"], row["truth"], row["said"]) for row in worst["leaves"]] == [("2", True, False)]
    assert "level" not in worst


def test_slices_are_what_records_carry_and_small_ones_are_left_out() -> None:
    records: list[dict[str, object]] = [
        {"text": "很" * (5 + 20 * (n % 2)), "channel": "sms" if n < 30 else "email", "topics": ["a"] if n % 3 else []}
        for n in range(35)
    ]
    wrong = [{**record, "topics": ["b"]} if record["channel"] == "email" else record for record in records]
    rows = slice_figures(TAXONOMY, records, _answers(wrong))
    named = {(row["dimension"], row["name"]): row for row in rows}
    assert set(named) == {
        ("channel", "sms"),
        ("characters", "1–10"),
        ("characters", "11–25"),
        ("number of topics", "0"),
        ("number of topics", "1"),
    }
    assert named["channel", "sms"]["n"] == 30 and named["channel", "sms"]["heads"]["topics"]["value"] == 1.0
    assert named["characters", "1–10"]["heads"]["topics"]["value"] < 1.0
    assert set(named["channel", "sms"]["heads"]) == {"topics"}  # the others are not labelled


def test_comparison_with_a_bundle_of_another_layout() -> None:
    records: list[dict[str, object]] = [
        {"text": str(n), "topics": ["a"], "level": "top" if n < 20 else "low"} for n in range(80)
    ]
    ours = _answers(records)
    other = Taxonomy("o", "2", (Head("mood", "binary", (Label("mood"),)), LEVEL))
    rows = targets([{"text": "x", "level": "low", "mood": True}] * 80, other).astype(np.int64)
    theirs = aligned(Answers((rows * 0.9).astype(np.float64), rows, np.zeros(80, dtype=bool)), other, TAXONOMY)
    heads = shared_heads(TAXONOMY, other)
    assert [head.name for head in heads] == ["level"]
    result = compare(TAXONOMY, records, ours, theirs, heads)
    gap = result["heads"]["level"]
    assert set(result["heads"]) == {"level"} and (gap["ours"], gap["theirs"], gap["changed"]) == (1.0, 0.0, 0.25)
    assert gap["p"] < 0.01 and result["found"]["level"]["difference"] == 1.0
    (top,) = [row for row in result["labels"] if row["label"] == "top"]
    assert (top["only_ours_right"], top["only_theirs_right"]) == (20, 0) and top["p"] <= top["p_holm"] < 0.001
    with pytest.raises(DataError, match="share no head"):
        shared_heads(TAXONOMY, Taxonomy("o", "2", (other.heads[0],)))


def test_without_texts_leaves_figures_and_ids() -> None:
    secret = "我的密码是一二三"
    records: list[dict[str, object]] = [
        {"id": f"r{n}", "text": f"{secret}{n}", "topics": ["a"], "level": "top"} for n in range(12)
    ]
    said = _answers([{"text": "x", "topics": ["b"], "level": "low"}] * 12)
    whole: dict[str, Any] = {
        "sets": {"s": evaluate_set(TAXONOMY, records, said)},
        "behaviour": {"examples": [(secret, secret)]},
    }
    assert str(whole).count(secret) > 20
    bare = without_texts(whole)
    assert secret not in str(bare) and "r3" in str(bare)
    assert bare["sets"]["s"]["fankui"]["heads"]["level"]["escalation"]["recall"] == 0.0
    assert whole["sets"]["s"]["missed"][0]["text"].startswith(secret)
