"""``fankui label``: label files of feedback from the command line."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from model.classifier import Classifier
    from serving.label_options import LabelOptions, Outcome
    from serving.label_paths import Task

_EXIT_UNLABELLED: Final = 4
_DRY_ROWS: Final = 20
_FORMATS: Final = ("csv", "tsv", "jsonl", "xlsx", "parquet")
_EXAMPLE: Final = """A run that was killed goes on when the same command is given again. What cannot be read as a row
goes to OUT.rejects.jsonl; a row that cannot be labelled stays, with the reason in its label_error.
Exit codes: 0 done, 2 wrong usage, 3 input, output or bundle cannot be used, 4 rows unlabelled with --strict.

example:
  fankui label tickets.csv -o labelled.csv --text-column 反馈内容
  fankui label exports/ -o labelled/ --text-column 标题+内容 --output-format jsonl
  cat reviews.jsonl | fankui label - -o - > labelled.jsonl"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fankui label",
        description="Label tables of feedback: CSV, TSV, JSONL (also .gz, .zst), XLSX, Parquet.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("inputs", nargs="+", metavar="IN", help="a file, a folder, a 'pattern*', or - for standard input")
    add("-o", "--output", metavar="OUT", help="a file, a folder, or - for standard output")
    add("--text-column", metavar="NAME", help="holds the text; NAME+NAME joins several; guessed if not given")
    add("--id-column", metavar="NAME", help="names the rows; shown by --dry-run")
    add("--bundle", metavar="FOLDER", help="a bundle; the shipped one by default")
    add("--encoding", help="codec of the input; found if not given: byte order mark, UTF-8, GB18030")
    add("--delimiter", help="one character; found if not given")
    add("--header-row", type=_positive, metavar="N", help="line or row of the column names; found if not given")
    add("--sheet", metavar="NAME", help="the only sheet of a workbook to label; all if not given")
    add("--input-format", choices=_FORMATS, help="where the name does not tell it")
    add("--output-format", choices=_FORMATS, help="where the name does not tell it")
    add("--output-encoding", choices=("utf-8", "utf-8-sig", "gb18030"), help="of CSV and TSV; .csv: utf-8-sig")
    add("--privacy", choices=("keep", "mask"), default="keep", help="mask: write texts with personal data masked")
    add("--summary", type=Path, metavar="FILE", help="write the counts as JSON")
    add("--dry-run", action="store_true", help=f"label the first {_DRY_ROWS} rows, show them, write nothing")
    add("--strict", action="store_true", help="exit 4 if any row was not labelled")
    add("--restart", action="store_true", help="forget what an earlier run left and replace its output")
    add("--window-rows", type=_positive, metavar="N", help="rows between two checkpoints; 2048 by default")
    add("--threads", type=int, default=0, metavar="N", help="threads of inference; 0: all cores")
    add("--quiet", action="store_true", help="no progress")
    return parser


def _positive(value: str) -> int:
    number = int(value)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def label(argv: list[str]) -> int:
    """Run ``fankui label``.

    Args:
        argv: arguments after the command's name.

    Returns:
        The exit code.
    """
    parser = _parser()
    args = parser.parse_args(argv)
    if args.output is None and not args.dry_run:
        parser.error("-o OUT says where the labels go; - is standard output")
    if "-" in args.inputs and len(args.inputs) > 1:
        parser.error("- (standard input) goes alone")
    if args.delimiter is not None and len(args.delimiter.replace("\\t", "\t")) != 1:
        parser.error("--delimiter takes one character")
    from model.classifier import Classifier

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a GBK terminal cannot show everything
    with _tasks(args) as tasks:
        classifier = Classifier.load(args.bundle, args.threads)
        if args.dry_run:
            return _dry_run(args, classifier, tasks[0])
        summaries, unlabelled = [], 0
        for task in tasks:
            outcome = _label_one(args, classifier, task)
            summaries.append({"input": _shown_input(args, task), "output": str(task.output or "-"), **outcome.summary})
            unlabelled += outcome.unlabelled
        if args.summary is not None:
            result = summaries[0] if len(summaries) == 1 else {"files": summaries}
            args.summary.write_text(json.dumps(result, ensure_ascii=False, indent=1) + "\n", "utf-8")
    return _EXIT_UNLABELLED if args.strict and unlabelled else 0


@contextlib.contextmanager
def _tasks(args: argparse.Namespace) -> Iterator[Sequence[Task]]:
    from serving.label_paths import plan, standard_input_as_file

    output = None if args.dry_run else args.output
    if args.inputs == ["-"]:
        with standard_input_as_file(output, args.input_format) as (path, kind):
            yield plan([str(path)], output, kind, args.output_format)
    else:
        yield plan(args.inputs, output, args.input_format, args.output_format)


def _options(args: argparse.Namespace, task: Task) -> LabelOptions:
    from data.tables import ReadOptions
    from serving.label_options import LabelOptions
    from serving.labelling import WINDOW_ROWS

    for_excel = task.output_form.kind == "csv" and task.output is not None
    delimiter = args.delimiter.replace("\\t", "\t") if args.delimiter else None
    return LabelOptions(
        text_column=args.text_column,
        id_column=args.id_column,
        read=ReadOptions(args.encoding, delimiter, args.header_row, args.sheet),
        output_encoding=args.output_encoding or ("utf-8-sig" if for_excel else "utf-8"),
        privacy=args.privacy,
        window_rows=args.window_rows or WINDOW_ROWS,
        restart=args.restart,
    )


def _label_one(args: argparse.Namespace, classifier: Classifier, task: Task) -> Outcome:
    from serving.label_input import LabelInput
    from serving.label_progress import Progress
    from serving.label_run import LabelRun
    from serving.label_summary import summary_text

    options = _options(args, task)
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


def _dry_run(args: argparse.Namespace, classifier: Classifier, task: Task) -> int:
    from serving.label_input import LabelInput
    from serving.label_progress import Progress
    from serving.label_run import LabelRun
    from serving.label_summary import rows_text

    options = _options(args, task)
    source = LabelInput(task.source, task.form, options.read, options.text_column, options.id_column)
    rows = LabelRun(classifier, source, task.output_form, options, Progress(sys.stderr, True)).first_rows(_DRY_ROWS)
    for notice in source.notices:
        print(notice)
    report = source.table.report
    if report.encoding:
        print(f"read as {report.encoding} ({report.encoding_reason})")
    print(rows_text(classifier.taxonomy, rows, source.text_columns, options.id_column, options.masked()))
    return _EXIT_UNLABELLED if args.strict and _any_error(labels for _, labels in rows) else 0


def _any_error(rows: Iterator[Mapping[str, Any]]) -> bool:
    return any(labels["label_error"] is not None for labels in rows)
