"""The shards of a distributed run: one input file each, with the output it becomes.

A shard is the unit of work and of resumption. It is labelled by the same code as a single file, so its output is
the same, byte for byte, as that of a run on one machine; its record (``OUT.run.json``) says what it was made from,
and a second run passes over it.
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from data.tables import FileFormat, format_of
from model.classifier import Classifier
from serving import label_storage as storage
from serving.checkpoint import Job, RunFiles, read_json
from serving.label_errors import JobDiffers, LabellingError, OutputFailed, OutputInTheWay
from serving.label_input import LabelInput
from serving.label_options import LabelOptions
from serving.label_paths import output_name
from serving.label_progress import Progress
from serving.label_run import LabelRun


@dataclass(frozen=True)
class Shard:
    """One file of a distributed run.

    Attributes:
        source: path or URL.
        output: path or URL.
        form: format of the source.
        output_form: format of the output.
        bytes: size of the source.
    """

    source: str
    output: str
    form: FileFormat
    output_form: FileFormat
    bytes: int

    @property
    def record(self) -> str:
        """Where it is said what the output was made from."""
        return f"{self.output}.run.json"

    @property
    def rejects(self) -> str:
        """Where what could not be read as a row goes."""
        return f"{self.output}.rejects.jsonl"


def plan_shards(inputs: Sequence[str], folder: str, input_kind: str | None, output_kind: str | None) -> list[Shard]:
    """Find the files that paths, folders, patterns and URLs mean, and an output in the folder for each.

    Args:
        inputs: what to label.
        folder: where the outputs go, a path or a URL.
        input_kind: format of the inputs, where their names do not tell.
        output_kind: format of the outputs; that of each input where None.

    Raises:
        LabellingError: there is no input, two go to one output, or a URL's bucket is not there or cannot be read.
        FormatUnknown: a name tells no format.
    """
    target = storage.absolute(folder)
    storage.check_bucket(target)
    found = [table for given in inputs for table in storage.tables_in(given, input_kind, target)]
    if not found:
        raise LabellingError(f"no tables in {', '.join(inputs)}")
    shards = []
    for place, within, size in found:
        name = PurePosixPath(within)
        output = storage.inside(target, str(name.with_name(output_name(name.name, output_kind))))
        form = format_of(Path(name.name), input_kind)
        shards.append(Shard(place, output, form, format_of(Path(output), output_kind), size))
    by_output: dict[str, str] = {}
    for shard in shards:
        if shard.output == shard.source:
            raise LabellingError(f"{shard.source} would be written over; give another folder than that of the inputs")
        other = by_output.setdefault(shard.output, shard.source)
        if other != shard.source:
            raise LabellingError(f"{other} and {shard.source} would both go to {shard.output}; label them one by one")
    return list({shard.output: shard for shard in shards}.values())


def finished(shard: Shard, options: LabelOptions, model_version: str) -> dict[str, Any] | None:
    """The summary of a shard that an earlier run finished, if nothing has changed since.

    Reads no data: sizes, times and checksums that the file system knows are enough.

    Raises:
        StorageFailed: a URL cannot be read.
    """
    record = storage.read_record(shard.record)
    if record is None or record.get("shard") != _stamp(shard, options, model_version):
        return None
    summary: dict[str, Any] | None = record.get("summary")
    return summary


def label_shard(classifier: Classifier, shard: Shard, options: LabelOptions) -> dict[str, Any]:
    """Label one shard, as a single file is labelled; a source or output behind a URL is copied.

    Args:
        classifier: says the labels.
        shard: what to label.
        options: how.

    Returns:
        The summary, with ``already_done`` where there was nothing to do.

    Raises:
        FeedbackError: the source cannot be read as a table, or lacks a column.
        LabellingError: the output is in the way, was made from something else, or cannot be written.
    """
    with _local(shard) as (source, output), _named(shard, source, output):
        given = LabelInput(source, shard.form, options.read, options.text_column, options.id_column)
        run = LabelRun(classifier, given, shard.output_form, options, Progress(sys.stderr, quiet=True))
        if not storage.is_url(shard.output):
            outcome = run.to_file(output)
            summary, already_done = outcome.summary, outcome.already_done
            record = read_json(RunFiles(output).record) or {}
        elif (there := _stored(shard, run.job(), options.restart)) is not None:
            record, summary, already_done = there, there["summary"], True
        else:
            # before the output, so that a run that is killed here is not in the way of the next one
            storage.write_record(shard.record, {"job": run.job().to_dict(), "output_sha256": None})
            summary, already_done = run.to_file(output).summary, False
            record = read_json(RunFiles(output).record) or {}
            _store(shard, RunFiles(output))
        stamp = _stamp(shard, replace(options, restart=False), classifier.model_version)
        storage.write_record(shard.record, {**record, "shard": stamp})
        return {**summary, "already_done": already_done}


def _stamp(shard: Shard, options: LabelOptions, model_version: str) -> dict[str, Any]:
    asked = asdict(replace(options, restart=False)) | {"form": asdict(shard.form), "to": asdict(shard.output_form)}
    return {
        "source": storage.identity(shard.source),
        "output": storage.identity(shard.output),
        "model_version": model_version,
        "asked": json.loads(json.dumps(asked)),
    }


@contextlib.contextmanager
def _local(shard: Shard) -> Iterator[tuple[Path, Path]]:
    with tempfile.TemporaryDirectory(prefix="fankui-") as name:
        folders = Path(name, "in"), Path(name, "out")
        for folder in folders:
            folder.mkdir()
        source = storage.fetch(shard.source, folders[0]) if storage.is_url(shard.source) else Path(shard.source)
        output = folders[1] / PurePosixPath(shard.output).name
        if not storage.is_url(shard.output):
            output = Path(shard.output)
            output.parent.mkdir(parents=True, exist_ok=True)
        yield source, output


@contextlib.contextmanager
def _named(shard: Shard, source: Path, output: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # whatever it is, a person knows the places by their URLs
        said = str(error).replace(str(source), shard.source).replace(str(output), shard.output)
        if said != str(error):
            error.args = (said,)
        if isinstance(error, OutputFailed) and isinstance(error.__cause__, OSError) and storage.is_url(shard.output):
            raise OutputFailed(shard.output, error.__cause__, None) from error
        raise


def _stored(shard: Shard, job: Job, restart: bool) -> dict[str, Any] | None:
    there = storage.identity(shard.output)
    if restart or there is None:
        return None
    record = storage.read_record(shard.record)
    if record is None:
        raise OutputInTheWay(shard.output, "is there already, and not written by fankui label")
    if differences := job.differences(record.get("job", {})):
        raise JobDiffers(shard.output, differences)
    if record["output_sha256"] is None:  # killed before it was stored whole
        return None
    if there != record.get("shard", {}).get("output"):
        raise OutputInTheWay(shard.output, "was changed after it was written")
    return record


def _store(shard: Shard, files: RunFiles) -> None:
    storage.store(files.output, shard.output)
    if files.rejects.exists():
        storage.store(files.rejects, shard.rejects)
    else:
        storage.remove(shard.rejects)
