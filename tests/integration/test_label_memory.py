"""``fankui label`` holds few rows at a time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def peak_mb(source: Path, output: Path) -> float:
    """Peak memory of labelling a file, in MB."""
    label = [sys.executable, "-m", "fankui", "label", str(source), "-o", str(output), "--threads", "1"]
    process = subprocess.Popen(label, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_maxrss / 1024


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["csv", "jsonl", "xlsx", "parquet"])
def test_ten_times_the_rows_take_no_more_memory(tmp_path: Path, suffix: str) -> None:
    peaks = []
    for rows in (15_000, 150_000):
        source = tmp_path / f"{rows}.csv"
        with source.open("w", encoding="utf-8") as file:
            file.write("id,text,note\n")
            file.writelines(f"{row},第{row % 500}次转账失败了,{'长' * 100}{row}\n" for row in range(rows))
        peaks.append(peak_mb(source, tmp_path / f"{rows}-out.{suffix}"))
    assert peaks[1] < peaks[0] + 60, peaks  # the whole input would be 47 MB of text, and several times that as rows
