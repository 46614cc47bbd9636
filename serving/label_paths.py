"""Which files to label, and where each one's output goes."""

from __future__ import annotations

import glob
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Final

from data.errors import TableError
from data.tables import FileFormat, format_of
from data.tables.formats import is_table
from serving.label_errors import LabellingError

PIPE: Final = "-"
_OWN_SUFFIXES: Final = (".rejects.jsonl", ".run.json")


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
    for url in (place for place in (*inputs, output or "") if "://" in place):
        raise LabellingError(f"{url} is a URL; --engine ray reads and writes URLs, the local engine paths only")
    found = [pair for given in inputs for pair in expanded(given, input_kind, output)]
    if not found:
        raise LabellingError(f"no tables in {', '.join(inputs)}")
    if output is None:
        return [_to_pipe(path, input_kind, output_kind) for path, _ in found]
    if output == PIPE and len(found) > 1:
        raise LabellingError(f"standard output takes one input, here are {len(found)}; -o labelled/ takes them all")
    to_folder = output != PIPE and (output.endswith("/") or Path(output).is_dir())
    if not to_folder and (len(found) > 1 or any(Path(given).is_dir() for given in inputs)):
        raise LabellingError(f"{len(found)} inputs need a folder to go to: -o {output.rstrip('/')}/")
    tasks = [_task(path, inside, output, to_folder, input_kind, output_kind) for path, inside in found]
    outputs = [task.output for task in tasks if task.output is not None]
    if len(set(outputs)) < len(outputs):
        doubled = next(path for path in outputs if outputs.count(path) > 1)
        raise LabellingError(f"two inputs would both go to {doubled}; label them one by one, into folders of their own")
    return tasks


def expanded(given: str, kind: str | None, output: str | None) -> list[tuple[Path, Path]]:
    """The files that a path, a folder or a pattern means, each with its name inside the folder.

    Args:
        given: what the person said.
        kind: a format that files of a pattern have, whatever their names say.
        output: where labels go; when it is a folder inside the one given, what lies in it is no input.
    """
    path = Path(given)
    if not path.is_dir() and (path.exists() or not glob.has_magic(given)):
        return [(path, Path(path.name))]
    if path.is_dir():
        root, files = path, [file for file in path.rglob("*") if _is_input(file, path)]
    else:
        root = _before_magic(path)
        # pathlib's own glob takes no absolute pattern
        matches = [Path(match) for match in glob.glob(given, recursive=True)]  # noqa: PTH207
        files = [match for match in matches if match.is_file() and (kind or _is_input(match, None))]
    own = Path(output).resolve() if output else None
    if own and own != root.resolve() and own.is_relative_to(root.resolve()):
        files = [file for file in files if not file.resolve().is_relative_to(own)]
    return [(file, file.relative_to(path) if path.is_dir() else Path(file.name)) for file in sorted(files)]


def _before_magic(pattern: Path) -> Path:
    parts = list(itertools.takewhile(lambda part: not glob.has_magic(part), pattern.parts))
    return Path(*parts)


def passed_over(inputs: Sequence[str]) -> list[Path]:
    """Files in the folders given that are no tables by their names; a person may have meant them."""
    folders = [Path(given) for given in inputs if Path(given).is_dir()]
    return sorted(
        file
        for folder in folders
        for file in folder.rglob("*")
        if not _is_input(file, folder) and _is_visible(file.relative_to(folder)) and file.is_file()
    )


def _is_visible(within: PurePath) -> bool:
    return not any(part.startswith(".") or part.endswith(".work") for part in within.parts) and not (
        within.name.endswith(_OWN_SUFFIXES)
    )


def _is_input(file: Path, root: Path | None) -> bool:
    return is_input_name(file.relative_to(root) if root else Path(file.name)) and file.is_file()


def is_input_name(within: PurePath) -> bool:
    """Whether a file in a folder is a table to label: not hidden, and nothing that labelling itself wrote.

    Args:
        within: its path inside the folder.
    """
    return is_table(Path(within)) and _is_visible(within)


def _task(
    path: Path, inside: Path, output: str, to_folder: bool, input_kind: str | None, output_kind: str | None
) -> Task:
    if output == PIPE:
        return _to_pipe(path, input_kind, output_kind)
    form = _form(path, input_kind)
    target = Path(output) / inside if to_folder else Path(output)
    target = target.resolve() if target.is_symlink() else target
    if to_folder:
        target = target.with_name(output_name(target.name, output_kind))
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


def output_name(name: str, kind: str | None) -> str:
    """What a file in an output folder is called.

    Args:
        name: of the input.
        kind: format of the outputs; that of the input where None.
    """
    if kind is None:
        return name
    while Path(name).suffix and is_table(Path(name)):
        name = Path(name).stem
    return f"{name}.{kind}"
