"""One file's way from input to labelled output."""

from __future__ import annotations

import contextlib
import itertools
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final

from data.errors import TableDamaged
from data.tables import FileFormat, Reject, Row, TableWriter, open_writer
from model.classifier import Classifier
from serving.checkpoint import Job, RunFiles, sha256_of, write_json
from serving.label_cells import label_columns, urgency_colours
from serving.label_errors import LabellingError, OutputFailed
from serving.label_input import LabelInput, OutputLayout
from serving.label_journal import Journal
from serving.label_options import LabelOptions, Outcome
from serving.label_progress import Progress
from serving.label_summary import Summary
from serving.labelling import LabelJournal, Labeller, NoJournal

_PROGRESS_ROWS: Final = 256


class LabelRun:
    """Labels one table.

    Args:
        classifier: says the labels.
        source: the table.
        form: format of the output.
        options: how.
        progress: shows how far it is.
    """

    def __init__(
        self, classifier: Classifier, source: LabelInput, form: FileFormat, options: LabelOptions, progress: Progress
    ) -> None:
        self._classifier, self._source, self._form, self._options = classifier, source, form, options
        self._progress = progress
        self._columns = label_columns(classifier.taxonomy)
        self._mask = options.masked()

    def job(self) -> Job:
        """Everything that decides what the output holds; reads the whole input for its SHA-256."""
        path = self._source.table.path
        return Job(path.stat().st_size, sha256_of(path), self._classifier.model_version, self._decisive())

    def to_file(self, output: Path) -> Outcome:
        """Label into a file, so that a run that is killed can go on.

        Raises:
            LabellingError: the output is in the way or cannot be written, or the work so far is of another job.
            TableError: the input cannot be read on.
        """
        files = RunFiles(output)
        before = self._source.table.path.stat()
        job = self.job()
        if self._options.restart:
            files.discard()
        elif (record := files.finished(job)) is not None:
            return Outcome(record["summary"], already_done=True)
        try:
            with files.locked():
                write_json(files.work / "job.json", job.to_dict())
                with contextlib.closing(Journal(files.work / "labels.journal")) as journal:
                    summary = self._into(files.work, journal)
                after = self._source.table.path.stat()
                if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
                    raise TableDamaged(self._source.table.path, "it was changed while it was read")
                files.publish(job, summary)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputFailed(output, error, files.work if files.work.exists() else None) from error
        return Outcome(summary, resumed=journal.windows > 0)

    def to_stream(self, output: BinaryIO, rejects: BinaryIO) -> Outcome:
        """Label into a stream; nothing is kept for another run."""
        return Outcome(self._write(output, rejects, NoJournal()))

    def _labeller(self) -> Labeller:
        options = self._options
        return Labeller(self._classifier, self._source.text_columns, options.window_rows, options.workers)

    def _decisive(self) -> dict[str, Any]:
        options = self._options
        return {
            "text columns": list(self._source.text_columns),
            "encoding": options.read.encoding,
            "delimiter": options.read.delimiter,
            "header row": options.read.header_row,
            "sheet": options.read.sheet,
            "output format": [self._form.kind, self._form.compression],
            "output encoding": options.encoding_for(self._form),
            "privacy": options.privacy,
            "window rows": options.window_rows,
        }

    def _into(self, folder: Path, journal: LabelJournal) -> dict[str, Any]:
        with (folder / "output").open("wb") as output, (folder / "rejects.jsonl").open("wb") as rejects:
            return self._write(output, rejects, journal)

    def _write(self, output: BinaryIO, rejects: BinaryIO, journal: LabelJournal) -> dict[str, Any]:
        layout = self._source.layout(self._form.kind, self._columns)
        colours = urgency_colours(self._classifier.taxonomy)
        encoding = self._options.encoding_for(self._form)
        writer = open_writer(output, self._form, layout.sheets, encoding, colours)
        try:
            return self._write_rows(writer, rejects, journal, layout)
        except BaseException:
            writer.abandon()
            raise

    def _write_rows(
        self, writer: TableWriter, rejects: BinaryIO, journal: LabelJournal, layout: OutputLayout
    ) -> dict[str, Any]:
        began = time.monotonic()
        labeller = self._labeller()
        summary = Summary(self._classifier.taxonomy)
        names = [column.name for column in self._columns]
        read = _Counted(self._source.rows())
        with contextlib.closing(labeller.label(read, journal)) as labelled:
            for row, answer in labelled:
                if isinstance(row, Reject) or answer is None:
                    summary.rejects += 1
                    rejects.write(self._reject_line(row))
                    continue
                labels = dict(zip(names, answer.values, strict=True)) | {
                    "model_version": self._classifier.model_version
                }
                cells = layout.input_cells(row)
                self._mask_texts(cells)
                writer.write({**cells, **labels}, layout.sheet_of(row))
                summary.add(labels)
                self._show(summary.rows + summary.rejects, read.count)
        writer.close()
        self._progress.finish()
        if read.count != summary.rows + summary.rejects:
            raise LabellingError(
                f"{read.count:,} rows in, {summary.rows:,} out, {summary.rejects:,} rejects: rows lost"
            )
        report = self._source.table.report
        report.notices = [*self._source.notices, *writer.notices()]
        return summary.to_dict(report, labeller.duplicates, time.monotonic() - began)

    def _show(self, done: int, read: int) -> None:
        if done % _PROGRESS_ROWS == 0:
            share = self._source.table.progress()  # of what is read, which is a few windows ahead
            self._progress.update(done, share * done / read if share is not None else None)

    def _mask_texts(self, cells: dict[str, Any]) -> None:
        if self._options.privacy != "keep":
            for column in self._source.text_columns:
                if isinstance(cells.get(column), str):
                    cells[column] = self._mask(cells[column])

    def _reject_line(self, reject: Any) -> bytes:
        values = {"line": reject.line, "reason": reject.reason, "raw": self._mask(reject.raw)}
        return json.dumps(values, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"

    def first_rows(self, count: int) -> list[tuple[Row, Mapping[str, Any]]]:
        """Label the first rows and write nothing; for a look at what will come out."""
        rows = itertools.islice((row for row in self._source.rows() if isinstance(row, Row)), count)
        labeller = self._labeller()
        names = [column.name for column in self._columns]
        return [
            (row, dict(zip(names, answer.values, strict=True)))
            for row, answer in labeller.label(rows, NoJournal())
            if isinstance(row, Row) and answer is not None
        ]


class _Counted:
    def __init__(self, rows: Iterator[Row | Reject]) -> None:
        self._rows = rows
        self.count = 0

    def __iter__(self) -> Iterator[Row | Reject]:
        for row in self._rows:
            self.count += 1
            yield row
