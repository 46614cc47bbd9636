"""BERT classifiers as an int8 ONNX graph, written operator by operator.

A quantiser run over an exported graph leaves most of the time outside matrix products. This graph is made of what
onnxruntime is fast at:

- Activations are rows ``(tokens, width)``. Each row is quantised by its own largest value, so a text's scores do not
  depend on its neighbours, and multiplied as uint8 by int8 with int32 sums, which are exact in any order.
- Weights have one scale a column and 7 bits: processors without VNNI add pairs of products in 16 bits, which 8-bit
  weights would overflow.
- Attention is one fused operator, and queries, keys and values come from one product.
- A classifier reads the first row of a sequence, so the last layer computes only its keys and values for the others.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper
from transformers import PreTrainedModel

Array = npt.NDArray[Any]

_CONTRIB: Final = "com.microsoft"
_OPSET: Final = 20
_IR_VERSION: Final = 10
_ZERO: Final = 128  # quantised activations lie symmetric around it
_ACTIVATION_STEPS: Final = 127
_WEIGHT_STEPS: Final = 64
_LEAST_GELU: Final = 0.17  # no value of the Gelu lies further below zero
_INPUTS: Final = ("input_ids", "attention_mask")


def supports(model: PreTrainedModel) -> bool:
    """Whether a model has the architecture that this module writes."""
    config = model.config
    return (
        type(model).__name__ == "BertForSequenceClassification"
        and config.hidden_act == "gelu"
        and getattr(config, "position_embedding_type", None) in (None, "absolute")
        and not getattr(config, "is_decoder", False)
    )


def write_int8_bert(model: PreTrainedModel, path: Path) -> None:
    """Write a model that `supports` accepts.

    Inputs are ``input_ids`` and ``attention_mask``, (batch, sequence) int64; the output is ``logits``, (batch, labels)
    float32.
    """
    weights = {name: tensor.detach().float().cpu().numpy() for name, tensor in model.state_dict().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(_Writer(model.config, weights).model(), path)


class _Writer:
    """Collects nodes and constants; its methods take and return names of values."""

    def __init__(self, config: Any, weights: dict[str, Array]) -> None:
        self._config, self._weights = config, weights
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}

    def model(self) -> Any:
        """The whole graph, as an ``onnx.ModelProto``."""
        rows = self._embeddings()
        for layer in range(self._config.num_hidden_layers):
            last = layer == self._config.num_hidden_layers - 1
            rows = self._layer(f"bert.encoder.layer.{layer}", rows, first_only=last)
        pooled = self._op("Tanh", self._float_linear("bert.pooler.dense", rows))
        self._float_linear("classifier", pooled, out="logits")
        labels = len(self._weights["classifier.bias"])
        graph = helper.make_graph(
            self._nodes,
            "fankui",
            [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "sequence"]) for name in _INPUTS],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", labels])],
            list(self._constants.values()),
        )
        opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(_CONTRIB, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION, producer_name="fankui")

    def _op(self, kind: str, *inputs: str, out: str = "", domain: str = "", **attributes: Any) -> str:
        out = out or f"{kind}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, list(inputs), [out], domain=domain, **attributes))
        return out

    def _constant(self, name: str, value: Array) -> str:
        self._constants.setdefault(name, numpy_helper.from_array(value, name))
        return name

    def _weight(self, name: str) -> str:
        return self._constant(name, self._weights[name])

    def _embeddings(self) -> str:
        """Rows of all tokens: (tokens, width). Sets the values that layers share."""
        tables = "bert.embeddings.{}_embeddings.weight"
        words = self._embedding("words", self._weights[tables.format("word")], "input_ids")
        # Of the token types only the first is ever asked for.
        places = self._weights[tables.format("position")] + self._weights[tables.format("token_type")][0]
        length = self._op("Squeeze", self._op("Shape", "input_ids", start=1))
        zero, one = self._constant("zero", np.array(0)), self._constant("one", np.array(1))
        placed = self._embedding("places", places, self._op("Range", zero, length, one))
        states = self._normalised("bert.embeddings.LayerNorm", self._op("Add", words, placed))
        rows = self._as_rows(states)
        self._op("Cast", "attention_mask", out="mask", to=TensorProto.INT32)
        self._op("Concat", self._op("Shape", "input_ids"), self._constant("rest", np.array([-1])), out="shape", axis=0)
        middle = helper.make_tensor("value", TensorProto.UINT8, [1], [_ZERO])
        self._op("ConstantOfShape", self._op("Shape", rows, end=1), out="row_zeros", value=middle)
        self._op("ConstantOfShape", self._op("Shape", "input_ids", end=1), out="first_zeros", value=middle)
        return rows

    def _embedding(self, name: str, table: Array, ids: str) -> str:
        """Rows of a table that is kept in int8, with one scale a row."""
        scale = np.maximum(np.abs(table).max(axis=1, keepdims=True), 1e-8) / 127
        whole = self._op("Gather", self._constant(name, np.round(table / scale).astype(np.int8)), ids)
        scales = self._op("Gather", self._constant(f"{name}.scale", scale.astype(np.float32)), ids)
        return self._op("Mul", self._op("Cast", whole, to=TensorProto.FLOAT), scales)

    def _layer(self, name: str, rows: str, first_only: bool) -> str:
        """One transformer layer: (tokens, width) to the same, or to (texts, width) if only first rows are wanted."""
        attended, kept, zeros = self._attention(name, rows, first_only)
        mixed = self._op(
            "Add", self._linear([f"{name}.attention.output.dense"], *self._quantised(attended, zeros)), kept
        )
        middle = self._normalised(f"{name}.attention.output.LayerNorm", mixed)
        wide = self._linear([f"{name}.intermediate.dense"], *self._quantised(middle, zeros), biased=False)
        wide = self._op("BiasGelu", wide, self._weight(f"{name}.intermediate.dense.bias"), domain=_CONTRIB)
        narrow = self._linear([f"{name}.output.dense"], *self._quantised(wide, zeros, _LEAST_GELU))
        return self._normalised(f"{name}.output.LayerNorm", self._op("Add", narrow, middle))

    def _attention(self, name: str, rows: str, first_only: bool) -> tuple[str, str, str]:
        """What every row attends to, the rows this is added to, and the zero points of as many rows."""
        parts = [f"{name}.attention.self.{part}" for part in ("query", "key", "value")]
        quantised, scale = self._quantised(rows, "row_zeros")
        kept, zeros = rows, "row_zeros"
        if first_only:
            kept, zeros = self._first(rows), "first_zeros"
            query = self._linear(parts[:1], *self._quantised(kept, zeros), biased=False)
            query = self._op("Unsqueeze", query, self._constant("axis_1", np.array([1])))
            # Alone it would go to a kernel whose rounding depends on the padding; it is asked twice.
            each = [self._op("Concat", query, query, axis=1)]
            each += self._split(self._linear(parts[1:], quantised, scale, biased=False), 2)
        else:
            each = self._split(self._linear(parts, quantised, scale, biased=False), 3)
        bias = np.concatenate([self._weights[f"{part}.bias"] for part in parts])
        attended = self._op(
            "MultiHeadAttention",
            *each,
            self._constant(f"{name}.attention.bias", bias),
            "mask",
            domain=_CONTRIB,
            num_heads=self._config.num_attention_heads,
        )
        if first_only:
            return self._op("Gather", attended, self._constant("zero", np.array(0)), axis=1), kept, zeros
        return self._as_rows(attended), kept, zeros

    def _split(self, rows: str, parts: int) -> list[str]:
        """Parts of wide rows, as sequences: each (batch, sequence, width)."""
        whole = self._op("Reshape", rows, "shape")
        names = [f"{whole}_{part}" for part in range(parts)]
        self._nodes.append(helper.make_node("Split", [whole], names, axis=-1, num_outputs=parts))
        return names

    def _as_rows(self, sequences: str) -> str:
        width = self._constant("row_shape", np.array([-1, self._config.hidden_size]))
        return self._op("Reshape", sequences, width)

    def _first(self, rows: str) -> str:
        return self._op("Gather", self._op("Reshape", rows, "shape"), self._constant("zero", np.array(0)), axis=1)

    def _normalised(self, name: str, values: str) -> str:
        inputs = self._weight(f"{name}.weight"), self._weight(f"{name}.bias")
        return self._op("LayerNormalization", values, *inputs, axis=-1, epsilon=float(self._config.layer_norm_eps))

    def _quantised(self, rows: str, zeros: str, least: float = 0.0) -> tuple[str, str]:
        """Rows as uint8, and the scale of each (rows, 1).

        Args:
            rows: (rows, width) float32.
            zeros: as many zero points.
            least: values are known not to lie further below zero; 0 if nothing is known.
        """
        axis = self._constant("last_axis", np.array([-1]))
        if least:
            most = self._op("ReduceMax", rows, axis, keepdims=1)
            most = self._op("Max", most, self._constant("least", np.array(least, np.float32)))
        else:
            most = self._op("ReduceMax", self._op("Abs", rows), axis, keepdims=1)
        scale = self._op("Mul", most, self._constant("step", np.array(1 / _ACTIVATION_STEPS, np.float32)))
        flat = self._op("Reshape", scale, self._constant("rest", np.array([-1])))
        return self._op("QuantizeLinear", rows, flat, zeros, axis=0), scale

    def _linear(self, parts: list[str], quantised: str, scale: str, biased: bool = True) -> str:
        """A product of quantised rows with the weights of one layer, or of several side by side."""
        name = "+".join(parts)
        weights = np.concatenate([self._weights[f"{part}.weight"] for part in parts]).T
        column = np.maximum(np.abs(weights).max(axis=0), 1e-8) / _WEIGHT_STEPS
        product = self._op(
            "MatMulIntegerToFloat",
            quantised,
            self._constant(name, np.round(weights / column).astype(np.int8)),
            self._constant("unit", np.array(1, np.float32)),
            self._constant(f"{name}.scale", column.astype(np.float32)),
            self._constant("middle", np.array(_ZERO, np.uint8)),
            self._constant(f"{name}.zeros", np.zeros(len(column), np.int8)),
            domain=_CONTRIB,
        )
        product = self._op("Mul", product, scale)
        return self._op("Add", product, self._weight(f"{parts[0]}.bias")) if biased else product

    def _float_linear(self, name: str, rows: str, out: str = "") -> str:
        return self._op("Gemm", rows, self._weight(f"{name}.weight"), self._weight(f"{name}.bias"), out=out, transB=1)
