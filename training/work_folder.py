"""The folder of a run's checkpoints: kept while it goes on, so that a killed run can be resumed."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from training.errors import CheckpointError

logger = logging.getLogger(__name__)

_RECORD: Final = "run.json"
_LAST_WRITTEN: Final = "trainer_state.json"


def work_folder(out: Path) -> Path:
    """Where the checkpoints of a bundle's run lie."""
    return out.with_name(out.name + ".work")


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])


def checkpoints(folder: Path) -> list[Path]:
    """Whole checkpoints, oldest first; the Trainer writes its state last.

    Runs that are averaged have a folder each and follow one another.
    """
    whole = [path / _LAST_WRITTEN for path in folder.rglob("checkpoint-*") if (path / _LAST_WRITTEN).is_file()]
    return [state.parent for state in sorted(whole, key=lambda state: state.stat().st_mtime_ns)]


def open_work(folder: Path, run: Mapping[str, Any], resume: bool) -> int:
    """Make the folder ready for a run, or for going on with it.

    Args:
        folder: see `work_folder`.
        run: what makes the run what it is: configuration, data, base.
        resume: whether to go on with a stopped run; one that never got to a checkpoint is begun again.

    Returns:
        The step to go on from; 0 for a new run.

    Raises:
        CheckpointError: there is a stopped run and nobody asked to go on with it, or it was another one.
    """
    record = json.loads(json.dumps(run))
    whole = checkpoints(folder)
    if whole and not resume:
        raise CheckpointError(
            f"{folder} holds a run that stopped at step {_step(whole[-1])}; --resume goes on with it; delete the "
            "folder to begin again"
        )
    if not whole:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / _RECORD).write_text(json.dumps(record, ensure_ascii=False, indent=1), "utf-8")
        return 0
    _check_same(folder, record)
    for path in folder.rglob("checkpoint-*"):
        if path not in whole:
            shutil.rmtree(path)
    logger.info("going on from step %d", _step(whole[-1]))
    return _step(whole[-1])


def _check_same(folder: Path, record: Mapping[str, Any]) -> None:
    try:
        before = json.loads((folder / _RECORD).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{folder / _RECORD} cannot be read: {error}; delete the folder to begin again"
        ) from error
    differing = sorted(name for name in {*before, *record} if before.get(name) != record.get(name))
    if differing:
        told = "; ".join(f"{name} was {before.get(name)!r} and is {record.get(name)!r}" for name in differing[:3])
        raise CheckpointError(f"{folder} holds another run ({told}); give the same settings, or delete the folder")
