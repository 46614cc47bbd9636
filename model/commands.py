"""``fankui classify``: label texts from the command line."""

from __future__ import annotations

import argparse
import json
import sys
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from data.errors import TextError
    from data.taxonomy import Taxonomy
    from model.decision import Prediction

_EXAMPLE = """example:
  fankui classify 昨晚有人在外地用我的账户刷了三笔
  cat reviews.txt | fankui classify - --json"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fankui classify",
        description="Label texts. A lone - reads one text a line from standard input.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("texts", nargs="+", metavar="TEXT")
    parser.add_argument("--bundle", metavar="FOLDER", help="a bundle; the shipped one by default")
    parser.add_argument("--json", action="store_true", help="one JSON object a line instead of a table")
    return parser


def classify(argv: list[str]) -> int:
    """Run ``fankui classify``; returns the exit code."""
    from data.errors import TextError
    from model.classifier import Classifier

    args = _parser().parse_args(argv)
    texts = [line.rstrip("\r\n") for line in sys.stdin] if args.texts == ["-"] else args.texts
    classifier = Classifier.load(args.bundle)
    results = classifier.predict_each(texts)
    for text, result in zip(texts, results, strict=True):
        if args.json:
            print(json.dumps(_row(text, result, classifier.model_version), ensure_ascii=False))
        else:
            print(_block(text, result, classifier.taxonomy))
    return 3 if results and all(isinstance(result, TextError) for result in results) else 0


def _row(text: str, result: Prediction | TextError, version: str) -> dict[str, object]:
    if isinstance(result, Exception):
        return {"text": text, "label_error": result.code, "message": str(result), "model_version": version}
    return {"text": text, **result.to_dict(), "label_error": None, "model_version": version}


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def _shorten(text: str, width: int) -> str:
    whole = " ".join(text.split())
    text = whole[: width + 1]  # a character is at least one column wide
    if text == whole and _width(text) <= width:
        return text
    while _width(text) > width - 1:
        text = text[:-1]
    return text + "…"


def _block(text: str, result: Prediction | TextError, taxonomy: Taxonomy) -> str:
    title = _shorten(text, 76)
    if isinstance(result, Exception):
        return f"{title}\n  error       {result}\n"
    lines = [title]
    for head in taxonomy.heads:
        value = result.labels[head.name]
        score = result.scores.get(head.name)
        if isinstance(value, bool):
            said = "yes" if value else "no"
        elif isinstance(value, str):
            said = value
        else:
            said = _listed(value, score) or f"({head.empty_set})"
        number = f"  {score:.2f}" if isinstance(score, float) else ""
        lines.append(f"  {head.name:<14}{said}{number}")
    lines.append(f"  {'needs_review':<14}{result.review_reason or 'no'}")
    return "\n".join(lines) + "\n"


def _listed(names: Sequence[str], scores: dict[str, float] | float | None) -> str:
    if not isinstance(scores, dict):
        return ", ".join(names)
    return ", ".join(f"{name} {scores[name]:.2f}" for name in names)
