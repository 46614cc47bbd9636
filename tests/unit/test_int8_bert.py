"""The int8 graph written for BERT classifiers: near the model, and blind to neighbours and padding."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper
from transformers import BertConfig, BertForSequenceClassification

from training import int8_bert

LENGTHS = (1, 2, 3, 5, 9, 16, 17, 23, 31, 40, 48, 49, 63, 64, 65, 90, 120, 128)


def _model(**settings: Any) -> BertForSequenceClassification:
    torch.manual_seed(4)
    config = BertConfig(
        vocab_size=400, hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=128,
        max_position_embeddings=128, num_labels=7, initializer_range=0.1, **settings,
    )  # fmt: skip
    return BertForSequenceClassification(config).eval()


@pytest.fixture(scope="module")
def model() -> BertForSequenceClassification:
    return _model()


@pytest.fixture(scope="module")
def path(model: BertForSequenceClassification, tmp_path_factory: pytest.TempPathFactory) -> Path:
    assert int8_bert.supports(model)
    path = tmp_path_factory.mktemp("graph") / "onnx" / "model.onnx"
    int8_bert.write_int8_bert(model, path)
    return path


@pytest.fixture(scope="module")
def session(path: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def _windows() -> list[list[int]]:
    chance = np.random.default_rng(7)
    return [chance.integers(5, 400, length).tolist() for length in LENGTHS for _ in range(3)]


def _logits(
    session: onnxruntime.InferenceSession, windows: list[list[int]], padded_to: int = 0
) -> npt.NDArray[np.float32]:
    length = max(padded_to, *map(len, windows))
    ids = np.zeros((len(windows), length), np.int64)
    mask = np.zeros_like(ids)
    for row, window in enumerate(windows):
        ids[row, : len(window)], mask[row, : len(window)] = window, 1
    (logits,) = session.run(["logits"], {"input_ids": ids, "attention_mask": mask})
    return np.asarray(logits)


def test_its_logits_are_the_models(model: BertForSequenceClassification, session: onnxruntime.InferenceSession) -> None:
    windows = _windows()
    with torch.inference_mode():
        wanted = np.concatenate([model(input_ids=torch.tensor([window])).logits.numpy() for window in windows])
    found = np.concatenate([_logits(session, [window]) for window in windows])
    error = np.abs(found - wanted)
    assert error.max() < 0.25 * wanted.std()
    assert error.mean() < 0.03 * wanted.std()


def test_neighbours_and_padding_change_nothing_at_all(session: onnxruntime.InferenceSession) -> None:
    windows = _windows()
    alone = np.concatenate([_logits(session, [window]) for window in windows])
    assert (_logits(session, windows) == alone).all()
    backwards = _logits(session, windows[::-1])[::-1]
    assert (backwards == alone).all()
    for window, logits in zip(windows, alone, strict=True):
        for length in {len(window) + 1, len(window) + 7, 128} - {129, *range(len(window) + 1)}:
            assert (_logits(session, [window], min(length, 128))[0] == logits).all(), (len(window), length)


def test_sums_of_products_do_not_overflow_on_any_processor(path: Path, tmp_path: Path) -> None:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(tmp_path / "loaded.onnx")
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    graph = onnx.load(tmp_path / "loaded.onnx").graph
    products = {node.input[1] for node in graph.node if node.op_type == "MatMulIntegerToFloat"}
    # As they are once the session is loaded; what it were to compute anew in every run would not be among them.
    weights = [numpy_helper.to_array(tensor) for tensor in graph.initializer if tensor.name in products]
    assert sorted(weight.shape for weight in weights) == [(64, 128), (128, 64), (128, 64), (128, 128), (128, 192)]
    # Two products of uint8 and int8 must fit into 16 bits, for processors without VNNI.
    assert max(int(np.abs(weight.astype(int)).max()) for weight in weights) * 255 * 2 < 2**15


def test_weights_are_int8_in_the_file(path: Path) -> None:
    kinds = {tensor.name: tensor.data_type for tensor in onnx.load(path).graph.initializer}
    layers = {
        name: kind for name, kind in kinds.items() if ".layer." in name and name.split(".")[-1] in ("dense", "value")
    }
    assert set(layers.values()) == {onnx.TensorProto.INT8}
    assert len(layers) == 8


@pytest.mark.parametrize("settings", [{"hidden_act": "relu"}, {"is_decoder": True}])
def test_other_architectures_are_not_taken(settings: dict[str, Any]) -> None:
    assert not int8_bert.supports(_model(**settings))
