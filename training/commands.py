"""``fankui train``, ``evaluate`` and ``pretrain``."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from data.taxonomy import Taxonomy
    from training.dataset import Record
    from training.train import TrainingData

_PUBLIC = Path("data/corpus/public.jsonl")
_LINEAR_HEADS = ("topics", "urgency", "handling", "sentiment", "churn_risk")


def _parser(name: str, description: str, example: str) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(
        prog=f"fankui {name}",
        description=description,
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _show_log() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    for noisy in ("httpx", "onnxscript", "onnx_ir", "torch.onnx"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def _quiet_libraries() -> None:
    import datasets
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    datasets.disable_progress_bars()


def train(argv: list[str]) -> int:
    """Run ``fankui train``; returns the exit code."""
    parser = _parser(
        "train",
        "Fine-tune a base into a bundle. Without --data it learns from the authored corpus, and from the public real "
        "rows where `fankui data fetch-public` has put them.",
        "fankui train --out runs/mine\n  fankui train --data tickets.jsonl --taxonomy my.toml --out runs/mine",
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FOLDER", help="the bundle; replaced when training succeeds"
    )
    parser.add_argument("--data", type=Path, metavar="JSONL", help="labelled records of your own")
    parser.add_argument("--taxonomy", type=Path, metavar="TOML", help="their taxonomy; the wallet's by default")
    parser.add_argument("--public", type=Path, metavar="JSONL", help=f"public real rows (default: {_PUBLIC} if there)")
    parser.add_argument("--no-public", action="store_true", help="learn from the authored corpus alone")
    parser.add_argument("--base", metavar="CHECKPOINT", help="Hugging Face folder or hub id; our encoder by default")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--learning-rate", type=float, default=3e-4)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--max-tokens", type=int, default=128)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--bf16", action="store_true", help="bfloat16 autocast; faster on GPUs and CPUs with AMX")
    parser.add_argument("--serving-copy", type=Path, metavar="FOLDER", help="also write a copy with serving files only")
    args = parser.parse_args(argv)
    _show_log()
    _quiet_libraries()
    from data.taxonomy import Taxonomy
    from training.finetune import FinetuneConfig
    from training.train import DEFAULT_BASE, serving_copy, train_bundle

    taxonomy = Taxonomy.from_toml(args.taxonomy) if args.taxonomy else Taxonomy.default()
    config = FinetuneConfig(
        epochs=args.epochs,
        learning_rate=args.learning_rate,
        batch_size=args.batch_size,
        max_tokens=args.max_tokens,
        seed=args.seed,
        bf16=args.bf16,
    )
    data = _own_data(args.data) if args.data else _default_data(args.public, args.no_public)
    version = train_bundle(data, taxonomy, args.out, args.base or str(DEFAULT_BASE), config)
    if args.serving_copy:
        version = serving_copy(args.out, args.serving_copy)
    print(f"{args.serving_copy or args.out}: model version {version}")
    return 0


def _public_file(given: Path | None, none: bool) -> Path | None:
    if none:
        return None
    return given or (_PUBLIC if _PUBLIC.is_file() else None)


def _default_data(public: Path | None, no_public: bool) -> TrainingData:
    from training.recipe import shipped_data

    found = _public_file(public, no_public)
    if found is None and not no_public:
        print(
            "fankui: no public rows; `fankui data fetch-public` adds them. Learning from the authored corpus alone.",
            file=sys.stderr,
        )
    return shipped_data(found)


def _own_data(path: Path) -> TrainingData:
    from training.dataset import read_jsonl
    from training.errors import DataError
    from training.folds import fold_of
    from training.train import TrainingData, record_id

    records = read_jsonl(path)
    parts: dict[str, list[Any]] = {"fit": [], "select": [], "calibrate": []}
    for record in records:
        parts[fold_of(record_id(record))].append(record)
    if not all(parts.values()):
        raise DataError(f"{path} has {len(records)} records, too few to split three ways; bring 20 or more")
    return TrainingData(parts["fit"], parts["select"], parts["calibrate"], tests={"select fold": parts["select"]})


def evaluate(argv: list[str]) -> int:
    """Run ``fankui evaluate``; returns the exit code."""
    parser = _parser(
        "evaluate",
        "Measure a bundle on labelled records, beside a tuned character n-gram TF-IDF + logistic regression trained on "
        "the same rows.",
        "fankui evaluate\n  fankui evaluate labelled.jsonl --no-baseline --json report.json",
    )
    parser.add_argument(
        "files", nargs="*", type=Path, metavar="JSONL", help="labelled records; our test split by default"
    )
    parser.add_argument("--bundle", type=Path, metavar="FOLDER", help="a bundle; the shipped one by default")
    parser.add_argument("--public", type=Path, metavar="JSONL", help="public rows the bundle was trained with")
    parser.add_argument("--no-public", action="store_true", help="the bundle was trained on the authored corpus alone")
    parser.add_argument("--no-baseline", action="store_true", help="the bundle only")
    parser.add_argument("--labels", action="store_true", help="precision and recall of every label too")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    args = parser.parse_args(argv)
    from model.classifier import Classifier
    from training.dataset import read_jsonl

    classifier = Classifier.load(args.bundle)
    sets: dict[str, list[Record]] = {str(path): list(read_jsonl(path)) for path in args.files}
    if not sets:
        from training.recipe import authored_split

        sets["authored test split"] = authored_split("test")
    public = _public_file(args.public, args.no_public)
    baselines = None if args.no_baseline else _baseline(classifier.taxonomy, public, list(sets.values()))
    everything: dict[str, Any] = {"model_version": classifier.model_version, "sets": {}}
    for number, (name, records) in enumerate(sets.items()):
        report = _report(classifier, name, records, baselines[number] if baselines else None, args.labels)
        everything["sets"][name] = report
    if args.json:
        args.json.write_text(json.dumps(everything, ensure_ascii=False, indent=1), "utf-8")
    return 0


def _baseline(taxonomy: Taxonomy, public: Path | None, sets: list[list[Record]]) -> list[Any]:
    from training.baseline import linear_baseline
    from training.recipe import shipped_data

    data = shipped_data(public, public_repeats=1)
    heads = [name for name in _LINEAR_HEADS if name in {head.name for head in taxonomy.heads}]
    return linear_baseline(taxonomy, data.train, data.validation, sets, heads)


def _report(classifier: Any, name: str, records: list[Record], baseline: Any | None, labels: bool) -> dict[str, Any]:
    from training.evaluate import classify_records, format_labels, format_table, judge, paired_difference

    taxonomy = classifier.taxonomy
    p, decided, review = classify_records(classifier, records)
    ours = judge(taxonomy, records, decided, p, review)
    result: dict[str, Any] = {"fankui": ours}
    if baseline is not None:
        theirs = judge(taxonomy, records, baseline.decided)
        theirs["heads"] = {head: entry for head, entry in theirs["heads"].items() if head in baseline.strengths}
        result["linear"] = theirs
    print(format_table(f"{name}, bundle {classifier.model_version}", result))
    for head in ("topics", "urgency"):
        if baseline is not None and head in ours["heads"] and head in baseline.strengths:
            gap = paired_difference(taxonomy, records, head, decided, baseline.decided)
            result[f"{head}_gap"] = gap
            low, high = gap["interval"]
            print(f"  {head}: fankui minus linear {gap['difference']:+.3f} [{low:+.3f}, {high:+.3f}]")
    if labels:
        print(format_labels(ours))
    return result


def pretrain_encoder(argv: list[str]) -> int:
    """Run ``fankui pretrain``; returns the exit code."""
    parser = _parser(
        "pretrain",
        "Pretrain an encoder from text: tokenizer, packed corpus, masked language modelling. A stopped run goes "
        "on from its last checkpoint.",
        "fankui pretrain --config training/configs/encoder.toml --corpus texts/ --out runs/encoder",
    )
    parser.add_argument("--config", type=Path, required=True, metavar="TOML")
    parser.add_argument(
        "--corpus", type=Path, required=True, metavar="FOLDER", help="holds the files the configuration names"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="the run's folder")
    parser.add_argument(
        "--weights", type=Path, metavar="FOLDER", help="start from a checkpoint's weights with a fresh optimiser"
    )
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument(
        "--no-compile", action="store_true", help="do not compile the step; slower, needs no C++ compiler"
    )
    args = parser.parse_args(argv)
    _show_log()
    from training.pretrain import pretrain
    from training.pretrain_config import read_config

    folder = pretrain(read_config(args.config), args.corpus, args.out, args.weights, args.device, not args.no_compile)
    print(f"{folder}: encoder written")
    return 0
