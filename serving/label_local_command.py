"""``fankui label`` on this machine: one file after the other."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from model.classifier import Classifier
    from serving.label_options import LabelOptions, Outcome
    from serving.label_paths import Task

_DRY_ROWS: Final = 20
_SHOWN: Final = 5


def label_here(args: argparse.Namespace, options: LabelOptions) -> int:
    """Label files on this machine.

    Args:
        args: of ``fankui label``.
        options: how to label.

    Returns:
        The exit code.
    """
    from model.classifier import Classifier
    from serving.checkpoint import json_bytes
    from serving.label_paths import passed_over
    from serving.label_totals import exit_code

    if others := passed_over(args.inputs):
        names = ", ".join(map(str, others[:_SHOWN])) + (", …" if len(others) > _SHOWN else "")
        print(f"passed over, no tables by their names: {names}", file=sys.stderr)
    with _tasks(args) as tasks:
        classifier = Classifier.load(args.bundle, threads=1)
        if args.dry_run:
            return _dry_run(args, options, classifier, tasks[0])
        summaries, failed = _label_each(args, options, classifier, tasks)
        if args.summary is not None:
            result = summaries[0] if len(tasks) == 1 else {"files": summaries}
            args.summary.write_bytes(json_bytes(result))
    unlabelled = any(summary.get("rejects") or summary.get("errors") for summary in summaries)
    return exit_code(failed > 0, unlabelled and args.strict)


def _label_each(
    args: argparse.Namespace, options: LabelOptions, classifier: Classifier, tasks: Sequence[Task]
) -> tuple[list[dict[str, Any]], int]:
    from data.errors import FeedbackError
    from serving.label_errors import LabellingError, OutputFailed

    summaries: list[dict[str, Any]] = []
    failed = 0
    for task in tasks:
        named = {"input": _shown_input(args, task), "output": str(task.output or "-")}
        try:
            summaries.append({**named, **_label_one(args, options, classifier, task).summary})
        except OutputFailed:  # the next file would find the same disk
            raise
        except (FeedbackError, LabellingError) as error:
            if len(tasks) == 1:
                raise
            failed += 1
            summaries.append({**named, "failed": str(error)})
            where = "" if str(task.source) in str(error) else f"{task.source}: "
            print(f"fankui: {where}{error}", file=sys.stderr)
    if failed:
        print(f"fankui: {failed:,} of {len(tasks):,} files could not be labelled", file=sys.stderr)
    return summaries, failed


@contextlib.contextmanager
def _tasks(args: argparse.Namespace) -> Iterator[Sequence[Task]]:
    from serving.label_paths import plan
    from serving.label_stdin import standard_input_as_file

    output = None if args.dry_run else args.output
    if args.inputs == ["-"]:
        with standard_input_as_file(output, args.input_format) as (path, kind), _as_standard_input(path):
            yield plan([str(path)], output, kind, args.output_format)
    else:
        yield plan(args.inputs, output, args.input_format, args.output_format)


@contextlib.contextmanager
def _as_standard_input(path: Path) -> Iterator[None]:
    from data.errors import TableError

    try:
        yield
    except TableError as error:
        error.args = (str(error).replace(str(path), "standard input"),)
        raise


def _label_one(args: argparse.Namespace, options: LabelOptions, classifier: Classifier, task: Task) -> Outcome:
    from serving.label_input import LabelInput
    from serving.label_progress import Progress
    from serving.label_run import LabelRun
    from serving.label_summary import summary_text

    source = LabelInput(task.source, task.form, options.read, options.text_column, options.id_column)
    run = LabelRun(classifier, source, task.output_form, options, Progress(sys.stderr, args.quiet))
    if task.output is None:
        outcome = run.to_stream(sys.stdout.buffer, sys.stderr.buffer)
        print(summary_text(outcome.summary), file=sys.stderr)
        return outcome
    try:
        outcome = run.to_file(task.output)
    except KeyboardInterrupt:
        print("\nwhat is labelled so far is kept; the same command goes on from there", file=sys.stderr)
        raise
    if outcome.already_done:
        print(f"{task.output} is complete and matches its input, bundle and options: nothing to do")
        return outcome
    gone_on = ", gone on from an earlier run" if outcome.resumed else ""
    print(f"{_shown_input(args, task)} → {task.output}{gone_on}\n{summary_text(outcome.summary)}")
    if outcome.summary["rejects"]:
        print(f"what could not be read as rows is in {task.output}.rejects.jsonl")
    return outcome


def _shown_input(args: argparse.Namespace, task: Task) -> str:
    return "standard input" if args.inputs == ["-"] else str(task.source)


def _dry_run(args: argparse.Namespace, options: LabelOptions, classifier: Classifier, task: Task) -> int:
    from serving.label_input import LabelInput
    from serving.label_progress import Progress
    from serving.label_run import LabelRun
    from serving.label_summary import rows_text
    from serving.label_totals import exit_code

    source = LabelInput(task.source, task.form, options.read, options.text_column, options.id_column)
    rows = LabelRun(classifier, source, task.output_form, options, Progress(sys.stderr, True)).first_rows(_DRY_ROWS)
    for notice in source.notices:
        print(notice)
    report = source.table.report
    if report.encoding:
        print(f"read as {report.encoding} ({report.encoding_reason})")
    print(rows_text(classifier.taxonomy, rows, source.text_columns, options.id_column, options.masked()))
    return exit_code(False, args.strict and _any_error(labels for _, labels in rows))


def _any_error(rows: Iterator[Mapping[str, Any]]) -> bool:
    return any(labels["label_error"] is not None for labels in rows)
