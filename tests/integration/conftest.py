"""A real server process on a free port, for the tests of the service."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

ROOT = Path(__file__).resolve().parents[2]
CLASSIFY = "/v1/classify"


@dataclass(frozen=True)
class RunningService:
    """A server process that said it is ready."""

    process: subprocess.Popen[str]
    url: str
    http: httpx.Client
    log_file: Path

    def classify(self, body: Any, **options: Any) -> httpx.Response:
        return self.http.post(CLASSIFY, json=body, **options)

    def counted(self, name: str, **labels: str) -> float:
        """Sum of a metric's samples that carry the labels."""
        total = 0.0
        for line in self.http.get("/metrics").text.splitlines():
            sample, _, value = line.rpartition(" ")
            if sample.partition("{")[0] == name and all(
                f'{key}="{wanted}"' in sample for key, wanted in labels.items()
            ):
                total += float(value)
        return total

    def stop(self) -> int:
        """Send SIGTERM and wait; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def log(self) -> str:
        return self.log_file.read_text("utf-8")


StartService = Callable[..., AbstractContextManager[RunningService]]


@pytest.fixture(scope="session")
def start_service(tmp_path_factory: pytest.TempPathFactory) -> StartService:
    """Start `fankui serve` (or a script that serves) with flags and environment; stopped at the end of the block."""

    @contextlib.contextmanager
    def start(*flags: str, script: str | None = None, **environment: str) -> Iterator[RunningService]:
        log_file = tmp_path_factory.mktemp("service") / "log"
        program = ["-m", "fankui", "serve"] if script is None else ["-c", script]
        command = [sys.executable, *program, "--port", "0", "--threads", "1", "--drain-delay-s", "0.2", *flags]
        whole = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", **environment}
        with log_file.open("w") as log:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=whole)
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            assert line.startswith("fankui: ready on http://"), f"{line!r} {log_file.read_text('utf-8')}"
            url = line.split()[3]
            with httpx.Client(base_url=url, timeout=30, trust_env=False) as http:
                yield RunningService(process, url, http, log_file)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(30)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            process.stdout.close()

    return start


@pytest.fixture(scope="module")
def service(start_service: StartService) -> Iterator[RunningService]:
    """One server with default settings for a module's tests."""
    with start_service() as running:
        yield running
