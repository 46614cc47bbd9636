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

STEPS: Final = 127
_WINDOWS: Final = 256
_LENGTH: Final = 24
_WINDOWS_AT_ONCE: Final = 32
_DAMPING: Final = 0.01


@dataclass(frozen=True)
class Inputs:
    """What a layer is given.

    Attributes:
        mean: (width,) float64.
        covariance: (width, width) float64.
    """

    mean: Array
    covariance: Array


def layer_inputs(model: PreTrainedModel) -> Mapping[str, Inputs]:
    """Inputs of all linear layers of the encoder, by the layer's name, over windows of random pieces."""
    config = model.config
    chance = np.random.default_rng(0)
    shape = (_WINDOWS, min(_LENGTH, config.max_position_embeddings))
    windows = torch.tensor(np.exp(chance.uniform(0, np.log(config.vocab_size), shape)).astype(np.int64))
    sums: dict[str, tuple[Array, Array]] = {}

    def count(name: str, rows: Tensor) -> None:
        values = rows.detach().reshape(-1, rows.shape[-1]).double().cpu().numpy()
        total, products = sums.get(name, (0, 0))
        sums[name] = total + values.sum(axis=0), products + values.T @ values

    hooks = [
        module.register_forward_pre_hook(lambda _, given, name=name: count(name, given[0]))
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and ".encoder." in name
    ]
    try:
        with torch.inference_mode():
            for part in windows.split(_WINDOWS_AT_ONCE):
                model(input_ids=part.to(model.device))
    finally:
        for hook in hooks:
            hook.remove()
    means = {name: total / windows.numel() for name, (total, _) in sums.items()}
    return {
        name: Inputs(means[name], products / windows.numel() - np.outer(means[name], means[name]))
        for name, (_, products) in sums.items()
    }


def rounded(weights: Array, covariance: Array) -> tuple[Array, Array]:
    """Weights of a layer as int8 with one scale an output.

    Inputs are taken one after another, and the weights of those still to come make good what rounding changed
    ("GPTQ", Frantar et al. 2022).

    Args:
        weights: (inputs, outputs).
        covariance: of the inputs.

    Returns:
        (inputs, outputs) int8 and (outputs,) float32.
    """
    scale = (np.maximum(np.abs(weights).max(axis=0), 1e-8) / STEPS).astype(np.float32)
    order = np.argsort(-np.diag(covariance), kind="stable")
    damped = covariance[np.ix_(order, order)] + np.eye(len(order)) * (_DAMPING * np.diag(covariance).mean() + 1e-12)
    pull = np.linalg.cholesky(np.linalg.inv(damped)).T
    left = (weights / scale)[order].astype(np.float64)
    whole = np.empty(weights.shape, np.int8)
    for row, place in enumerate(order):
        whole[place] = np.clip(np.round(left[row]), -STEPS, STEPS)
        error = (left[row] - whole[place]) / pull[row, row]
        left[row + 1 :] -= np.outer(pull[row, row + 1 :], error)
    return whole, scale
