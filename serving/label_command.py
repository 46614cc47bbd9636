"""``fankui label``: label files of feedback from the command line."""

from __future__ import annotations

import argparse
import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from serving.label_options import LabelOptions

_FORMATS: Final = ("csv", "tsv", "jsonl", "xlsx", "parquet")
_EXAMPLE: Final = """A run that was killed goes on when the same command is given again. What cannot be read as a row
goes to OUT.rejects.jsonl; a row that cannot be labelled stays, with the reason in its label_error.
Exit codes: 0 done, 2 wrong usage, 3 input, output or bundle cannot be used, 4 rows unlabelled with --strict.

example:
  fankui label tickets.csv -o labelled.csv --text-column 反馈内容
  fankui label exports/ -o labelled/ --text-column 标题+内容 --output-format jsonl
  cat reviews.jsonl | fankui label - -o - > labelled.jsonl
  fankui label s3://desk/tickets -o s3://desk/labelled --engine ray --ray-address auto"""


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
    add("--dry-run", action="store_true", help="label the first 20 rows, show them, write nothing")
    add("--strict", action="store_true", help="exit 4 if any row was not labelled")
    add("--restart", action="store_true", help="forget what an earlier run left and replace its output")
    add("--window-rows", type=_positive, metavar="N", help="rows between two checkpoints; 2048 by default")
    add("--threads", type=_not_negative, default=0, metavar="N", help="threads of inference; 0: all cores")
    add("--quiet", action="store_true", help="no progress")
    add("--engine", choices=("local", "ray"), default="local", help="ray: label many files on a cluster; URLs too")
    add("--ray-address", metavar="ADDRESS", help="of a running cluster; RAY_ADDRESS, or this machine alone")
    add("--actors", type=_positive, metavar="N", help="classifiers of a cluster run; all cores by default")
    return parser


def _positive(value: str) -> int:
    number = int(value)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def _not_negative(value: str) -> int:
    number = int(value)
    if number < 0:
        raise argparse.ArgumentTypeError("must be 0 or more")
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
    if args.engine == "local" and (args.actors or args.ray_address):
        parser.error("--actors and --ray-address go with --engine ray")
    if args.engine == "ray" and ("-" in (*args.inputs, args.output) or args.dry_run):
        parser.error("--engine ray labels files into a folder: no standard input or output, no --dry-run")
    return _label(args)


def _label(args: argparse.Namespace) -> int:
    from serving.label_errors import LabellingError

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a GBK terminal cannot show everything
    try:
        if args.summary is not None:  # better known before than after the run
            there = args.summary if args.summary.exists() else args.summary.parent
            if args.summary.is_dir() or not os.access(there, os.W_OK):
                raise LabellingError(f"cannot write the summary {args.summary}")
        if args.engine == "ray":
            from serving.label_ray_command import label_with_ray

            return label_with_ray(args, label_options(args, to_pipe=False))
        from serving.label_local_command import label_here

        return label_here(args, label_options(args, to_pipe=args.output == "-"))
    except BrokenPipeError:
        raise
    except OSError as error:
        raise LabellingError(f"{error.filename or 'file'}: {error.strerror or error}") from error


def label_options(args: argparse.Namespace, to_pipe: bool) -> LabelOptions:
    """The options that the arguments mean.

    Args:
        args: of ``fankui label``.
        to_pipe: whether labels go to standard output, where no Excel opens them.
    """
    from data.tables import ReadOptions
    from model.cores import available_cores
    from serving.label_options import LabelOptions
    from serving.labelling import WINDOW_ROWS

    delimiter = args.delimiter.replace("\\t", "\t") if args.delimiter else None
    return LabelOptions(
        text_column=args.text_column,
        id_column=args.id_column,
        read=ReadOptions(args.encoding, delimiter, args.header_row, args.sheet),
        output_encoding=args.output_encoding or ("utf-8" if to_pipe else None),
        privacy=args.privacy,
        window_rows=args.window_rows or WINDOW_ROWS,
        workers=args.threads or (1 if args.engine == "ray" else available_cores()),
        restart=args.restart,
    )
