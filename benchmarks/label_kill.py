"""A faulty export labelled once without disturbance, and once killed at random and gone on with."""

from __future__ import annotations

import filecmp
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

from benchmarks.faulty_export import write_faulty_export
from serving.checkpoint import RunFiles

_LOOK_S: Final = 0.005


def kill_run(folder: Path, rows: int, kills: int, options: list[str]) -> None:
    """Write the export, label it both ways, compare, and print what happened.

    Args:
        folder: takes the files.
        rows: of the export.
        kills: how often the second run is killed.
        options: for ``fankui label``.

    Raises:
        AssertionError: rows were lost, or the results differ.
    """
    source, whole, output = folder / "export.csv", folder / "whole.csv", folder / "killed.csv"
    planted = write_faulty_export(source, rows)
    megabytes = source.stat().st_size / 1e6
    print(f"{rows:,} rows, {megabytes:.0f} MB, planted: {json.dumps(planted, ensure_ascii=False)}\n", flush=True)
    began = time.monotonic()
    labels_bytes = _run(source, whole, options, stop_at=None)
    summary = _summary(whole)
    print("| run | labels kept when it ended | wall time |\n|---|---|---|")
    print(f"| never killed | {labels_bytes / 1e6:.2f} MB | {time.monotonic() - began:.1f} s |", flush=True)
    _check(summary, planted)
    chosen = random.Random(rows)
    stops = sorted(chosen.uniform(0.03, 0.9) for _ in range(kills))
    for number, stop in enumerate(stops, start=1):
        began = time.monotonic()
        kept = _run(source, output, options, stop_at=int(stop * labels_bytes), then_s=chosen.uniform(0.3, 2.0))
        print(f"| kill -9 no. {number} | {kept / 1e6:.2f} MB | {time.monotonic() - began:.1f} s |", flush=True)
    began = time.monotonic()
    _run(source, output, options, stop_at=None)
    print(f"| to the end | | {time.monotonic() - began:.1f} s |\n")
    assert filecmp.cmp(whole, output, shallow=False), "the outputs differ"
    assert filecmp.cmp(RunFiles(whole).rejects, RunFiles(output).rejects, shallow=False), "the rejects differ"
    print(
        f"rows in {summary['rows_in']:,} = rows out {summary['rows_out']:,} + rejects {summary['rejects']:,}; "
        f"not labelled: {summary['errors']}; replaced bytes: {summary['replaced_bytes']:,}; "
        f"output and rejects identical byte for byte after {kills} kills"
    )


def _run(source: Path, output: Path, options: list[str], stop_at: int | None, then_s: float = 0.0) -> int:
    journal = RunFiles(output).work / "labels.journal"
    command = [sys.executable, "-m", "fankui", "label", str(source), "-o", str(output), "--quiet", *options]
    largest = 0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env={**os.environ, "PYTHONUTF8": "1"}) as process:
        while process.poll() is None:
            if journal.exists():
                largest = max(largest, _size(journal))
            if stop_at is not None and largest >= stop_at:
                time.sleep(then_s)  # into the middle of a window, or of reading the labels that are kept
                process.kill()
                break
            time.sleep(_LOOK_S)
    expected = 0 if stop_at is None else -9
    assert process.returncode == expected, f"exit code {process.returncode}, not {expected}"
    assert output.exists() == (stop_at is None), "an output is there whole or not at all"
    return largest


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # the run has just ended
        return 0


def _summary(output: Path) -> dict[str, Any]:
    summary: dict[str, Any] = json.loads(RunFiles(output).record.read_text("utf-8"))["summary"]
    return summary


def _check(summary: dict[str, Any], planted: dict[str, int]) -> None:
    errors = {"blank_text": planted["blank"], "text_too_long": planted["too long"]}
    assert summary["rows_in"] == planted["rows"], "rows were lost in reading"
    assert summary["rows_out"] + summary["rejects"] == planted["rows"], "rows were lost in writing"
    assert summary["errors"] == {name: count for name, count in errors.items() if count}, summary["errors"]
    assert summary["replaced_bytes"] == planted["bad bytes"], summary["replaced_bytes"]
