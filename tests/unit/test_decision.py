from __future__ import annotations

import numpy as np
import pytest

from data.taxonomy import Head, Label, Taxonomy
from model.bundle import HeadDecision
from model.decision import Decider, choose, confidence, merge_windows, probabilities

TOPICS = Head("topics", "multi_label", (Label("a"), Label("b")), empty_set="other")
PARTS = Head("parts", "multi_label", (Label("a.x", parent="a"), Label("b.y", parent="b")), parent="topics")
LEVEL = Head("level", "ordinal", (Label("low"), Label("mid"), Label("top")), escalate=("top",))
LEAVES = Head("leaves", "binary", (Label("leaves"),))
TAXONOMY = Taxonomy("t", "1", (TOPICS, PARTS, LEVEL, LEAVES))


def plain(n: int, **changes: object) -> HeadDecision:
    values = {"scale": (1.0,) * n, "bias": (0.0,) * n, "thresholds": (0.5,) * n, "escalate_threshold": None}
    return HeadDecision(**{**values, **changes})  # type: ignore[arg-type]


DECISIONS = {
    "topics": plain(2, review_below=0.7),
    "parts": plain(2),
    "level": plain(3, escalate_threshold=0.3),
    "leaves": plain(1),
}


def test_probabilities_follow_scale_and_bias() -> None:
    p = probabilities(TOPICS, plain(2, scale=(2.0, 1.0), bias=(0.0, 1.0)), np.array([[1.0, -1.0]]))
    assert p == pytest.approx(np.array([[1 / (1 + np.exp(-2.0)), 0.5]]))
    q = probabilities(LEVEL, plain(3), np.array([[0.0, 0.0, np.log(2.0)]]))
    assert q == pytest.approx(np.array([[0.25, 0.25, 0.5]]))


def test_escalation_wins_from_its_threshold_on() -> None:
    p = np.array([[0.5, 0.21, 0.29], [0.5, 0.2, 0.3]])
    assert choose(LEVEL, DECISIONS["level"], p).argmax(axis=1).tolist() == [0, 2]
    chosen = choose(LEVEL, DECISIONS["level"], p)
    assert confidence(LEVEL, DECISIONS["level"], p, chosen) == pytest.approx(np.array([0.71, 1.0]))


def test_a_part_needs_its_parent() -> None:
    p = np.array([[0.9, 0.1, 0.9, 0.9, 1.0, 0.0, 0.0, 0.0]])
    chosen = Decider(TAXONOMY, DECISIONS, "v").choose_all(p)
    assert chosen[0, :4].tolist() == [1, 0, 1, 0]


def test_windows_merge_by_the_kind_of_head() -> None:
    assert merge_windows(TOPICS, np.array([[0.1, 0.8], [0.9, 0.2]])).tolist() == [0.9, 0.8]
    assert merge_windows(LEVEL, np.array([[1.0, 0.0, 0.0], [0.0, 0.2, 0.8]])).tolist() == [0.0, 0.2, 0.8]


def test_prediction_names_the_least_sure_head_for_review() -> None:
    p = np.array([[0.6, 0.1, 0.0, 0.0, 1.0, 0.0, 0.0, 0.2], [0.95, 0.1, 0.0, 0.0, 1.0, 0.0, 0.0, 0.2]])
    doubtful, sure = Decider(TAXONOMY, DECISIONS, "v").decide(p)
    assert (doubtful.needs_review, doubtful.review_reason) == (True, "low_confidence:topics")
    assert (sure.needs_review, sure.review_reason) == (False, None)
    row = sure.to_dict()
    assert row["topics"] == ["a"] and row["topics_scores"] == {"a": 0.95, "b": 0.1}
    assert row["parts"] == [] and "parts_scores" not in row
    assert (row["level"], row["level_score"]) == ("low", 1.0)
    assert (row["leaves"], row["leaves_score"]) == (False, 0.2)
