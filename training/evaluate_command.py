"""``fankui evaluate``: measure a bundle on labelled records, as text, JSON and one HTML page."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from data.taxonomy import Taxonomy
    from training.dataset import Record
    from training.evaluate import Answers
    from training.evaluation import Rival

AUTHORED: Final = "authored test split"

_PUBLIC: Final = Path("data/corpus/public.jsonl")
_LINEAR_HEADS: Final = ("topics", "urgency", "handling", "sentiment", "churn_risk")
_SHOWN_GAPS: Final = ("topics", "urgency")

_EXAMPLE: Final = """examples:
  fankui evaluate
  fankui evaluate --bundle runs/mine --data tickets.jsonl --report mine.html --json mine.json
  fankui evaluate --bundle runs/mine --against model/default --data data/corpus/public.jsonl --fold select
  fankui evaluate --behaviour --no-baseline"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fankui evaluate",
        description="Measure a bundle on labelled records: on the test split of the authored corpus unless files are "
        "named. Beside it stands another bundle (--against) or a tuned linear model trained on the same rows.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("files", nargs="*", type=Path, metavar="FILE", help="labelled records, the same as --data")
    add("--bundle", type=Path, metavar="FOLDER", help="the bundle to judge; the shipped one by default")
    add("--data", action="append", default=[], type=Path, metavar="FILE", help="labelled records; may be repeated")
    add("--fold", choices=("fit", "select", "calibrate"), help="keep only that fold, by hash of the id, of each file")
    add("--against", type=Path, metavar="FOLDER", help="another bundle; differences with tests of significance")
    add("--public", type=Path, metavar="JSONL", help="public rows that the linear model is trained with too")
    add("--no-public", action="store_true", help="the linear model is trained on the authored corpus alone")
    add("--no-baseline", action="store_true", help="no linear model; it takes a minute")
    add("--behaviour", action="store_true", help="also run the behavioural suite, and its perturbations over the data")
    add("--suite", type=Path, metavar="JSONL", help="another behavioural suite")
    add("--labels", action="store_true", help="print precision and recall of every label too")
    add("--report", type=Path, metavar="HTML", help="write a self-contained page with everything")
    add("--json", type=Path, metavar="FILE", help="write all figures there")
    add("--no-texts", action="store_true", help="leave feedback texts out of the page and the JSON; ids stay")
    return parser


def evaluate(argv: list[str]) -> int:
    """Run ``fankui evaluate``; returns the exit code."""
    args = _parser().parse_args(argv)
    check_folders(args.report, args.json)
    from model.classifier import Classifier
    from training.behaviour import read_suite, suite_fits, suite_path
    from training.evaluate import classify_records
    from training.evaluation import evaluate_behaviour, evaluate_set, header, rival_bundle, without_texts

    classifier = Classifier.load(args.bundle)
    taxonomy = classifier.taxonomy
    other = Classifier.load(args.against) if args.against else None
    sets = read_sets([*args.files, *args.data], args.fold, taxonomy)
    suited = args.behaviour and (args.suite or suite_fits(taxonomy))
    cases = read_suite(args.suite or suite_path()) if suited else []
    linear = _linear(args, taxonomy, list(sets.values())) if other is None else None
    evaluation: dict[str, Any] = {**header(classifier), "sets": {}}
    if other is not None:
        evaluation["against"] = header(other)
    answered: dict[str, tuple[Sequence[Record], Answers]] = {}
    for number, (name, records) in enumerate(sets.items()):
        answers = classify_records(classifier, records)
        rivals = [rival_bundle("against", other, taxonomy, records)] if other is not None else []
        rivals += [linear[number]] if linear else []
        evaluation["sets"][name] = evaluate_set(taxonomy, records, answers, rivals)
        answered[name] = (records, answers)
        _print_set(f"{name}, bundle {classifier.model_version}", evaluation["sets"][name], args.labels)
    if args.behaviour:
        evaluation["behaviour"] = evaluate_behaviour(classifier, cases, answered)
        _print_behaviour(evaluation["behaviour"])
    _write(without_texts(evaluation) if args.no_texts else evaluation, taxonomy, args.report, args.json)
    return 0


def check_folders(*files: Path | None) -> None:
    """Say so before the work begins, not after it, when a file cannot be written where it is wanted.

    Raises:
        ConfigError: a file's folder is not there.
    """
    from training.errors import ConfigError

    for path in files:
        if path is not None and not path.absolute().parent.is_dir():
            raise ConfigError(f"{path} cannot be written: there is no folder {path.absolute().parent}")


