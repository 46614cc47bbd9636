"""Errors of labelling files.

ServingError
└── LabellingError          a run cannot begin or go on
    ├── JobDiffers          the output or the work so far belongs to another input, bundle or option
    ├── OutputInTheWay      the output is there and nobody knows from what
    ├── RunInProgress       another process is writing the same output
    ├── JournalBroken       the kept work does not fit the input
    ├── OutputFailed        the disk is full or cannot be written
    ├── ExtraMissing        a library is not installed
    ├── StorageFailed       a URL cannot be read or written
    └── ClusterFailed       the Ray cluster cannot be reached, or gave up
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from serving.errors import ServingError


class LabellingError(ServingError):
    """A run cannot begin or go on."""

    code = "labelling_error"


class JobDiffers(LabellingError):
    """The output, or the work so far, belongs to another input, bundle or option."""

    code = "job_differs"

    def __init__(self, where: Path | str, differences: Sequence[str]) -> None:
        super().__init__(
            f"{where} was made from something else ({'; '.join(differences)}); "
            "give another output, or --restart to label anew and replace it"
        )


class OutputInTheWay(LabellingError):
    """The output is there and nobody knows from what."""

    code = "output_in_the_way"

    def __init__(self, output: Path | str, why: str) -> None:
        super().__init__(f"{output} {why}; give another output, or --restart to replace it")


class RunInProgress(LabellingError):
    """Another process is writing the same output."""

    code = "run_in_progress"

    def __init__(self, output: Path) -> None:
        super().__init__(f"another fankui label is writing {output}; wait for it, or stop it first")


class JournalBroken(LabellingError):
    """The kept work does not fit the input."""

    code = "journal_broken"

    def __init__(self, what: object) -> None:
        super().__init__(f"{what} does not fit the input; label anew with --restart")


class OutputFailed(LabellingError):
    """The disk is full or cannot be written."""

    code = "output_failed"

    def __init__(self, output: Path | str, why: OSError, kept: Path | None) -> None:
        rest = f"; what is labelled is kept in {kept}: the same command goes on from there" if kept else ""
        super().__init__(f"cannot write {output}: {why.strerror or why}{rest}")


class ExtraMissing(LabellingError):
    """A library is not installed."""

    code = "extra_missing"

    def __init__(self, what: str, extra: str | None, why: ImportError) -> None:
        fix = f"needs more libraries: pip install '{extra}'" if extra else f"cannot be read: {why}"
        super().__init__(f"{what} {fix}")


class StorageFailed(LabellingError):
    """A URL cannot be read or written."""

    code = "storage_failed"

    def __init__(self, url: str, why: Exception) -> None:
        said = "there is no such file or folder" if isinstance(why, FileNotFoundError) else why
        super().__init__(f"{url} cannot be read or written: {said}")


class ClusterFailed(LabellingError):
    """The Ray cluster cannot be reached, or gave up."""

    code = "cluster_failed"

    def __init__(self, why: object) -> None:
        lines = [line for line in str(why).splitlines() if line.strip()]
        said = lines[-1].strip() if lines else type(why).__name__
        super().__init__(f"Ray: {said}; what is labelled is kept: the same command goes on from there")
