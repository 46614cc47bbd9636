"""A server process and what it takes: memory and processor time of it and of its children, read from ``/proc``."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_START_TIMEOUT_S: Final = 180.0
_SAMPLE_S: Final = 0.25


class StartError(Exception):
    """A server did not come up; the message holds the end of its log."""


class ServerProcess:
    """A running server, its children included.

    Args:
        process: in a session of its own.
        log: where it writes.
    """

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process, self._log = process, log
        self.peak_rss = 0
        self._stop = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)
        self._sampler.start()

    def wait_until(self, answers: Callable[[], bool]) -> float:
        """Wait for the first good answer; the seconds it took.

        Raises:
            StartError: it ended or took too long.
        """
        begin = time.perf_counter()
        while not answers():
            if self._process.poll() is not None or time.perf_counter() - begin > _START_TIMEOUT_S:
                raise StartError("…" + self._log.read_text("utf-8", "replace")[-600:])
            time.sleep(0.1)
        return time.perf_counter() - begin

    def cpu_s(self) -> float:
        """Processor seconds so far, of all processes that live."""
        return sum(sum(map(int, fields[11:15])) for fields in self._stats()) / _TICKS

    def stop(self) -> None:
        """Ask it to stop, then make it."""
        self._stop.set()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _stats(self) -> list[list[str]]:
        """Fields of ``/proc/PID/stat`` after the name, of every process of the session."""
        found = []
        for path in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                fields = path.read_text().rpartition(")")[2].split()
                if int(fields[3]) == self._process.pid:
                    found.append(fields)
        return found

    def _sample(self) -> None:
        while not self._stop.wait(_SAMPLE_S):
            self.peak_rss = max(self.peak_rss, sum(int(fields[21]) for fields in self._stats()) * _PAGE)


@contextlib.contextmanager
def running(command: Sequence[str], environment: Mapping[str, str], log: Path) -> Iterator[ServerProcess]:
    """Start a server and stop it at the end of the block."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=out, env={**os.environ, **environment}, start_new_session=True, cwd=log.parent
        )
    server = ServerProcess(process, log)
    try:
        yield server
    finally:
        server.stop()
