"""The files of a bundle that other programs read: weights, tokenizer, ONNX."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from model.tokenizer import WindowTokenizer
from training.dataset import Record
from training.errors import ParityError
from training.export import check_parity, export_fp32, export_int8

logger = logging.getLogger(__name__)

FP32: Final = "onnx/model.onnx"
INT8: Final = "onnx/model_int8.onnx"
_FP32_TOLERANCE: Final = 2e-3
_INT8_TOLERANCE: Final = 0.6
_PARITY_TEXTS: Final = 200
_STOCK_CLASS: Final = "PreTrainedTokenizerFast"
_OF_THIS_VERSION: Final = ("backend", "is_local", "local_files_only", "tokenizer_file", "name_or_path", "vocab_file")


@dataclass(frozen=True)
class ModelFiles:
    """What was written.

    Attributes:
        onnx: names of ONNX files by precision.
        parity: largest logit difference from the trained model by precision.
    """

    onnx: dict[str, str]
    parity: dict[str, float]

    @property
    def served(self) -> str:
        """The ONNX file that serving takes."""
        return self.onnx.get("int8") or self.onnx["fp32"]


def write_tokenizer(tokenizer: PreTrainedTokenizerBase, folder: Path, max_tokens: int) -> None:
    """Write ``tokenizer.json`` and a configuration that transformers 4 and 5 both load as it is.

    The class is the one that adds nothing to ``tokenizer.json``, whatever the base's was: transformers 5 renamed it,
    and classes of single models differ between the versions. Compatibility forms are folded first, as
    `data.text.normalise` does, so that a stock loader sees the pieces that were learned.
    """
    tokenizer.save_pretrained(folder)
    _fold_compatibility_forms(folder / "tokenizer.json")
    path = folder / "tokenizer_config.json"
    config: dict[str, Any] = json.loads(path.read_text("utf-8"))
    kept = {name: value for name, value in config.items() if name not in _OF_THIS_VERSION}
    kept |= {
        "tokenizer_class": _STOCK_CLASS,
        "model_max_length": max_tokens,
        "model_input_names": list(tokenizer.model_input_names),
    }
    path.write_text(json.dumps(kept, ensure_ascii=False, indent=2, sort_keys=True) + "\n", "utf-8")


def _fold_compatibility_forms(path: Path) -> None:
    parts: dict[str, Any] = json.loads(path.read_text("utf-8"))
    own = parts["normalizer"]
    if own is None:
        parts["normalizer"] = {"type": "NFKC"}
    elif '"NFKC"' not in json.dumps(own):
        parts["normalizer"] = {"type": "Sequence", "normalizers": [{"type": "NFKC"}, own]}
    else:
        return
    path.write_text(json.dumps(parts, ensure_ascii=False), "utf-8")


def write_model_files(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path, probe: Sequence[Record], max_tokens: int
) -> ModelFiles:
    """Write weights, tokenizer and ONNX files, and hold the ONNX files against the model.

    A model whose int8 form strays too far is served in float32; the log says so.

    Args:
        model: in evaluation mode.
        tokenizer: its tokenizer.
        folder: of the bundle.
        probe: records whose texts the files are compared on.
        max_tokens: pieces the model reads at once.

    Raises:
        ParityError: the float32 ONNX file does not agree with the model.
    """
    model.save_pretrained(folder)
    for path in folder.glob("*.safetensors"):  # safetensors lets only its owner read what it writes
        shutil.copymode(folder / "config.json", path)
    write_tokenizer(tokenizer, folder, max_tokens)
    export_fp32(model, folder / FP32)
    texts = [str(r["text"]) for r in probe[:_PARITY_TEXTS]]
    windows = [w[0] for w in WindowTokenizer(folder / "tokenizer.json", max_tokens).encode(texts)]
    parity = {"fp32": check_parity(model, folder / FP32, windows, _FP32_TOLERANCE)}
    export_int8(model, folder / FP32, folder / INT8)
    try:
        parity["int8"] = check_parity(model, folder / INT8, windows, _INT8_TOLERANCE)
    except ParityError as error:
        logger.warning("%s; the bundle is served in float32", error)
        (folder / INT8).unlink()
        return ModelFiles({"fp32": FP32}, parity)
    return ModelFiles({"fp32": FP32, "int8": INT8}, parity)
