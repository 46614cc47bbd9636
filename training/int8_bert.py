"""BERT classifiers as an int8 ONNX graph, written operator by operator.

A quantiser run over an exported graph leaves most of the time outside matrix products. This graph is made of what
onnxruntime is fast at:

- Activations are rows ``(tokens, width)``. Each row is quantised by its own largest value, so a text's scores do not
  depend on its neighbours, and multiplied as uint8 by int8 with int32 sums, which are exact in any order.
- Processors without VNNI add pairs of products in 16 bits, which 8-bit weights would overflow. Weights have 7 bits; of
  attention, where bits tell most, they have 8 as the sum of two of 7, and a row is multiplied with both in one product
  of twice the length.
- A few columns of normalised rows are large in every row, and would leave few of the 8 bits to the others. The mean
  row is therefore left out by the normalisation's own bias and put back by the biases that follow.
- Attention is one fused operator, and queries, keys and values come from one product.
- A classifier reads the first row of a sequence, so the last layer computes only its keys and values for the others,
  and all else in float32, from weights that are int8 in the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from transformers import PreTrainedModel

from training import int8_weights
from training.int8_weights import Array, RoundedLayer

_CONTRIB: Final = "com.microsoft"
_OPSET: Final = 21
_IR_VERSION: Final = 10
_ZERO: Final = 128  # quantised activations lie symmetric around it
_GELU_ZERO: Final = 24  # except those from the Gelu, which lie above zero but for a little
_LEAST_GELU: Final = 0.17  # no value of the Gelu lies further below zero
_FINE_ROWS: Final = 1400  # of the table of pieces
_FINE_STEPS: Final = 254
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
    onnx.save(_Writer(model.config, weights, int8_weights.rounded_layers(model)).model(), path)


def _layer_input(number: int) -> str:
    """The name under which the rows that a layer is given are known."""
    return f"bert.encoder.layer.{number}.attention.self.query"


class _Writer:
    """Collects nodes and constants; its methods take and return names of values.

    Rows that a linear layer is given are less their mean, unless they come from the Gelu.
    """

    def __init__(self, config: Any, weights: dict[str, Array], layers: Mapping[str, RoundedLayer]) -> None:
        self._config, self._weights, self._layers = config, weights, layers
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}

    def model(self) -> Any:
        """The whole graph, as an ``onnx.ModelProto``."""
        rows = self._embeddings()
        for number in range(self._config.num_hidden_layers):
            rows = self._layer(number, rows)
        for name, out in (("bert.pooler.dense", "pooled"), ("classifier", "logits")):
            self._op("Gemm", rows, self._weight(f"{name}.weight"), self._weight(f"{name}.bias"), out=out, transB=1)
            rows = self._op("Tanh", "pooled") if out == "pooled" else out
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
        words = self._words(self._weights[tables.format("word")])
        # Of the token types only the first is ever asked for. It is large in some columns of every place, so that int8
        # with one scale a row would lose the places: they are float16.
        places = self._weights[tables.format("position")] + self._weights[tables.format("token_type")][0]
        table = self._float(self._constant("places", places.astype(np.float16)))
        length = self._op("Squeeze", self._op("Shape", "input_ids", start=1))
        start, step = self._constant("first", np.array(0)), self._constant("one", np.array(1))
        placed = self._op("Gather", table, self._op("Range", start, length, step))
        states = self._normalised("bert.embeddings.LayerNorm", self._op("Add", words, placed), _layer_input(0))
        rows = self._as_rows(states)
        self._op("Cast", "attention_mask", out="mask", to=TensorProto.INT32)
        self._op("Concat", self._op("Shape", "input_ids"), self._constant("rest", np.array([-1])), out="shape", axis=0)
        column = self._op("Concat", self._op("Shape", rows, end=1), self._constant("axis_1", np.array([1])), axis=0)
        for zero in (_ZERO, _GELU_ZERO):
            same = helper.make_tensor("value", TensorProto.UINT8, [1], [zero])
            self._op("ConstantOfShape", column, out=f"zeros_{zero}", value=same)
        return rows

    def _words(self, table: Array) -> str:
        """Rows of pieces: int8 with one scale a row, and for the most frequent what this leaves, in int8 again."""
        scale = np.maximum(np.abs(table).max(axis=1, keepdims=True), 1e-8) / int8_weights.EIGHT_BITS
        whole = np.round(table / scale)
        # Pieces are numbered by frequency. All the others have the last row, which is zero.
        fine = np.round((table / scale - whole)[:_FINE_ROWS] * _FINE_STEPS)
        fine = np.concatenate([fine, np.zeros_like(fine[:1])]).astype(np.int8)
        row = self._op("Min", "input_ids", self._constant("last_fine", np.array(len(fine) - 1)))
        left = self._float(self._op("Gather", self._constant("words.fine", fine), row))
        left = self._op("Mul", left, self._constant("fine_step", np.array(1 / _FINE_STEPS, np.float32)))
        words = self._float(self._op("Gather", self._constant("words", whole.astype(np.int8)), "input_ids"))
        scales = self._op("Gather", self._constant("words.scale", scale.astype(np.float32)), "input_ids")
        return self._op("Mul", self._op("Add", words, left), scales)

    def _layer(self, number: int, rows: str) -> str:
        """One transformer layer: (tokens, width) to the same; the last to (texts, width), of first rows only."""
        name, given = f"bert.encoder.layer.{number}", _layer_input(number)
        last = number == self._config.num_hidden_layers - 1
        output, wider, narrower = (f"{name}.{part}.dense" for part in ("attention.output", "intermediate", "output"))
        linear = self._float_linear if last else self._linear
        attended, kept = self._attention(name, rows, last)
        mixed = self._op("Add", linear([output], attended), self._bias(output, kept=given))
        middle = self._normalised(f"{name}.attention.output.LayerNorm", self._op("Add", mixed, kept), wider)
        wide = self._op("BiasGelu", linear([wider], middle), self._bias(wider), domain=_CONTRIB)
        narrow = self._op("Add", linear([narrower], wide, gelu=True), self._bias(narrower, kept=wider, gelu=True))
        rows = self._op("Add", narrow, middle)
        return self._normalised(f"{name}.output.LayerNorm", rows, "" if last else _layer_input(number + 1))

    def _attention(self, name: str, rows: str, first_only: bool) -> tuple[str, str]:
        """What every row attends to, and the rows this is added to."""
        parts = [f"{name}.attention.self.{part}" for part in ("query", "key", "value")]
        kept, first = rows, self._constant("first", np.array(0))
        if first_only:
            kept = self._op("Gather", self._op("Reshape", rows, "shape"), first, axis=1)
            query = self._op("Unsqueeze", self._float_linear(parts[:1], kept), self._constant("axis_1", np.array([1])))
            # Alone it would go to a kernel whose rounding depends on the padding; it is asked twice.
            each = [self._op("Concat", query, query, axis=1), *self._split(self._linear(parts[1:], rows), 2)]
        else:
            each = self._split(self._linear(parts, rows), 3)
        bias = np.concatenate([self._layers[part].bias + self._layers[part].of_mean() for part in parts])
        # Attention weights sum to 1: what all values lack, their weighted mean lacks.
        bias[-self._config.hidden_size :] -= self._layers[f"{name}.attention.output.dense"].mean
        attended = self._op(
            "MultiHeadAttention",
            *each,
            self._constant(f"{name}.attention.bias", bias.astype(np.float32)),
            "mask",
            domain=_CONTRIB,
            num_heads=self._config.num_attention_heads,
        )
        if first_only:
            return self._op("Gather", attended, first, axis=1), kept
        return self._as_rows(attended), kept

    def _split(self, rows: str, parts: int) -> list[str]:
        """Parts of wide rows, as sequences: each (batch, sequence, width)."""
        whole = self._op("Reshape", rows, "shape")
        names = [f"{whole}_{part}" for part in range(parts)]
        self._nodes.append(helper.make_node("Split", [whole], names, axis=-1, num_outputs=parts))
        return names

    def _as_rows(self, sequences: str) -> str:
        width = self._constant("row_shape", np.array([-1, self._config.hidden_size]))
        return self._op("Reshape", sequences, width)

    def _float(self, values: str) -> str:
        return self._op("Cast", values, to=TensorProto.FLOAT)

    def _normalised(self, name: str, values: str, reader: str) -> str:
        """Normalised rows, less their mean if a linear layer reads them."""
        bias = self._weights[f"{name}.bias"] - (self._layers[reader].mean if reader else 0)
        inputs = self._weight(f"{name}.weight"), self._constant(f"{name}.bias", bias.astype(np.float32))
        return self._op("LayerNormalization", values, *inputs, axis=-1, epsilon=float(self._config.layer_norm_eps))

    def _quantised(self, rows: str, gelu: bool) -> tuple[str, str]:
        """Rows as uint8, and the scale of each (rows, 1)."""
        zero = _GELU_ZERO if gelu else _ZERO
        axis = self._constant("last_axis", np.array([-1]))
        most = self._op("ReduceMax", rows if gelu else self._op("Abs", rows), axis)
        if gelu:
            least = np.array(_LEAST_GELU / zero * (255 - zero), np.float32)
            most = self._op("Max", most, self._constant("least", least))
        scale = self._op("Mul", most, self._constant(f"step_{zero}", np.array(1 / (255 - zero), np.float32)))
        width = self._config.intermediate_size if gelu else self._config.hidden_size
        return self._op("QuantizeLinear", rows, scale, f"zeros_{zero}", axis=1, block_size=width), scale

    def _bias(self, name: str, kept: str = "", gelu: bool = False) -> str:
        """Bias of a layer.

        Args:
            name: the layer.
            kept: another layer, whose input is added to the output of this one, and lacks its mean.
            gelu: whether the layer's own input is from the Gelu and therefore lacks nothing.
        """
        layer = self._layers[name]
        bias = layer.bias + (0 if gelu else layer.of_mean()) + (self._layers[kept].mean if kept else 0)
        return self._constant(f"{name}.bias", bias.astype(np.float32))

    def _linear(self, parts: list[str], rows: str, gelu: bool = False) -> str:
        """Products, without bias, of rows with the weights of one layer, or of several side by side."""
        name, zero = "+".join(parts), _GELU_ZERO if gelu else _ZERO
        quantised, scale = self._quantised(rows, gelu)
        weights = self._constant(name, np.concatenate([self._layers[part].weights for part in parts], axis=1))
        column = np.concatenate([self._layers[part].scale for part in parts])
        if self._layers[parts[0]].most > int8_weights.SEVEN_BITS:
            quantised, weights = self._op("Concat", quantised, quantised, axis=1), self._halves(weights)
        product = self._op(
            "MatMulIntegerToFloat",
            quantised,
            weights,
            self._constant("unit", np.array(1, np.float32)),
            self._constant(f"{name}.scale", column),
            self._constant(f"zero_{zero}", np.array(zero, np.uint8)),
            self._constant(f"{name}.zeros", np.zeros(len(column), np.int8)),
            domain=_CONTRIB,
        )
        return self._op("Mul", product, scale)

    def _halves(self, weights: str) -> str:
        """8-bit weights (inputs, outputs) as two of 7, one above the other. The session does this once, on loading."""
        whole = self._op("Cast", weights, to=TensorProto.INT32)
        most = int8_weights.SEVEN_BITS
        limits = [self._constant(f"limit_{limit}", np.array(limit, np.int32)) for limit in (-most, most)]
        half = self._op("Clip", whole, *limits)
        both = self._op("Concat", half, self._op("Sub", whole, half), axis=0)
        return self._op("Cast", both, to=TensorProto.INT8)

    def _float_linear(self, parts: list[str], rows: str, gelu: bool = False) -> str:
        """What `_linear` gives, in float32. The session multiplies weights and scales once, on loading."""
        (name,) = parts
        layer = self._layers[name]
        weights = self._float(self._constant(name, np.ascontiguousarray(layer.weights.T)))
        weights = self._op("Mul", weights, self._constant(f"{name}.scale", layer.scale[:, None]))
        return self._op("Gemm", rows, weights, transB=1)
