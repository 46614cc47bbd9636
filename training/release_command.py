"""``fankui release``: hold a candidate against the bundle it would replace, and put it there if it passes."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from data.taxonomy import Taxonomy
    from training.dataset import Record

_FAILED: Final = 1

_EXAMPLE: Final = """The authored test split is always among the data where the taxonomy is the wallet's.
Margins and their reasons: docs/evaluation.md.
Exit code 0 when all checks passed, 1 when one failed, 3 when a bundle or file cannot be used.

examples:
  fankui release runs/bundle --over model/default
  fankui release runs/bundle --over model/default --data data/corpus/public.jsonl --fold select --apply"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fankui release",
        description="The release gate: is a candidate fit to take a bundle's place?",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("candidate", type=Path, metavar="CANDIDATE", help="the whole bundle that `fankui train` wrote")
    add("--over", type=Path, required=True, metavar="FOLDER", help="the bundle it would replace")
    add("--data", action="append", default=[], type=Path, metavar="JSONL", help="more labelled records; repeatable")
    add("--fold", choices=("fit", "select", "calibrate"), help="keep only that fold, by hash of the id, of each file")
    add("--suite", type=Path, metavar="JSONL", help="another behavioural suite")
    add("--apply", action="store_true", help="put the candidate's serving files in place if all checks pass")
    add("--json", metavar="FILE", help="write the result there; - for standard output instead of the table")
    return parser


def release(argv: list[str]) -> int:
    """Run ``fankui release``; returns 0 when all checks passed, 1 when one failed."""
    args = _parser().parse_args(argv)
    from training.evaluate_command import check_folders

    check_folders(None if args.json in (None, "-") else Path(args.json))
    from model.bundle import open_bundle
    from training.behaviour import read_suite, suite_fits, suite_path
    from training.placing import put_in_place
    from training.release import judge_candidate

    taxonomy = open_bundle(args.candidate).taxonomy
    cases = read_suite(args.suite or suite_path()) if suite_fits(taxonomy) else []
    result = judge_candidate(args.candidate, args.over, _sets(args, taxonomy), cases)
    text = json.dumps(result.to_dict(), ensure_ascii=False, indent=1)
    print(result.table(), file=sys.stderr if args.json == "-" else sys.stdout)
    if args.json == "-":
        print(text)
    elif args.json:
        Path(args.json).write_text(text + "\n", "utf-8")
    if not result.passed:
        return _FAILED
    if args.apply:
        put_in_place(args.candidate, args.over, result)
        print(f"fankui: {args.over} is now {result.candidate}", file=sys.stderr)
    return 0


def _sets(args: argparse.Namespace, taxonomy: Taxonomy) -> dict[str, list[Record]]:
    from data.taxonomy import Taxonomy
    from training.evaluate_command import read_sets

    always = read_sets([], None, taxonomy) if taxonomy.name == Taxonomy.default().name or not args.data else {}
    return {**always, **(read_sets(args.data, args.fold, taxonomy) if args.data else {})}
