"""``fankui data``: check and count the corpus, fetch the public texts that are labelled beside it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from data.corpus import CorpusRecord
    from data.corpus_stats import Table

_FAILED: Final = 1

_EXAMPLE: Final = """examples:
  fankui data check
  fankui data stats
  fankui data fetch-public --from downloads/"""

_CHECK_EXAMPLE: Final = """exit code 1 when something fails; each failure names file, line, rule and reason
(the rules: docs/labels.md)

example:
  fankui data check --folder my_corpus/"""

_STATS_EXAMPLE: Final = """example:
  fankui data stats --write   # after records were added: count the tables of DATASHEET.md and MATRIX.md anew"""

_FETCH_EXAMPLE: Final = """without internet: exit code 3, one line; training goes on with the authored corpus alone

examples:
  fankui data fetch-public
  fankui data fetch-public --from downloads/   # holds alipay_reviews.txt and chinese_text.zip (or neg.txt, pos.txt)"""


def data(argv: list[str]) -> int:
    """Run ``fankui data``.

    Args:
        argv: arguments after the command's name.

    Returns:
        0 done, 1 the corpus breaks a rule; wrong usage leaves with 2.

    Raises:
        TableError: the corpus or the public files cannot be used; the front door makes it exit code 3.
    """
    args = _parser().parse_args(argv)
    run = {"check": _check, "stats": _stats, "fetch-public": _fetch_public}[args.action]
    return run(args)


def _parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="fankui data",
        description="Check and count the corpus, join public texts.",
        epilog=_EXAMPLE,
        formatter_class=raw,
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, description, epilog in (
        ("check", "hold every record against the rules", _CHECK_EXAMPLE),
        ("stats", "count labels, channels, lengths, variety and coverage", _STATS_EXAMPLE),
        ("fetch-public", "download the public real reviews and join them with their labels", _FETCH_EXAMPLE),
    ):
        action = actions.add_parser(name, help=description, description=description, epilog=epilog, formatter_class=raw)
        action.add_argument("--folder", type=Path, metavar="FOLDER", help="the corpus; data/corpus by default")
        if name == "stats":
            action.add_argument(
                "--write", action="store_true", help="count the tables of DATASHEET.md and MATRIX.md anew"
            )
        if name == "fetch-public":
            action.add_argument(
                "--from", dest="source", type=Path, metavar="FOLDER", help="take the raw files from here"
            )
            action.add_argument("-o", "--out", type=Path, metavar="FILE", help="public.jsonl in the corpus by default")
    return parser


def _check(args: argparse.Namespace) -> int:
    from data.corpus import corpus_folder, read_lines
    from data.corpus_checks import check_corpus
    from data.public import PUBLIC_FILE
    from data.taxonomy import Taxonomy

    folder = args.folder or corpus_folder()
    public_path = folder / PUBLIC_FILE
    public = [str(record["text"]) for _, record in read_lines(public_path)] if public_path.is_file() else []
    count, failures = check_corpus(folder, Taxonomy.default(), public)
    # Pages are counted from records, which must be sound first.
    messages = [str(failure) for failure in failures] or _stale_pages(folder)
    for message in messages:
        print(message)
    beside = f", held against {len(public):,} public texts" if public else ""
    print(f"{count:,} records checked{beside}: {len(messages):,} {'failure' if len(messages) == 1 else 'failures'}")
    return _FAILED if messages else 0


