"""From a torch classifier to ONNX: float32, and int8 that gives each text the same scores whatever its neighbours.

Dynamic int8 quantisation takes its activation scale over the whole batch, so neighbours change scores. BERT
classifiers are therefore written by `training.int8_bert`, which quantises activations row by row. For any other
architecture the exported graph is quantised: weights are 8-bit in blocks and activations are quantised row by row
inside onnxruntime's ``MatMulNBits`` (``accuracy_level=4``), which is about three times as slow; embeddings are int8
with one scale a row, in standard operators.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization.matmul_nbits_quantizer import DefaultWeightOnlyQuantConfig, MatMulNBitsQuantizer
from torch import Tensor, nn
from transformers import PreTrainedModel

from model.engine import OnnxEngine
from training import int8_bert
from training.errors import ParityError

OPSET: Final = 20
_BLOCK: Final = 64
_MIN_EMBEDDING_ROWS: Final = 256


class _LogitsOnly(nn.Module):
    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        logits: Tensor = self.model(input_ids=input_ids, attention_mask=attention_mask).logits
        return logits


def export_fp32(model: PreTrainedModel, path: Path) -> None:
    """Write a float32 ONNX file with inputs ``input_ids`` and ``attention_mask`` (batch, sequence) int64.

    Args:
        model: a sequence classifier in evaluation mode.
        path: the file; its folder is made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    pad = int(model.config.pad_token_id or 0)
    ids = torch.full((2, 12), pad + 1, dtype=torch.int64)
    batch, sequence = torch.export.Dim("batch"), torch.export.Dim("sequence")
    shapes = {name: {0: batch, 1: sequence} for name in ("input_ids", "attention_mask")}
    exporter = logging.getLogger("torch.onnx")
    level = exporter.level
    exporter.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                _LogitsOnly(model).eval(),
                (ids, torch.ones_like(ids)),
                str(path),
                input_names=list(shapes),
                output_names=["logits"],
                dynamic_shapes=shapes,
                opset_version=OPSET,
                dynamo=True,
                external_data=False,
                verbose=False,
            )
    finally:
        exporter.setLevel(level)


def export_int8(model: PreTrainedModel, fp32: Path, path: Path) -> None:
    """Write the int8 ONNX file that is served, with the inputs of `export_fp32`.

    Args:
        model: a sequence classifier in evaluation mode.
        fp32: what `export_fp32` wrote of it.
        path: the file; its folder is made.
    """
    if int8_bert.supports(model):
        int8_bert.write_int8_bert(model, path)
    else:
        quantise_int8(fp32, path)


def quantise_int8(source: Path, target: Path) -> None:
    """Write an int8 copy of a float32 ONNX file: block-wise matrices, row-wise embeddings."""
    logging.getLogger("onnxruntime.quantization.matmul_nbits_quantizer").setLevel(logging.WARNING)
    config = DefaultWeightOnlyQuantConfig(block_size=_BLOCK, is_symmetric=True, accuracy_level=4, bits=8)
    quantizer = MatMulNBitsQuantizer(onnx.load(source), algo_config=config)
    quantizer.process()
    model = quantizer.model.model
    _quantise_embeddings(model.graph)
    onnx.save(model, target)


def _quantise_embeddings(graph: Any) -> None:
    tables = {t.name: t for t in graph.initializer if t.data_type == TensorProto.FLOAT and len(t.dims) == 2}
    nodes = []
    for node in graph.node:
        table = tables.get(node.input[0]) if node.op_type == "Gather" else None
        if table is None or table.dims[0] < _MIN_EMBEDDING_ROWS:
            nodes.append(node)
            continue
        weights = numpy_helper.to_array(table)
        scale = np.maximum(np.abs(weights).max(axis=1, keepdims=True), 1e-8) / 127.0
        name, ids, out = table.name, node.input[1], node.output[0]
        graph.initializer.remove(table)
        graph.initializer.extend(
            [
                numpy_helper.from_array(np.round(weights / scale).astype(np.int8), f"{name}_int8"),
                numpy_helper.from_array(scale.astype(np.float32), f"{name}_scale"),
            ]
        )
        nodes += [
            helper.make_node("Gather", [f"{name}_int8", ids], [f"{out}_int8"]),
            helper.make_node("Gather", [f"{name}_scale", ids], [f"{out}_scale"]),
            helper.make_node("Cast", [f"{out}_int8"], [f"{out}_float"], to=TensorProto.FLOAT),
            helper.make_node("Mul", [f"{out}_float", f"{out}_scale"], [out]),
        ]
    del graph.node[:]
    graph.node.extend(nodes)


def torch_logits(model: PreTrainedModel, windows: Sequence[Sequence[int]]) -> npt.NDArray[np.float32]:
    """Logits of the torch model, one window at a time: (n_windows, n_logits) float32."""
    with torch.inference_mode():
        rows = [model(input_ids=torch.tensor([list(w)])).logits.float().numpy() for w in windows]
    return np.concatenate(rows)


def check_parity(model: PreTrainedModel, path: Path, windows: Sequence[Sequence[int]], tolerance: float) -> float:
    """Hold an ONNX file against the torch model on real windows.

    Args:
        model: the torch model, in evaluation mode.
        path: the ONNX file.
        windows: piece ids.
        tolerance: largest allowed absolute difference of a logit.

    Returns:
        The largest difference seen.

    Raises:
        ParityError: it is above the tolerance.
    """
    difference = float(np.abs(OnnxEngine(path).run(windows) - torch_logits(model, windows)).max())
    if difference > tolerance:
        raise ParityError(
            f"{path.name} differs from the trained model by {difference:.4f} in a logit; {tolerance} is allowed"
        )
    return difference
