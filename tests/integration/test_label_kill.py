"""``fankui label`` killed at any time goes on to the very same result."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from serving.checkpoint import RunFiles

if TYPE_CHECKING:
    from tests.conftest import RunFankui

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Export:
    """A GBK file with bad bytes, blanks, 70,000 characters, ragged rows, emoji, NUL, formulas and duplicates in it."""

    path: Path
    planted: dict[str, int]


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Export:
    path = tmp_path_factory.mktemp("kill") / "export.csv"
    write = [sys.executable, "-m", "benchmarks.faulty_export", str(path), "--rows", "1200"]
    done = subprocess.run(write, cwd=ROOT, capture_output=True, text=True, encoding="utf-8", check=True)
    return Export(path, json.loads(done.stdout))


def command(source: Path, output: Path) -> list[str]:
    label = ["label", str(source), "-o", str(output), "--window-rows", "20", "--threads", "1"]
    return [sys.executable, "-m", "fankui", *label]


def kill_when_it_has_more(source: Path, output: Path, more: int) -> int:
    """Start labelling, kill -9 it when its journal has grown; the journal's size then."""
    journal = RunFiles(output).work / "labels.journal"

    def size() -> int:
        return journal.stat().st_size if journal.exists() else 0

    target = size() + more
    environment: dict[str, Any] = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}
    with subprocess.Popen(command(source, output), env=environment, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None and size() < target:
            time.sleep(0.001)
        process.kill()
    assert process.returncode == -9, "it was done before it could be killed"
    assert not output.exists()
    return size()


@pytest.mark.parametrize(("suffix", "kills"), [("csv", 5), ("jsonl.gz", 2), ("xlsx", 2)])
def test_killed_and_gone_on_is_the_same_as_never_killed(
    run_fankui: RunFankui, export: Export, tmp_path: Path, suffix: str, kills: int
) -> None:
    source, planted = export.path, export.planted
    whole, output = tmp_path / f"whole.{suffix}", tmp_path / f"killed.{suffix}"
    assert run_fankui(*command(source, whole)[3:]).returncode == 0
    chosen = random.Random(suffix)
    sizes = [kill_when_it_has_more(source, output, chosen.randint(1, 5_000)) for _ in range(kills)]
    assert sizes == sorted(sizes) and sizes[0] > 0
    refused = run_fankui(*command(source, output)[3:], "--text-column", "备注")
    assert refused.returncode == 3 and "text columns was ['反馈内容'], now ['备注']" in refused.stderr
    done = run_fankui(*command(source, output)[3:])
    assert done.returncode == 0 and "gone on from an earlier run" in done.stdout, done.stderr
    counts = json.loads(RunFiles(output).record.read_text("utf-8"))["summary"]
    assert counts["rows_in"] == 1200 == counts["rows_out"] + planted["rejects"]
    assert counts["errors"] == {"blank_text": planted["blank"], "text_too_long": planted["too long"]}
    assert counts["replaced_bytes"] == planted["bad bytes"] > 0 and planted["emoji"] and planted["nul"]
    if suffix == "xlsx":
        assert cells_of(output) == cells_of(whole)
    else:
        assert output.read_bytes() == whole.read_bytes()
    assert Path(f"{output}.rejects.jsonl").read_bytes() == Path(f"{whole}.rejects.jsonl").read_bytes()
    assert not RunFiles(output).work.exists()


def cells_of(path: Path) -> list[list[tuple[Any, str, Any]]]:
    from openpyxl import load_workbook

    sheet = load_workbook(path).active
    assert sheet is not None
    return [[(cell.value, cell.data_type, cell.fill.start_color.rgb) for cell in row] for row in sheet.iter_rows()]
