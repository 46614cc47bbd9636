from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from data.taxonomy import Head, Label, Taxonomy
from training import metrics
from training.calibrate import CalibrationConfig, calibrate
from training.dataset import check_records, read_jsonl, targets
from training.errors import DataError
from training.folds import fold_of
from training.losses import head_losses

TOPICS = Head("topics", "multi_label", (Label("a"), Label("b")), empty_set="other")
LEVEL = Head("level", "ordinal", (Label("low"), Label("mid"), Label("top")), escalate=("top",), miss_cost=4.0)
LEAVES = Head("leaves", "binary", (Label("leaves"),))
TAXONOMY = Taxonomy("t", "1", (TOPICS, LEVEL, LEAVES))


def test_targets_mark_missing_heads() -> None:
    matrix = targets([{"text": "x", "topics": ["b"], "level": "mid"}, {"text": "y", "leaves": True}], TAXONOMY)
    assert matrix[0, :5].tolist() == [0, 1, 0, 1, 0] and math.isnan(matrix[0, 5])
    assert np.isnan(matrix[1, :5]).all() and matrix[1, 5] == 1


def test_a_missing_head_has_no_loss_and_no_gradient() -> None:
    wanted = targets([{"text": "x", "topics": ["b"]}, {"text": "y", "topics": []}], TAXONOMY)
    losses = {loss.head.name: loss for loss in head_losses(TAXONOMY, wanted, {}, 0.5, 0.0)}
    logits = torch.randn(2, 6, requires_grad=True)
    total = sum((loss(logits, torch.tensor(wanted)) for loss in losses.values()), torch.tensor(0.0))
    torch.autograd.backward(total)
    assert logits.grad is not None
    assert logits.grad[:, :2].abs().sum() > 0 and logits.grad[:, 2:].abs().sum() == 0


def test_far_misses_of_an_ordinal_head_cost_more() -> None:
    wanted = targets([{"text": "x", "level": "low"}], TAXONOMY)
    (loss,) = [one for one in head_losses(TAXONOMY, wanted, {}, 0.0, 0.0) if one.head.name == "level"]
    near = torch.tensor([[0.0, 0.0, 0.0, 5.0, 0.0, 0.0]])
    far = torch.tensor([[0.0, 0.0, 0.0, 0.0, 5.0, 0.0]])
    assert loss(far, torch.tensor(wanted)) > loss(near, torch.tensor(wanted)) + 0.5


def test_macro_f1_counts_the_empty_set() -> None:
    truth = np.array([[1, 0], [0, 0], [0, 1]])
    decided = np.array([[1, 0], [0, 1], [0, 1]])
    # a: 1.0; b: precision 1/2, recall 1; other: never said
    assert metrics.macro_f1(TOPICS, truth, decided) == pytest.approx((1.0 + 2 / 3 + 0.0) / 3)
    assert metrics.macro_f1(LEAVES, np.array([[1], [0], [1]]), np.array([[1], [1], [0]])) == pytest.approx(0.5)


def test_quadratic_kappa_by_hand() -> None:
    eye = np.eye(3, dtype=int)
    truth, decided = eye[[0, 1, 2, 2]], eye[[0, 1, 2, 0]]
    # observed disagreement 4/4; expected (by margins) 3·... : weights (i-j)²/4 over truth (1,1,2) and said (2,1,1)
    observed = 4 / 4
    expected = sum((i - j) ** 2 * a * b for i, a in enumerate((1, 1, 2)) for j, b in enumerate((2, 1, 1))) / 16
    assert metrics.quadratic_kappa(LEVEL, truth, decided) == pytest.approx(1 - observed / expected)


def test_calibration_error_is_zero_when_honest() -> None:
    p = np.full((1000, 1), 0.3)
    truth = (np.arange(1000) < 300).astype(int)[:, None]
    assert metrics.calibration_error(LEAVES, p, truth) == pytest.approx(0.0)
    assert metrics.calibration_error(LEAVES, np.full((1000, 1), 0.9), truth) == pytest.approx(0.6)


def test_calibration_makes_overconfident_logits_honest() -> None:
    generator = np.random.default_rng(0)
    honest = generator.normal(0, 1.5, (4000, 6))
    level = honest[:, 2:5] + generator.gumbel(size=(4000, 3))
    wanted = np.concatenate(
        [
            (generator.random((4000, 2)) < 1 / (1 + np.exp(-honest[:, :2]))),
            np.eye(3)[level.argmax(axis=1)],
            (generator.random((4000, 1)) < 1 / (1 + np.exp(-honest[:, 5:]))),
        ],
        axis=1,
    ).astype(np.float32)
    decisions = calibrate(TAXONOMY, (honest * 4).astype(np.float32), wanted, config=CalibrationConfig(review_rate=0.2))
    assert np.array(decisions["topics"].scale) == pytest.approx(np.full(2, 0.25), rel=0.15)
    assert np.array(decisions["level"].scale) == pytest.approx(np.full(3, 0.25), rel=0.15)
    assert decisions["level"].escalate_threshold is not None and decisions["level"].escalate_threshold >= 0.2
    assert decisions["leaves"].review_below > 0
    config = CalibrationConfig(review_rate=0.2, review_heads=("topics",))
    routed = calibrate(TAXONOMY, (honest * 4).astype(np.float32), wanted, config=config)
    assert routed["level"].review_below == routed["leaves"].review_below == 0
    assert routed["topics"].review_below > decisions["topics"].review_below > 0


def test_folds_have_their_shares_and_never_move() -> None:
    names = [f"{n:010x}" for n in range(5000)]
    shares = {fold: sum(fold_of(n) == fold for n in names) / 5000 for fold in ("fit", "select", "calibrate")}
    assert shares == pytest.approx({"fit": 0.70, "select": 0.15, "calibrate": 0.15}, abs=0.02)
    assert [fold_of(n) for n in ("7b008514c8", "83eff26215", "79a2927f5d")] == ["fit", "fit", "fit"]


def test_unusable_data_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_jsonl(tmp_path / "none.jsonl")
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "好"}\n{"text": 3}\n', "utf-8")
    with pytest.raises(DataError, match=r"rows\.jsonl:2"):
        read_jsonl(path)
    path.write_text('{"text": "好"}\n{broken\n', "utf-8")
    with pytest.raises(DataError, match=r"rows\.jsonl:2: not JSON"):
        read_jsonl(path)
    with pytest.raises(DataError, match=r"record 2 .*unknown label 'weather'"):
        check_records([{"text": "好"}, {"text": "好", "topics": ["weather"]}], TAXONOMY)
    with pytest.raises(DataError, match="no records"):
        check_records([], TAXONOMY)
