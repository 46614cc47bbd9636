"""``fankui diff``: see what a relabelling changed, before it is published."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Final

_EXAMPLE: Final = """example:
  fankui label tickets.csv -o new.jsonl --bundle runs/new
  fankui diff old.jsonl new.jsonl --examples 5"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fankui diff",
        description="Compare the labels of two files that `fankui label` wrote, in any format.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("old", type=Path, metavar="OLD")
    parser.add_argument("new", type=Path, metavar="NEW")
    parser.add_argument("--id-column", metavar="NAME", help="names the rows; `id` or the text if not given")
    parser.add_argument("--text-column", metavar="NAME", help="shown in examples; guessed if not given")
    parser.add_argument("--examples", type=int, default=2, metavar="N", help="texts shown for each change; 2")
    parser.add_argument("--moves", type=int, default=10, metavar="N", help="commonest changes shown a column; 10")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of text")
    return parser


def diff(argv: list[str]) -> int:
    """Run ``fankui diff``.

    Args:
        argv: arguments after the command's name.

    Returns:
        The exit code.
    """
    args = _parser().parse_args(argv)
    from data.tables import open_table
    from serving.label_diff import compare, difference_text
    from serving.label_summary import shortened

    old, new = open_table(args.old), open_table(args.new)
    values = compare(old, new, args.id_column, args.text_column, args.examples).to_dict(args.moves)
    for column in values["columns"].values():
        for move in column["moves"]:
            move["examples"] = [shortened(text, 100) for text in move["examples"]]
    print(json.dumps(values, ensure_ascii=False, indent=1) if args.json else difference_text(values))
    return 0
