"""Weights in int8: what a layer says must change little, on average not at all."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification

from training.int8_weights import EIGHT_BITS, SEVEN_BITS, RoundedLayer, rounded_layers

WIDER = "bert.encoder.layer.0.intermediate.dense"


@pytest.fixture(scope="module")
def model() -> BertForSequenceClassification:
    torch.manual_seed(4)
    config = BertConfig(
        vocab_size=400, hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=128,
        max_position_embeddings=16, num_labels=3, initializer_range=0.1,
    )  # fmt: skip
    model = BertForSequenceClassification(config).eval()
    with torch.no_grad():
        # One column that is large in every row, and columns that say nearly the same, as trained models have them.
        normalisation = model.bert.encoder.layer[0].attention.output.LayerNorm
        normalisation.bias[3] = 12.0
        model.bert.encoder.layer[0].attention.output.dense.weight[32:] *= 0.1
        model.bert.encoder.layer[0].attention.output.dense.weight[32:] += model.bert.encoder.layer[
            0
        ].attention.output.dense.weight[:32]
    return model


@pytest.fixture(scope="module")
def layers(model: BertForSequenceClassification) -> dict[str, RoundedLayer]:
    return dict(rounded_layers(model))


def _rows(model: BertForSequenceClassification) -> torch.Tensor:
    """What the layer is given, for pieces other than those the rounding looked at."""
    given: list[torch.Tensor] = []
    layer = model.get_submodule(WIDER)
    hook = layer.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
    with torch.inference_mode():
        model(input_ids=torch.randint(1, 400, (64, 16), generator=torch.Generator().manual_seed(9)))
    hook.remove()
    return given[0].reshape(-1, 64).double()


def test_all_layers_and_their_bits(layers: dict[str, RoundedLayer]) -> None:
    seven = {name for name, layer in layers.items() if layer.most == SEVEN_BITS}
    assert seven == {WIDER, "bert.encoder.layer.0.output.dense"}
    assert len(layers) == 12
    for layer in layers.values():
        assert layer.most in (SEVEN_BITS, EIGHT_BITS)
        assert int(np.abs(layer.weights.astype(int)).max()) == layer.most


def test_outputs_change_less_than_by_plain_rounding(
    model: BertForSequenceClassification, layers: dict[str, RoundedLayer]
) -> None:
    rows, layer = _rows(model).numpy(), layers[WIDER]
    exact = model.get_submodule(WIDER).weight.detach().double().numpy().T
    step = np.abs(exact).max(axis=0) / SEVEN_BITS
    plain = np.round(exact / step) * step
    centred = rows - rows.mean(axis=0)
    ours = np.square(centred @ (layer.weights * layer.scale - exact)).mean()
    assert ours < 0.9 * np.square(centred @ (plain - exact)).mean()


def test_outputs_are_the_same_on_average(model: BertForSequenceClassification, layers: dict[str, RoundedLayer]) -> None:
    rows, layer = _rows(model).numpy(), layers[WIDER]
    module = model.get_submodule(WIDER)
    exact = rows @ module.weight.detach().double().numpy().T + module.bias.detach().double().numpy()
    found = rows @ (layer.weights * layer.scale.astype(np.float64)) + layer.bias
    uncorrected = found - layer.bias + module.bias.detach().double().numpy()
    lost, left = (np.square((outputs - exact).mean(axis=0)).mean() for outputs in (uncorrected, found))
    assert left < 0.01 * lost
    # The same from rows that lack their mean, which is how the graph has them.
    without = (rows - layer.mean) @ (layer.weights * layer.scale.astype(np.float64)) + layer.bias + layer.of_mean()
    assert np.allclose(without, found)