def _stats(args: argparse.Namespace) -> int:
    from data.corpus import corpus_folder, read_corpus, read_lines
    from data.corpus_stats import text_table
    from data.coverage import MATRIX_FILE, shortfalls
    from data.public import PUBLIC_FILE

    folder = args.folder or corpus_folder()
    splits = read_corpus(folder)
    tables = _label_tables(folder, splits)
    groups = {name: [record.text for record in records] for name, records in splits.items()}
    groups["all"] = [text for texts in groups.values() for text in texts]
    if (folder / PUBLIC_FILE).is_file():
        groups["real"] = [str(record["text"]) for _, record in read_lines(folder / PUBLIC_FILE)]
    print("\n\n".join(table.plain() for table in [*tables, text_table(groups)]))
    pages = _counted_pages(folder, splits)
    if MATRIX_FILE in pages:
        short = shortfalls(pages[MATRIX_FILE])
        print(f"\nCoverage ({folder / MATRIX_FILE})", *(f"  {row.reason}" for row in short), sep="\n")
        print(f"  {len(short)} rows below their floor")
    if args.write:
        for name, page in pages.items():
            (folder / name).write_text(page, "utf-8", newline="\n")
            print(f"wrote {folder / name}")
    return 0


def _fetch_public(args: argparse.Namespace) -> int:
    from data.corpus import corpus_folder, write_lines
    from data.errors import TableError
    from data.public import LABELS_FILE, PUBLIC_FILE, download, joined, raw_texts, read_folder, read_labels

    folder = args.folder or corpus_folder()
    labels = read_labels(folder / LABELS_FILE)
    records = joined(labels, raw_texts(read_folder(args.source) if args.source else download()))
    if len(records) < len(labels):
        raise TableError(
            f"only {len(records):,} of {len(labels):,} labelled texts are in these files (each is known by its hash); "
            "they are not the commits that were labelled, nothing was written"
        )
    out = args.out or folder / PUBLIC_FILE
    write_lines(out, records)
    print(
        f"{len(records):,} of {len(labels):,} labelled texts found and verified by hash; wrote {out}", file=sys.stderr
    )
    return 0


def _label_tables(folder: Path, splits: Mapping[str, Sequence[CorpusRecord]]) -> list[Table]:
    from data.corpus_stats import label_tables
    from data.public import LABELS_FILE, read_labels
    from data.taxonomy import Taxonomy

    path = folder / LABELS_FILE
    real: list[dict[str, Any]] = read_labels(path) if path.is_file() else []
    return label_tables(splits, Taxonomy.default(), real)


def _counted_pages(folder: Path, splits: Mapping[str, Sequence[CorpusRecord]]) -> dict[str, str]:
    """The pages of a corpus folder as they should read now, by file name; those that are not there are left out."""
    from data.corpus_stats import DATASHEET_FILE, text_table, with_counted
    from data.coverage import MATRIX_FILE, recounted

    pages = {
        name: (folder / name).read_text("utf-8") for name in (MATRIX_FILE, DATASHEET_FILE) if (folder / name).is_file()
    }
    if MATRIX_FILE in pages:
        pages[MATRIX_FILE] = recounted(pages[MATRIX_FILE], [record for part in splits.values() for record in part])
    if DATASHEET_FILE in pages:
        texts = {name: [record.text for record in records] for name, records in splits.items()}
        tables = [*_label_tables(folder, splits), text_table(texts)]
        pages[DATASHEET_FILE] = with_counted(pages[DATASHEET_FILE], tables)
    return pages


def _stale_pages(folder: Path) -> list[str]:
    """What is wrong with the counted pages: rows below their floor, figures that are out of date."""
    from data.corpus import read_corpus
    from data.coverage import MATRIX_FILE, shortfalls

    messages = []
    for name, page in _counted_pages(folder, read_corpus(folder)).items():
        path = folder / name
        if name == MATRIX_FILE:
            messages += [f"{path}:{row.number}: [coverage] {row.reason}" for row in shortfalls(page)]
        lines = path.read_text("utf-8").split("\n")
        changed = next(
            (n for n, pair in enumerate(zip(lines, page.split("\n"), strict=False), 1) if pair[0] != pair[1]), None
        )
        if changed or len(lines) != len(page.split("\n")):
            messages.append(
                f"{path}:{changed or len(lines)}: [stale] the counts are out of date; run `fankui data stats --write`"
            )
    return messages
