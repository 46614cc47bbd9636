"""From labelled records to a bundle: fine-tune, export, calibrate, judge, write."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
import logging
import platform
import shutil
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from data.corpus import record_id as text_id
from data.taxonomy import Taxonomy
from model.bundle import MANIFEST, open_bundle, write_manifest
from model.classifier import Classifier
from model.engine import OnnxEngine
from model.tokenizer import WindowTokenizer
from training.calibrate import CalibrationConfig, calibrate
from training.dataset import Record, check_records, targets
from training.evaluate import classify_records, judge
from training.export import check_parity, export_fp32, quantise_int8
from training.finetune import FinetuneConfig, finetune
from training.model_card import model_card

logger = logging.getLogger(__name__)

DEFAULT_BASE: Final = Path(__file__).parent / "encoder"
FP32, INT8 = "onnx/model.onnx", "onnx/model_int8.onnx"
_FP32_TOLERANCE: Final = 2e-3
_INT8_TOLERANCE: Final = 0.6
_PARITY_TEXTS: Final = 200


@dataclass(frozen=True)
class TrainingData:
    """Records by what they are for.

    Attributes:
        train: learned from.
        validation: the best epoch is chosen on them.
        calibration: temperatures and thresholds are fitted on them.
        calibration_weights: one a calibration record, bringing them to natural shares; equal when empty.
        tests: named sets that are only measured.
    """

    train: Sequence[Record]
    validation: Sequence[Record]
    calibration: Sequence[Record]
    calibration_weights: Sequence[float] = ()
    tests: dict[str, Sequence[Record]] = field(default_factory=dict)


def data_sha256(records: Iterable[Record]) -> str:
    """Hash of records' content, whatever their order."""
    lines = sorted(json.dumps(dict(r), sort_keys=True, ensure_ascii=False) for r in records)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def record_id(record: Record) -> str:
    """A record's id, or the first 10 hex digits of its text's SHA-1."""
    return str(record.get("id") or text_id(str(record["text"])))


def _versions() -> dict[str, str]:
    names = ("torch", "transformers", "datasets", "tokenizers", "onnx", "onnxruntime", "numpy")
    return {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in names}}


def _window_logits(folder: Path, onnx: str, records: Sequence[Record], max_tokens: int) -> npt.NDArray[np.float32]:
    """Logits of each record's first window."""
    windows = [
        w[0] for w in WindowTokenizer(folder / "tokenizer.json", max_tokens).encode([str(r["text"]) for r in records])
    ]
    return OnnxEngine(folder / onnx).run(windows)


def write_model_files(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path, probe: Sequence[Record], max_tokens: int
) -> dict[str, float]:
    """Write weights, tokenizer and ONNX files, and hold the ONNX files against the model.

    Returns:
        Largest logit difference a precision.

    Raises:
        ParityError: an ONNX file does not agree with the model.
    """
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    export_fp32(model, folder / FP32)
    quantise_int8(folder / FP32, folder / INT8)
    texts = [str(r["text"]) for r in probe[:_PARITY_TEXTS]]
    windows = [w[0] for w in WindowTokenizer(folder / "tokenizer.json", max_tokens).encode(texts)]
    return {
        "fp32": check_parity(model, folder / FP32, windows, _FP32_TOLERANCE),
        "int8": check_parity(model, folder / INT8, windows, _INT8_TOLERANCE),
    }


def train_bundle(
    data: TrainingData,
    taxonomy: Taxonomy,
    out: Path,
    base: str = str(DEFAULT_BASE),
    config: FinetuneConfig | None = None,
    calibration: CalibrationConfig | None = None,
) -> str:
    """Make a bundle.

    Args:
        data: records by purpose.
        taxonomy: the heads.
        out: the bundle's folder; replaced when everything has succeeded.
        base: a Hugging Face folder or hub id.
        config: how to fine-tune.
        calibration: what decisions are tuned for.

    Returns:
        The model version.

    Raises:
        DataError: records do not fit the taxonomy.
        ConfigError: the base cannot be loaded.
        ParityError: the exported model does not agree with the trained one.
    """
    begin = time.monotonic()
    config, calibration = config or FinetuneConfig(), calibration or CalibrationConfig()
    for records in (data.train, data.validation, data.calibration, *data.tests.values()):
        check_records(records, taxonomy)
    result = finetune(base, taxonomy, data.train, data.validation, config)
    max_tokens = min(config.max_tokens, getattr(result.model.config, "max_position_embeddings", config.max_tokens))
    new = out.with_name(out.name + ".new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    parity = write_model_files(result.model, result.tokenizer, new, data.calibration, max_tokens)
    weights = np.array(data.calibration_weights, dtype=float) if data.calibration_weights else None
    logits = _window_logits(new, INT8, data.calibration, max_tokens)
    decisions = calibrate(taxonomy, logits, targets(data.calibration, taxonomy), weights, calibration)
    ids = sorted(record_id(r) for r in data.train)
    (new / "training_rows.txt").write_text("\n".join(ids) + "\n", "utf-8")
    provenance = {
        "base": Path(base).name if Path(base).exists() else base,
        "config": dataclasses.asdict(config) | {"head_weights": dict(config.head_weights)},
        "calibration": dataclasses.asdict(calibration),
        "rows": {name: len(getattr(data, name)) for name in ("train", "validation", "calibration")},
        "training_data_sha256": data_sha256(data.train),
        "taxonomy_sha256": taxonomy.sha256,
        "versions": _versions(),
        "history": result.history,
        "parity": parity,
        "seconds": round(time.monotonic() - begin, 1),
    }
    onnx = {"fp32": FP32, "int8": INT8}
    write_manifest(new, taxonomy, decisions, max_tokens, onnx, {}, provenance)
    figures = measure(new, data.tests)
    (new / "README.md").write_text(model_card(taxonomy, figures, provenance), "utf-8")
    version = write_manifest(new, taxonomy, decisions, max_tokens, onnx, figures, provenance)
    shutil.rmtree(out, ignore_errors=True)
    new.rename(out)
    logger.info("bundle %s in %s after %.0f s", version, out, time.monotonic() - begin)
    return version


def measure(folder: Path, tests: dict[str, Sequence[Record]]) -> dict[str, Any]:
    """Judge a bundle on named sets, as serving would run it."""
    classifier = Classifier.load(folder)
    figures = {}
    for name, records in tests.items():
        p, decided, review = classify_records(classifier, records)
        figures[name] = judge(classifier.taxonomy, records, decided, p, review)
    return figures


def serving_copy(bundle: Path, out: Path) -> str:
    """Copy a bundle without what serving does not need: torch weights and the float32 ONNX file.

    Args:
        bundle: a whole bundle.
        out: the folder to replace.

    Returns:
        The copy's model version.
    """
    whole = open_bundle(bundle)
    new = out.with_name(out.name + ".new")
    shutil.rmtree(new, ignore_errors=True)
    left_out = {"model.safetensors", whole.onnx["fp32"], MANIFEST}
    for path in sorted(p for p in bundle.rglob("*") if p.is_file()):
        name = path.relative_to(bundle).as_posix()
        if name not in left_out:
            (new / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, new / name)
    version = write_manifest(
        new,
        whole.taxonomy,
        whole.decisions,
        whole.max_tokens,
        {"int8": whole.onnx["int8"]},
        whole.metrics,
        whole.provenance,
    )
    shutil.rmtree(out, ignore_errors=True)
    new.rename(out)
    return version
