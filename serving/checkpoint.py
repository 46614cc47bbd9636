"""What survives `kill -9`: the job a run was begun for, and the labels it has so far.

Beside ``OUT`` lies ``OUT.work/`` while a run goes on: ``job.json`` (input, bundle and options, by content), the
journal of labels, and the output as far as it is written. A run that finds the folder again replays the journal
instead of the model and so writes the same bytes. When all is done the output is renamed into place, ``OUT.run.json``
says what it was made from, and the folder goes.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from serving.label_errors import JobDiffers, OutputInTheWay, RunInProgress

_FORMAT: Final = 1


@dataclass(frozen=True)
class Job:
    """Everything that decides what an output holds.

    Attributes:
        input_bytes: size of the input file.
        input_sha256: of the input file.
        model_version: of the bundle.
        options: those that change the output.
    """

    input_bytes: int
    input_sha256: str
    model_version: str
    options: Mapping[str, Any]
    format: int = _FORMAT

    def differences(self, other: Mapping[str, Any]) -> list[str]:
        """What differs in another job, in words."""
        mine, said = self.to_dict(), []
        if mine["input_sha256"] != other.get("input_sha256"):
            said.append("the input has changed")
        if mine["model_version"] != other.get("model_version"):
            said.append(f"bundle {other.get('model_version')}, now {mine['model_version']}")
        before = other.get("options", {})
        for name, value in mine["options"].items():
            if before.get(name) != value:
                said.append(f"{name} was {before.get(name)!r}, now {value!r}")
        if mine["format"] != other.get("format"):
            said.append("written by another version of fankui")
        return said

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return dict(json.loads(json.dumps(asdict(self))))


@dataclass(frozen=True)
class RunFiles:
    """Where a run's files lie.

    Attributes:
        output: the labelled file.
    """

    output: Path

    def _beside(self, suffix: str) -> Path:
        return self.output.with_name(self.output.name + suffix)

    @property
    def rejects(self) -> Path:
        """What could not be read as a row."""
        return self._beside(".rejects.jsonl")

    @property
    def record(self) -> Path:
        """What a finished output was made from."""
        return self._beside(".run.json")

    @property
    def work(self) -> Path:
        """The folder of an unfinished run."""
        return self._beside(".work")

    def finished(self, job: Job) -> dict[str, Any] | None:
        """The record of a finished run, if the output in place is this job's and unchanged.

        Raises:
            JobDiffers: there is an output or unfinished work of another job.
            OutputInTheWay: there is an output that no run is known to have written, or that was changed since.
        """
        if self.work.exists():
            begun = read_json(self.work / "job.json")
            if begun is None:  # killed before it had begun
                self.discard()
            elif differences := job.differences(begun):
                raise JobDiffers(self.work, differences)
            return None
        if not self.output.exists() or (self.output.is_file() and self.output.stat().st_size == 0):
            return None
        record = read_json(self.record)
        if record is None:
            raise OutputInTheWay(self.output, "is there already, and not written by fankui label")
        if differences := job.differences(record.get("job", {})):
            raise JobDiffers(self.output, differences)
        if sha256_of(self.output) != record.get("output_sha256"):
            raise OutputInTheWay(self.output, "was changed after it was written")
        return record

    def discard(self) -> None:
        """Forget unfinished work."""
        if self.work.exists():
            with self.locked():
                shutil.rmtree(self.work)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the work folder against other processes.

        Raises:
            RunInProgress: another process holds it.
        """
        self.work.mkdir(exist_ok=True)
        with (self.work / "lock").open("wb") as lock:
            hold(lock, self.output)
            yield

    def publish(self, job: Job, summary: Mapping[str, Any]) -> None:
        """Move a finished output into place and clear the work folder away.

        Args:
            job: what it was made from.
            summary: goes into the record.
        """
        written, rejects = self.work / "output", self.work / "rejects.jsonl"
        digest = sha256_of(written)
        for path in (written, rejects):
            with path.open("rb") as file:
                os.fsync(file.fileno())
        if rejects.stat().st_size:
            rejects.replace(self.rejects)
        else:
            self.rejects.unlink(missing_ok=True)
        written.replace(self.output)
        write_json(self.record, {"job": job.to_dict(), "output_sha256": digest, "summary": dict(summary)})
        shutil.rmtree(self.work)


def hold(file: BinaryIO, output: Path) -> None:
    """Lock a file for this process, until it is closed.

    Args:
        file: opened for writing.
        output: named in the error.

    Raises:
        RunInProgress: another process holds it.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise RunInProgress(output) from None


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_json(path: Path) -> dict[str, Any] | None:
    """A JSON object, or None where there is none or a broken one."""
    try:
        values = json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return values if isinstance(values, dict) else None


def json_bytes(values: Mapping[str, Any]) -> bytes:
    """A JSON object for people and programs; half a surrogate pair, which UTF-8 cannot hold, as an escape."""
    return (json.dumps(values, ensure_ascii=False, indent=1) + "\n").encode("utf-8", "backslashreplace")


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write a JSON object so that it is there whole or not at all."""
    beside = path.with_name(path.name + ".tmp")
    with beside.open("wb") as file:
        file.write(json_bytes(values))
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
