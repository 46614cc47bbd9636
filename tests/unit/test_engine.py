"""Windows share runs, and what is said of one does not depend on the others."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import numpy as np
import pytest

from model.classifier import Classifier
from model.engine import OnnxEngine, runs_of
from model.errors import BundleError, EngineError


def _cost(runs: list[list[int]], lengths: list[int], run_cost: int) -> int:
    return sum(len(run) * max(lengths[at] for at in run) + run_cost for run in runs)


@pytest.mark.parametrize("seed", range(5))
def test_runs_hold_every_window_once_and_keep_to_the_budget(seed: int) -> None:
    chance = random.Random(seed)
    lengths = [chance.randint(1, 128) for _ in range(chance.randint(1, 300))]
    runs = runs_of(lengths, budget=512)
    assert sorted(itertools.chain(*runs)) == list(range(len(lengths)))
    assert all(len(run) * max(lengths[at] for at in run) <= 512 for run in runs)


def test_a_window_longer_than_the_budget_runs_alone() -> None:
    assert runs_of([700, 3], budget=512) == [[1], [0]]


def test_no_division_into_runs_is_cheaper() -> None:
    chance = random.Random(5)
    for _ in range(40):
        lengths = sorted(chance.randint(1, 60) for _ in range(7))
        divisions = []
        for cuts in itertools.product((False, True), repeat=len(lengths) - 1):
            bounds = [0, *(at for at, cut in enumerate(cuts, 1) if cut), len(lengths)]
            divisions.append([list(range(a, b)) for a, b in itertools.pairwise(bounds)])
        fitting = [d for d in divisions if all(len(run) * lengths[run[-1]] <= 128 for run in d)]
        assert _cost(runs_of(lengths, 128, 12), lengths, 12) == min(_cost(d, lengths, 12) for d in fitting)


def test_like_windows_share_a_run_and_unlike_ones_do_not() -> None:
    assert runs_of([20, 21, 20, 100]) == [[0, 2, 1], [3]]


def test_logits_come_in_the_order_given_and_are_those_of_a_window_alone(classifier: Classifier) -> None:
    engine = OnnxEngine(classifier.bundle.default_onnx, threads=1)
    chance = np.random.default_rng(2)
    windows = [chance.integers(10, 9000, int(length)).tolist() for length in chance.integers(2, 128, 60)]
    alone = np.concatenate([engine.run([window]) for window in windows])
    assert (engine.run(windows) == alone).all()
    assert len({tuple(row) for row in alone.tolist()}) == len(windows)


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"no model")
    with pytest.raises(BundleError, match=r"model\.onnx is not a model"):
        OnnxEngine(path)


def test_pieces_the_model_does_not_have_are_an_engine_error(classifier: Classifier) -> None:
    with pytest.raises(EngineError, match="1 windows of 2 pieces"):
        OnnxEngine(classifier.bundle.default_onnx).run([[5, 10_000_000]])
