from __future__ import annotations

import math
import os
import threading
from pathlib import Path

import numpy as np
import pytest

from data.taxonomy import Head, Label, Taxonomy
from training.dataset import targets
from training.evaluate import Answers
from training.placing import exchange
from training.release_checks import (
    Check,
    Judged,
    Margins,
    flip_share,
    impossible_answers,
    learned_check,
    loss_checks,
    share_checks,
    together,
    unlearned,
)

TOPICS = Head("topics", "multi_label", (Label("a"), Label("b")), empty_set="other")
LEVEL = Head("level", "ordinal", (Label("low"), Label("mid"), Label("top")), escalate=("top",), miss_cost=4.0)
ISSUES = Head("issues", "multi_label", (Label("a.x", parent="a"), Label("b.y", parent="b")), parent="topics")
TAXONOMY = Taxonomy("t", "1", (TOPICS, LEVEL, ISSUES))


def _columns(topics: tuple[int, int], level: tuple[int, int, int], issues: tuple[int, int]) -> list[int]:
    return [*topics, *level, *issues]


def test_impossible_answers_are_found_and_possible_ones_pass() -> None:
    decided = np.array(
        [
            _columns((1, 0), (1, 0, 0), (1, 0)),
            _columns((0, 0), (0, 0, 1), (0, 0)),
            _columns((1, 0), (1, 0, 0), (0, 1)),  # an issue without its topic
            _columns((0, 0), (0, 0, 0), (0, 0)),  # no level
            _columns((0, 0), (1, 1, 0), (0, 0)),  # two levels
        ]
    )
    assert impossible_answers(TAXONOMY, decided).tolist() == [False, False, True, True, True]


def test_flip_share_is_over_all_answers() -> None:
    one = np.zeros((4, 7), dtype=np.int64)
    two = one.copy()
    two[0, 0] = two[1, 0] = two[2, 3] = 1
    assert flip_share(TAXONOMY, one, two) == pytest.approx(3 / 12)
    assert flip_share(TAXONOMY, one, one) == 0.0


def test_a_check_that_could_not_be_measured_fails() -> None:
    assert not Check("x", "", math.nan, 1.0).passed and not Check("x", "", math.nan, 1.0, most=False).passed
    assert Check("x", "", math.nan, 1.0).to_dict()["value"] is None
    assert Check("x", "", 1.0, 1.0).passed and Check("x", "", 1.0, 1.0, most=False).passed


def _answers(records: list[dict[str, object]]) -> Answers:
    decided = np.nan_to_num(targets(records, TAXONOMY)).astype(np.int64)
    return Answers((decided * 0.98 + 0.01).astype(np.float64), decided, np.zeros(len(records), dtype=bool))


def _checks(records: list[dict[str, object]], ours: Answers, theirs: Answers) -> dict[str, Check]:
    on = Judged("t", records, ours, theirs)
    every = [
        *loss_checks(TAXONOMY, on, Margins()),
        *loss_checks(TAXONOMY, on, Margins(), worst=False),
        *share_checks(TAXONOMY, on, Margins()),
    ]
    return {check.name: check for check in every}


def test_losing_urgent_texts_fails_the_gate_and_sending_them_to_review_does_not() -> None:
    def row(n: int, level: str) -> dict[str, object]:
        return {"text": f"第{n}条", "topics": ["a"] if n % 2 else [], "level": level, "issues": []}

    records = [row(n, "top" if n < 60 else "low") for n in range(200)]
    theirs = _answers(records)
    ours = _answers([row(n, "top" if 12 <= n < 60 else "low") for n in range(200)])
    checks = _checks(records, ours, theirs)
    lost = checks["top found or reviewed, worst loss"]
    assert not lost.passed and (lost.candidate, lost.current) == (0.8, 1.0) and lost.value < -0.2
    assert checks["top found or reviewed, loss seen"].value == pytest.approx(-0.2)
    assert not checks["level quadratic_kappa, worst loss"].passed
    assert checks["topics macro_f1, worst loss"].passed and checks["topics macro_f1, worst loss"].value == 0.0
    seen = Answers(ours.probabilities, ours.decided, np.arange(200) < 12)
    checks = _checks(records, seen, theirs)
    assert checks["top found or reviewed, worst loss"].passed
    assert not checks["review rate"].passed  # bought with people's time


