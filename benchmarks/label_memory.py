"""Memory of ``fankui label`` while it goes through a long file."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from serving.checkpoint import RunFiles

_LOOK_S: Final = 0.2
_POINTS: Final = 10
_PADDING: Final = "，请尽快处理，谢谢" * 40


def memory_curve(folder: Path, rows: int, distinct: int, options: list[str]) -> None:
    """Label a long file and print its memory at ten points on the way.

    Args:
        folder: takes the files.
        rows: of the input.
        distinct: texts among them; a text that comes again is labelled once, so that a long file takes minutes.
        options: for ``fankui label``.
    """
    source, output = folder / "long.csv", folder / "long-out.csv"
    with source.open("w", encoding="utf-8") as file:
        file.write("id,text,note\n")
        file.writelines(f"{row},第{row % distinct}次转账失败了,{row}{_PADDING}\n" for row in range(rows))
    command = [sys.executable, "-m", "fankui", "label", str(source), "-o", str(output), "--quiet", *options]
    seen: list[tuple[int, float]] = []
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env={**os.environ, "PYTHONUTF8": "1"}) as process:
        while process.poll() is None:
            seen.append((_written(output), _resident_mb(process.pid)))
            time.sleep(_LOOK_S)
        assert process.returncode == 0
    whole = output.stat().st_size
    print(f"{rows:,} rows, {source.stat().st_size / 1e6:,.0f} MB in, {whole / 1e6:,.0f} MB out\n")
    print("| rows written | resident memory |\n|---|---|")
    for point in range(1, _POINTS + 1):
        wanted = whole * point / _POINTS
        reached = [memory for size, memory in seen if size >= wanted * 0.98] or [seen[-1][1]]
        print(f"| {rows * point // _POINTS:,} | {reached[0]:,.0f} MB |")
    print(f"| peak | {max(memory for _, memory in seen):,.0f} MB |", flush=True)


def _written(output: Path) -> int:
    for path in (output, RunFiles(output).work / "output"):
        try:
            return path.stat().st_size
        except FileNotFoundError:
            continue
    return 0


def _resident_mb(pid: int) -> float:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
