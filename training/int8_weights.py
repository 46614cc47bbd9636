"""How the weights of a BERT classifier become int8 so that its products change least.

What a layer is given is looked at while the model reads windows of random pieces. No text is needed: only means and
covariances count, and those of random pieces are near those of real ones where pieces are numbered by frequency.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

Array = npt.NDArray[Any]

EIGHT_BITS: Final = 127
SEVEN_BITS: Final = 64
"""Largest weights. Twice 255 times 64 still fits into 16 bits."""

_WINDOWS: Final = 256
_LENGTH: Final = 24
_WINDOWS_AT_ONCE: Final = 32
_DAMPING: Final = 0.01


@dataclass(frozen=True)
class RoundedLayer:
    """A linear layer in int8.

    Attributes:
        weights: (inputs, outputs) int8.
        scale: of each output, (outputs,) float32.
        bias: (outputs,) float64, with what rounding took from the outputs on average.
        mean: of its inputs, (inputs,) float64.
        most: no weight is further from zero; `SEVEN_BITS` or `EIGHT_BITS`.
    """

    weights: Array
    scale: Array
    bias: Array
    mean: Array
    most: int

    def of_mean(self) -> Array:
        """Its outputs for the mean of its inputs, without bias: (outputs,) float64."""
        return np.asarray(self.mean @ (self.weights * self.scale.astype(np.float64)))


def rounded_layers(model: PreTrainedModel) -> Mapping[str, RoundedLayer]:
    """All linear layers of the encoder of a model in evaluation mode, by name.

    Weights have 8 bits where these tell most, in attention, and where they cost nothing, in the last layer.
    """
    layers = {name: m for name, m in model.named_modules() if isinstance(m, nn.Linear) and ".encoder." in name}
    last = f".layer.{model.config.num_hidden_layers - 1}."
    sums = _input_sums(model, layers)
    rounded = {}
    for name, layer in layers.items():
        mean, products = sums[name]
        exact = layer.weight.detach().double().cpu().numpy().T
        most = EIGHT_BITS if ".attention." in name or last in name else SEVEN_BITS
        weights, scale = _rounded(exact, products - np.outer(mean, mean), most)
        bias = layer.bias.detach().double().cpu().numpy() + mean @ (exact - weights * scale.astype(np.float64))
        rounded[name] = RoundedLayer(weights, scale, bias, mean, most)
    return rounded


def _input_sums(model: PreTrainedModel, layers: Mapping[str, nn.Linear]) -> Mapping[str, tuple[Array, Array]]:
    """Means of the inputs of layers and of their products, over windows of random pieces."""
    config, chance = model.config, np.random.default_rng(0)
    shape = (_WINDOWS, min(_LENGTH, config.max_position_embeddings))
    windows = torch.tensor(np.exp(chance.uniform(0, np.log(config.vocab_size), shape)).astype(np.int64))
    sums: dict[str, tuple[Array, Array]] = {}

    def count(name: str, given: Tensor) -> None:
        rows = given.reshape(-1, given.shape[-1]).double().cpu().numpy() / np.sqrt(windows.numel())
        total, products = sums.get(name, (0, 0))
        sums[name] = total + rows.sum(axis=0) / np.sqrt(windows.numel()), products + rows.T @ rows

    hooks = [
        layer.register_forward_pre_hook(lambda _, given, name=name: count(name, given[0]))
        for name, layer in layers.items()
    ]
    try:
        with torch.inference_mode():
            for begin in range(0, len(windows), _WINDOWS_AT_ONCE):
                model(input_ids=windows[begin : begin + _WINDOWS_AT_ONCE].to(model.device))
    finally:
        for hook in hooks:
            hook.remove()
    return sums


def _rounded(weights: Array, covariance: Array, most: int) -> tuple[Array, Array]:
    """Weights of a layer as int8 with one scale an output.

    Inputs are taken one after another, and the weights of those still to come make good what rounding changed
    ("GPTQ", Frantar et al. 2022).

    Args:
        weights: (inputs, outputs).
        covariance: of the inputs.
        most: the largest weight.

    Returns:
        (inputs, outputs) int8 and (outputs,) float32.
    """
    scale = (np.maximum(np.abs(weights).max(axis=0), 1e-8) / most).astype(np.float32)
    order = np.argsort(-np.diag(covariance), kind="stable")
    damped = covariance[np.ix_(order, order)] + np.eye(len(order)) * (_DAMPING * np.diag(covariance).mean() + 1e-12)
    pull = np.linalg.cholesky(np.linalg.inv(damped)).T
    left = (weights / scale)[order].astype(np.float64)
    whole = np.empty(weights.shape, np.int8)
    for row, place in enumerate(order):
        whole[place] = np.clip(np.round(left[row]), -most, most)
        error = (left[row] - whole[place]) / pull[row, row]
        left[row + 1 :] -= np.outer(pull[row, row + 1 :], error)
    return whole, scale
