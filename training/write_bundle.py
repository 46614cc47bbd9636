"""Writing a bundle once its model is trained: export, calibrate, measure; and a copy for serving."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from data.taxonomy import Taxonomy
from model.bundle import MANIFEST, open_bundle, write_manifest
from model.classifier import Classifier
from model.engine import OnnxEngine
from model.tokenizer import WindowTokenizer
from training.bundle_files import write_model_files
from training.calibrate import CalibrationConfig, calibrate
from training.dataset import Record, targets
from training.evaluate import classify_records, judge
from training.finetune import Finetuned
from training.model_card import model_card
from training.training_data import TrainingData, record_id


def _window_logits(folder: Path, onnx: str, records: Sequence[Record], max_tokens: int) -> npt.NDArray[np.float32]:
    """Logits of each record's first window."""
    windows = [
        w[0] for w in WindowTokenizer(folder / "tokenizer.json", max_tokens).encode([str(r["text"]) for r in records])
    ]
    return OnnxEngine(folder / onnx).run(windows)


def write_bundle(
    result: Finetuned,
    data: TrainingData,
    taxonomy: Taxonomy,
    out: Path,
    max_tokens: int,
    calibration: CalibrationConfig,
    made: Mapping[str, Any],
    begin: float,
) -> str:
    """Export, calibrate, measure and write; ``out`` is replaced at the end."""
    new = out.with_name(out.name + ".new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    files = write_model_files(result.model, result.tokenizer, new, data.calibration, max_tokens)
    weights = np.array(data.calibration_weights, dtype=float) if data.calibration_weights else None
    logits = _window_logits(new, files.served, data.calibration, max_tokens)
    decisions = calibrate(taxonomy, logits, targets(data.calibration, taxonomy), weights, calibration)
    ids = sorted(record_id(r) for r in data.train)
    (new / "training_rows.txt").write_text("\n".join(ids) + "\n", "utf-8")
    provenance = {
        **made,
        "history": result.history,
        "parity": files.parity,
        "seconds": round(time.monotonic() - begin, 1),
    }
    write_manifest(new, taxonomy, decisions, max_tokens, files.onnx, {}, provenance)
    figures = measure(new, data.tests)
    (new / "README.md").write_text(model_card(taxonomy, figures, provenance), "utf-8")
    version = write_manifest(new, taxonomy, decisions, max_tokens, files.onnx, figures, provenance)
    shutil.rmtree(out, ignore_errors=True)
    new.rename(out)
    return version


def measure(folder: Path, tests: Mapping[str, Sequence[Record]]) -> dict[str, Any]:
    """Judge a bundle on named sets, as serving would run it; heads with one label a text also get their accuracy."""
    classifier = Classifier.load(folder)
    figures = {}
    for name, records in tests.items():
        p, decided, review = classify_records(classifier, records)
        report = judge(classifier.taxonomy, records, decided, p, review)
        wanted = targets(records, classifier.taxonomy)
        for head, entry in report["heads"].items():
            if classifier.taxonomy.head(head).kind in ("single_label", "ordinal"):
                entry["accuracy"] = _accuracy(wanted, decided, classifier.taxonomy.slices[head])
        figures[name] = report
    return figures


def _accuracy(wanted: npt.NDArray[np.float32], decided: npt.NDArray[np.int64], where: slice) -> float:
    present = ~np.isnan(wanted[:, where]).any(axis=1)
    return float((wanted[present, where] == decided[present, where]).all(axis=1).mean())


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
    precision = "int8" if "int8" in whole.onnx else "fp32"
    left_out = {"model.safetensors", MANIFEST, *(name for key, name in whole.onnx.items() if key != precision)}
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
        {precision: whole.onnx[precision]},
        whole.metrics,
        whole.provenance,
    )
    shutil.rmtree(out, ignore_errors=True)
    new.rename(out)
    return version
