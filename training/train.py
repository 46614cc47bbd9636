"""From labelled records to a bundle: fine-tune, export, calibrate, judge, write."""

from __future__ import annotations

import contextlib
import importlib.metadata
import logging
import platform
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from data.taxonomy import Taxonomy
from training import processes
from training.base import BaseFacts, describe_base
from training.calibrate import CalibrationConfig
from training.dataset import check_records
from training.finetune import FinetuneConfig, finetune
from training.teaching import TaughtTexts
from training.training_data import TrainingData, data_sha256
from training.work_folder import open_work, work_folder
from training.write_bundle import write_bundle

logger = logging.getLogger(__name__)

DEFAULT_BASE: Final = Path(__file__).parent / "encoder"
_SAME_RUN: Final = (
    "base", "config", "processes", "training_data_sha256", "validation_data_sha256", "taxonomy_sha256", "taught",
)  # fmt: skip
_VERSIONS: Final = (
    "fankui", "torch", "transformers", "accelerate", "datasets", "tokenizers", "safetensors", "scikit-learn", "scipy",
    "onnx", "onnxscript", "onnxruntime", "numpy",
)  # fmt: skip


@dataclass(frozen=True)
class RunOptions:
    """How to run.

    Attributes:
        resume: whether to go on with a stopped run.
        details: more to be kept in the bundle's provenance.
    """

    resume: bool = False
    details: Mapping[str, Any] = field(default_factory=dict)


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in _VERSIONS:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):  # fankui itself may run from a checkout
            found[name] = importlib.metadata.version(name)
    return found


def train_bundle(
    data: TrainingData,
    taxonomy: Taxonomy,
    out: Path,
    base: str = str(DEFAULT_BASE),
    config: FinetuneConfig | None = None,
    calibration: CalibrationConfig | None = None,
    run: RunOptions = RunOptions(),
) -> str:
    """Make a bundle.

    Checkpoints lie in ``OUT.work`` until the bundle is written. Where several processes train together, all of them
    call this, and the main one exports and writes.

    Args:
        data: records by purpose.
        taxonomy: the heads.
        out: the bundle's folder; replaced when everything has succeeded.
        base: a Hugging Face folder or a hub id.
        config: how to fine-tune.
        calibration: what decisions are tuned for.
        run: how to run.

    Returns:
        The model version; empty in processes that do not write.

    Raises:
        DataError: records do not fit the taxonomy.
        ConfigError: the base cannot be loaded.
        CheckpointError: a stopped run is in the way, or is not the one to resume.
        ParityError: the exported model does not agree with the trained one.
    """
    begin = time.monotonic()
    config, calibration = config or FinetuneConfig(), calibration or CalibrationConfig()
    for records in (data.train, data.validation, data.calibration, *data.tests.values()):
        check_records(records, taxonomy)
    facts = describe_base(base)
    if config.max_tokens > facts.max_tokens:
        logger.info("max_tokens %d: the base reads no more at once", facts.max_tokens)
        config = replace(config, max_tokens=facts.max_tokens)
    made = _made_from(data, taxonomy, facts, config, calibration) | dict(run.details)
    work = work_folder(out)
    if processes.is_main():
        open_work(work, {name: made[name] for name in _SAME_RUN}, run.resume)
    processes.meet()
    result = finetune(base, taxonomy, data.train, data.validation, config, work, data.taught)
    processes.part()
    if not processes.is_main():
        return ""
    version = write_bundle(result, data, taxonomy, out, config.max_tokens, calibration, made, begin)
    shutil.rmtree(work, ignore_errors=True)
    logger.info("bundle %s in %s after %.0f s", version, out, time.monotonic() - begin)
    return version


def _taught_by(taught: TaughtTexts) -> dict[str, Any]:
    texts = data_sha256({"text": text} for text in taught.texts)
    return {"texts": len(taught.texts), "texts_sha256": texts, "teachers": list(taught.teachers)}


def _made_from(
    data: TrainingData, taxonomy: Taxonomy, facts: BaseFacts, config: FinetuneConfig, calibration: CalibrationConfig
) -> dict[str, Any]:
    """What a bundle is made from, known before training."""
    return {
        "base": facts.name,
        "base_revision": facts.revision,
        "base_type": facts.model_type,
        "config": asdict(config) | {"head_weights": dict(config.head_weights)},
        "processes": processes.count(),
        "calibration": asdict(calibration),
        "rows": {name: len(getattr(data, name)) for name in ("train", "validation", "calibration")},
        "training_data_sha256": data_sha256(data.train),
        "validation_data_sha256": data_sha256(data.validation),
        "taxonomy_sha256": taxonomy.sha256,
        "taught": None if data.taught is None else _taught_by(data.taught),
        "versions": _versions(),
    }