def read_sets(files: Sequence[Path], fold: str | None, taxonomy: Taxonomy) -> dict[str, list[Record]]:
    """Labelled records by name of their set; the authored test split where no file is named.

    Raises:
        DataError: a file or its fold has no records that fit the taxonomy, or there is no file and the taxonomy is
            not the wallet's.
    """
    from data.taxonomy import Taxonomy as AnyTaxonomy
    from training.dataset import check_records
    from training.errors import DataError
    from training.folds import folds

    if not files:
        if taxonomy.name != AnyTaxonomy.default().name:
            raise DataError(f"{taxonomy.name} is not the wallet's taxonomy; name labelled records with --data")
        from training.recipe import authored_split

        return {AUTHORED: authored_split("test")}
    sets: dict[str, list[Record]] = {}
    for path in files:
        records = _read(path, taxonomy)
        if fold:
            records = folds(records)[fold] if all(r.get("id") for r in records) else []  # type: ignore[index]
            if not records:
                raise DataError(f"{path} has no records in the {fold} fold; folds go by the hash of every record's id")
        try:
            check_records(records, taxonomy)
        except DataError as error:
            raise DataError(f"{path}: {error}") from error
        sets[path.stem + (f", {fold} fold" if fold else "") if path.stem not in sets else str(path)] = records
    return sets


def _read(path: Path, taxonomy: Taxonomy) -> list[Record]:
    """Records of a file: ours as they stand with all their fields, other people's as `fankui train` reads them."""
    from training.dataset import read_jsonl

    heads = tuple(head.name for head in taxonomy.heads)
    if path.suffix.lower() == ".jsonl":
        records: list[Record] = list(read_jsonl(path))
        if any(name in record for record in records for name in heads):
            return records
    from training.imports import ImportOptions, LabelReader, read_labelled, usable_records

    return list(usable_records(read_labelled(path, ImportOptions(heads=heads)), LabelReader(taxonomy, "the bundle")))


def _linear(args: argparse.Namespace, taxonomy: Taxonomy, sets: list[list[Record]]) -> list[Rival] | None:
    """The tuned linear model's answers to each set, where the wallet's rows can teach it."""
    from data.taxonomy import Taxonomy as AnyTaxonomy

    if args.no_baseline or taxonomy.name != AnyTaxonomy.default().name:
        return None
    import numpy as np

    from training.baseline import linear_baseline
    from training.evaluate import Answers
    from training.evaluation import Rival
    from training.recipe import shipped_data

    public = None if args.no_public else args.public or (_PUBLIC if _PUBLIC.is_file() else None)
    data = shipped_data(public, public_repeats=1)
    names = [name for name in _LINEAR_HEADS if name in {head.name for head in taxonomy.heads}]
    heads = [taxonomy.head(name) for name in names]
    decided = [result.decided for result in linear_baseline(taxonomy, data.train, data.validation, sets, names)]
    return [
        Rival("linear", Answers(each.astype(float), each, np.zeros(len(each), dtype=np.bool_)), heads, calibrated=False)
        for each in decided
    ]


def _print_set(title: str, result: Mapping[str, Any], labels: bool) -> None:
    from training.evaluate import format_labels, format_table

    names = {"fankui": "fankui", **{name: name for name in result["comparisons"]}}
    print(format_table(title, {name: result[name] for name in names}))
    for rival, comparison in result["comparisons"].items():
        for head in _SHOWN_GAPS if rival == "linear" else comparison["heads"]:
            if head in comparison["heads"]:
                gap = comparison["heads"][head]
                low, high = gap["interval"]
                by = f"{gap['difference']:+.3f} [{low:+.3f}, {high:+.3f}], p {gap['p']:.3f}"
                print(f"  {head}: fankui minus {rival} {by}")
    if labels:
        print(format_labels(result["fankui"]))


def _print_behaviour(behaviour: Mapping[str, Any]) -> None:
    from training.behaviour import format_behaviour

    print(format_behaviour(behaviour["rates"], behaviour["flips"]))


def _write(evaluation: Mapping[str, Any], taxonomy: Taxonomy, page: Path | None, figures: Path | None) -> None:
    if figures:
        figures.write_text(json.dumps(evaluation, ensure_ascii=False, indent=1), "utf-8")
    if page:
        from training.report import render

        page.write_text(render(evaluation, taxonomy), "utf-8")
        print(f"fankui: report written to {page}", file=sys.stderr)