def test_overcalling_and_uncalibrated_scores_fail_the_gate() -> None:
    records: list[dict[str, object]] = [{"text": str(n), "level": "top" if n < 20 else "low"} for n in range(100)]
    theirs = _answers(records)
    ours = _answers([{"text": str(n), "level": "top" if n < 30 else "low"} for n in range(100)])
    checks = _checks(records, ours, theirs)
    assert checks["top said, times true"].value == pytest.approx(1.5) and not checks["top said, times true"].passed
    assert not checks["level calibration error"].passed and checks["review rate"].passed


def test_learned_texts_are_left_out_and_counted(tmp_path: Path) -> None:
    (tmp_path / "training_rows.txt").write_text("aa\nbb\n", "utf-8")
    sets = {"one": [{"id": "aa", "text": "x"}, {"id": "cc", "text": "y"}], "two": [{"id": "bb", "text": "z"}]}
    clean = {name: unlearned(tmp_path, records) for name, records in sets.items()}
    assert clean == {"one": [{"id": "cc", "text": "y"}], "two": []}
    check = learned_check(sets, clean, Margins())
    assert check.value == 1.0 and not check.passed
    assert learned_check({"one": [{"text": "x"}]}, {"one": unlearned(tmp_path, [{"text": "x"}])}, Margins()).passed


def test_exchanged_folders_are_never_seen_missing_or_mixed(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder, content in ((one, "new"), (two, "old")):
        folder.mkdir()
        (folder / "a").write_text(content)
        (folder / "b").write_text(content)
    seen: set[tuple[str, str]] = set()
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            handle = os.open(two, os.O_RDONLY)  # one look at one folder
            try:
                contents = []
                for name in ("a", "b"):
                    file = os.open(name, os.O_RDONLY, dir_fd=handle)
                    contents.append(os.read(file, 10).decode())
                    os.close(file)
                seen.add((contents[0], contents[1]))
            finally:
                os.close(handle)

    watcher = threading.Thread(target=look)
    watcher.start()
    for _ in range(200):
        exchange(one, two)
    stop.set()
    watcher.join()
    assert seen <= {("old", "old"), ("new", "new")} and seen
    exchange(one, two)
    assert (two / "a").read_text() == "new" and (one / "a").read_text() == "old"
    assert {path.name for path in tmp_path.iterdir()} == {"one", "two"}


def test_exchange_that_fails_leaves_both_where_they_were(tmp_path: Path) -> None:
    (tmp_path / "two").mkdir()
    with pytest.raises(OSError, match="one"):
        exchange(tmp_path / "one", tmp_path / "two")
    assert [path.name for path in tmp_path.iterdir()] == ["two"]


def test_sets_are_put_together_row_by_row() -> None:
    parts = []
    for name, level in (("one", "top"), ("two", "low")):
        records: list[dict[str, object]] = [{"text": f"{name}{n}", "level": level} for n in range(3)]
        parts.append(Judged(name, records, _answers(records), _answers([{"text": "x", "level": "mid"}] * 3)))
    whole = together(parts)
    assert [record["text"] for record in whole.records] == ["one0", "one1", "one2", "two0", "two1", "two2"]
    assert whole.ours.decided[:, 2:5].argmax(axis=1).tolist() == [2, 2, 2, 0, 0, 0]
    assert whole.theirs.decided[:, 3].tolist() == [1] * 6 and len(whole.ours.review) == 6
    assert together(parts[:1]).name == "one" and whole.name == "all texts together"
