"""Putting a released bundle where another lies: whole or not at all."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
from pathlib import Path
from typing import Final

from model.bundle import open_bundle
from training.errors import ConfigError
from training.release import GateResult
from training.write_bundle import serving_copy

RESULT_FILE: Final = "release.json"
"""Lies in a released bundle's folder, unnamed by the manifest: judging a bundle must not change its version."""

_AT_FDCWD: Final = -100
_RENAME_EXCHANGE: Final = 2


def put_in_place(candidate: Path, over: Path, result: GateResult) -> None:
    """Put the serving files of a candidate that passed where another bundle lies.

    All files are written and verified beside the old folder, then the two folders change names in one step; whoever
    looks sees the old bundle or the new one. The gate's result goes with it as ``release.json``.

    Args:
        candidate: the bundle that was judged.
        over: the folder to replace.
        result: of `judge_candidate`, passed.

    Raises:
        ConfigError: the result did not pass, or the candidate or the current bundle is not what was judged.
    """
    over = over.resolve()
    _clear_stale(over)
    if not result.passed:
        raise ConfigError(f"candidate {result.candidate} did not pass the gate; it is not put in place")
    if open_bundle(over).model_version != result.over:
        raise ConfigError(f"{over} is no longer the bundle {result.over} that the candidate was judged against")
    staged = over.with_name(f".{over.name}.staged-{os.getpid()}")
    try:
        if serving_copy(candidate, staged) != result.candidate:
            raise ConfigError(f"{candidate} is no longer the bundle {result.candidate} that was judged")
        text = json.dumps(result.to_dict(), ensure_ascii=False, indent=1) + "\n"
        (staged / RESULT_FILE).write_text(text, "utf-8")
        open_bundle(staged)
        _flush(staged)
        exchange(staged, over)
        _flush_folder(over.parent)
    finally:
        for left in (staged, staged.with_name(staged.name + ".new")):
            shutil.rmtree(left, ignore_errors=True)


def _clear_stale(over: Path) -> None:
    """Remove what a release that was killed has left beside the folder."""
    for path in over.parent.glob(f".{over.name}.staged-*"):
        owner = path.name.rpartition("-")[2].removesuffix(".new")
        try:
            os.kill(int(owner), 0)
        except (ProcessLookupError, ValueError):
            shutil.rmtree(path, ignore_errors=True)
        except PermissionError:
            continue  # it lives, and is another user's


def _flush(folder: Path) -> None:
    """Have every file on the disk before a name points to it."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        else:
            _flush_folder(path)
    _flush_folder(folder)


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def exchange(one: Path, two: Path) -> None:
    """Let two folders of one file system change names.

    In one step where the kernel can (Linux, ``renameat2``); elsewhere in three renames that are undone on failure.

    Raises:
        OSError: the folders could not be renamed; both are where they were.
    """
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None) if os.name == "posix" else None
    if rename is not None:
        names = os.fsencode(one), os.fsencode(two)
        if rename(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) == 0:
            return
    aside = two.with_name(f".{two.name}.aside-{os.getpid()}")
    two.rename(aside)
    try:
        one.rename(two)
    except OSError:
        aside.rename(two)
        raise
    aside.rename(one)
