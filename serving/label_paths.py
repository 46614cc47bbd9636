"""Which files to label, and where each one's output goes."""

from __future__ import annotations

import contextlib
import glob
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from data.errors import TableError
from data.tables import FileFormat, format_of
from data.tables.formats import is_table
from serving.checkpoint import hold
from serving.label_errors import LabellingError

PIPE: Final = "-"
_OWN_SUFFIXES: Final = (".rejects.jsonl", ".run.json")
_HEAD: Final = 4096
_CHUNK: Final = 1 << 20


@dataclass(frozen=True)
class Task:
    """One file to label.

    Attributes:
        source: the input.
        form: its format.
        output: where its labels go; None for standard output.
        output_form: the output's format.
    """

    source: Path
    form: FileFormat
    output: Path | None
    output_form: FileFormat


def plan(
    inputs: Sequence[str], output: str | None, input_kind: str | None = None, output_kind: str | None = None
) -> list[Task]:
    """Find the files that folders and patterns mean, and an output for each.

    Several files, or a folder, need a folder to go to; each file keeps its name there.

    Args:
        inputs: files, folders and patterns.
        output: a file, ``-``, a folder (it is there, or its name ends in ``/``), or None to write nothing.
        input_kind: format of the inputs, where their names do not tell.
        output_kind: format of the outputs.

    Raises:
        LabellingError: there is no input, or inputs and output do not go together.
        TableError: a format is not known.
    """
    found = [pair for given in inputs for pair in _expanded(given, input_kind)]
    if not found:
        raise LabellingError(f"no tables in {', '.join(inputs)}")
    if output is None:
        return [_to_pipe(path, input_kind, output_kind) for path, _ in found]
    to_folder = output != PIPE and (output.endswith("/") or Path(output).is_dir())
    if not to_folder and (len(found) > 1 or any(Path(given).is_dir() for given in inputs)):
        raise LabellingError(f"{len(found)} inputs need a folder to go to: -o {output.rstrip('/')}/")
    tasks = [_task(path, inside, output, to_folder, input_kind, output_kind) for path, inside in found]
    outputs = [task.output for task in tasks if task.output is not None]
    if len(set(outputs)) < len(outputs):
        raise LabellingError("two inputs of the same name would go to one output; label their folders one by one")
    return tasks


def _expanded(given: str, kind: str | None) -> list[tuple[Path, Path]]:
    path = Path(given)
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if _is_input(file, path))
        return [(file, file.relative_to(path)) for file in files]
    if path.exists() or not glob.has_magic(given):
        return [(path, Path(path.name))]
    # pathlib's own glob takes no absolute pattern
    matches = sorted(Path(match) for match in glob.glob(given, recursive=True))  # noqa: PTH207
    return [(match, Path(match.name)) for match in matches if match.is_file() and (kind or _is_input(match, None))]


def _is_input(file: Path, root: Path | None) -> bool:
    parts = file.relative_to(root).parts if root else (file.name,)
    hidden = any(part.startswith(".") or part.endswith(".work") for part in parts)
    return file.is_file() and is_table(file) and not hidden and not file.name.endswith(_OWN_SUFFIXES)


def _task(
    path: Path, inside: Path, output: str, to_folder: bool, input_kind: str | None, output_kind: str | None
) -> Task:
    if output == PIPE:
        return _to_pipe(path, input_kind, output_kind)
    form = _form(path, input_kind)
    target = Path(output) / inside if to_folder else Path(output)
    target = target.resolve() if target.is_symlink() else target
    if to_folder and output_kind:
        target = target.with_name(_stem(target.name) + f".{output_kind}")
    if target.exists() and (not target.is_file() or target.samefile(path)):
        raise LabellingError(f"{target} cannot be the output: it is the input itself, or no plain file")
    if to_folder:
        target.parent.mkdir(parents=True, exist_ok=True)
    elif not target.parent.is_dir():
        raise LabellingError(f"no folder {target.parent} to write {target.name} into")
    return Task(path, form, target, format_of(target, output_kind))


def _to_pipe(path: Path, input_kind: str | None, output_kind: str | None) -> Task:
    form = _form(path, input_kind)
    return Task(path, form, None, FileFormat(format_of(Path(PIPE), output_kind or form.kind).kind))


def _form(path: Path, kind: str | None) -> FileFormat:
    if not path.exists():
        raise TableError(f"no file {path}")
    if not path.is_file():
        raise TableError(f"{path} is no plain file; a pipe can be given on standard input, as -")
    return format_of(path, kind)


def _stem(name: str) -> str:
    while Path(name).suffix and is_table(Path(name)):
        name = Path(name).stem
    return name


@contextlib.contextmanager
def standard_input_as_file(output: str | None, kind: str | None) -> Iterator[tuple[Path, str]]:
    """Standard input, copied into a file beside the output (or a temporary one), and its format.

    It is read twice (codec, then rows), and a run that is killed finds it unchanged when it gets the same again.

    Args:
        output: as `plan` takes it.
        kind: the format; found by the first bytes where None.

    Raises:
        RunInProgress: another process has its standard input there.
    """
    if output is None or output == PIPE:
        with tempfile.NamedTemporaryFile(prefix="fankui-") as temporary:
            shutil.copyfileobj(sys.stdin.buffer, temporary, _CHUNK)
            temporary.flush()
            yield Path(temporary.name), kind or _kind_by_content(Path(temporary.name))
        return
    path = Path(output + ".stdin")
    with path.open("ab") as file:
        hold(file, Path(output))
        file.truncate(0)
        shutil.copyfileobj(sys.stdin.buffer, file, _CHUNK)
        file.flush()
        try:
            yield path, kind or _kind_by_content(path)
        finally:
            path.unlink()


def _kind_by_content(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(_HEAD).lstrip(b"\xef\xbb\xbf \t\r\n")
    if head.startswith(b"PK\x03\x04"):
        return "xlsx"
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith((b"{", b"[")):
        return "jsonl"
    return "csv"
