"""``fankui train``: from labelled rows to a bundle."""

from __future__ import annotations

import argparse
import dataclasses
import logging
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from data.taxonomy import Taxonomy
    from training.finetune import FinetuneConfig
    from training.train_config import TrainOptions
    from training.training_data import TrainingData

logger = logging.getLogger(__name__)

_PUBLIC: Final = Path("data/corpus/public.jsonl")
_EXAMPLE: Final = """examples:
  fankui train --data train.tsv --validation dev.tsv --out bundle
  fankui train --data tickets.csv --write-taxonomy my.toml
  fankui train --data tickets.csv --taxonomy my.toml --out bundle
  fankui train --config train.toml --learning-rate 2e-4
  fankui train --out runs/mine

docs/training.md tells the whole story."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fankui train",
        description="Fine-tune a base into a bundle. With --data it learns your labels; without, the authored corpus, "
        "and the public real rows where `fankui data fetch-public` has put them. Flags go over --config, which goes "
        "over the defaults.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
    )
    run = parser.add_argument_group("run")
    run.add_argument("--out", metavar="FOLDER", help="the bundle; replaced when training succeeds")
    run.add_argument("--config", type=Path, metavar="TOML", help="settings by the names of the flags")
    run.add_argument("--resume", action="store_true", help="go on with a stopped run (its checkpoints: OUT.work)")
    run.add_argument("--serving-copy", metavar="FOLDER", help="also write a copy with serving files only")
    data = parser.add_argument_group("data (.csv, .tsv, .xlsx, .jsonl, .parquet, label⇥text, Label Studio, doccano)")
    data.add_argument("--data", nargs="+", metavar="FILE", help="files to learn from")
    data.add_argument("--validation", nargs="+", metavar="FILE", help="the best epoch is chosen on them; else a split")
    data.add_argument("--test", nargs="+", metavar="FILE", help="only measured; else a split")
    data.add_argument(
        "--taxonomy", metavar="TOML", help="heads and labels; `wallet` for ours; inferred from one column"
    )
    data.add_argument("--write-taxonomy", type=Path, metavar="TOML", help="draft a taxonomy from --data, and stop")
    data.add_argument("--text-column", metavar="NAME", help="column of the text; several joined by +")
    data.add_argument("--label-column", metavar="NAME", help="the only column to learn")
    data.add_argument("--encoding", metavar="CODEC", help="of text files; found by default")
    data.add_argument("--strict", action="store_true", help="one wrong row is one too many")
    data.add_argument("--public", metavar="JSONL", help=f"public real rows (default: {_PUBLIC} if there)")
    data.add_argument("--no-public", action="store_true", help="learn from the authored corpus alone")
    data.add_argument("--unlabelled", nargs="+", metavar="FILE", help="texts without labels, learned from --teacher")
    data.add_argument("--teacher", nargs="+", metavar="BUNDLE", help="what it says of them is learned; several: mean")
    tune = parser.add_argument_group("fine-tuning")
    tune.add_argument("--base", metavar="CHECKPOINT", help="Hugging Face folder or hub id; our encoder by default")
    tune.add_argument("--epochs", type=int, help="passes over the data at most (8; more for small sets)")
    tune.add_argument("--learning-rate", type=float, help="peak (3e-4; less for large bases)")
    tune.add_argument("--batch-size", type=int, help="records a step and process (32)")
    tune.add_argument("--max-tokens", type=int, help="pieces the model reads at once (128)")
    tune.add_argument("--patience", type=int, help="epochs without a better validation before stopping (0: never)")
    tune.add_argument("--seed", type=int, help="(0)")
    tune.add_argument("--bf16", action="store_true", help="bfloat16 autocast; for GPUs and CPUs with AMX")
    tune.add_argument("--report-to", metavar="TRACKERS", help="tensorboard, wandb, mlflow, …, joined by commas")
    tune.add_argument("--set", action="append", metavar="NAME=VALUE", help="any other setting of docs/training.md")
    return parser


def show_log() -> None:
    """Log lines of the main process to standard error, without those of noisy libraries."""
    from training.processes import is_main

    level = logging.INFO if is_main() else logging.ERROR
    logging.basicConfig(level=level, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    for noisy in ("httpx", "onnxscript", "onnx_ir", "torch.onnx", "torch.distributed"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def quiet_libraries() -> None:
    """Keep transformers and datasets from printing beside our log."""
    import datasets
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    datasets.disable_progress_bars()


def _settings(args: argparse.Namespace) -> dict[str, Any]:
    """Settings of the file with the flags over them."""
    from training.train_config import parse_setting, read_toml

    flags = {name: value for name, value in vars(args).items() if name not in ("config", "set", "write_taxonomy")}
    more = dict(parse_setting(text) for text in getattr(args, "set", []))
    return {**(read_toml(args.config) if "config" in args else {}), **more, **flags}


def train(argv: list[str]) -> int:
    """Run ``fankui train``; returns the exit code."""
    parser = _parser()
    args = parser.parse_args(argv)
    show_log()
    from training.own_data import draft
    from training.train_config import split_settings

    options, tuning = split_settings(_settings(args))
    if "write_taxonomy" in args:
        if not options.data:
            parser.error("--write-taxonomy drafts from the files of --data; name some")
        draft(options, args.write_taxonomy)
        print(f"{args.write_taxonomy}: drafted; check it, then train with --taxonomy {args.write_taxonomy}")
        return 0
    if options.out is None:
        parser.error("--out FOLDER says where the bundle goes")
    if not options.data and (options.validation or options.test):
        parser.error("--validation and --test go with --data")
    if bool(options.unlabelled) != bool(options.teacher):
        parser.error("--unlabelled and --teacher go together: texts, and bundles that say what they think of them")
    return _run(options, tuning, options.out)


def _run(options: TrainOptions, tuning: Mapping[str, Any], out: Path) -> int:
    from training.own_data import prepare, read_taxonomy

    own = prepare(options) if options.data else None
    quiet_libraries()
    from data.taxonomy import Taxonomy
    from training.processes import is_main
    from training.recipe import SHIPPED_CALIBRATION
    from training.train import DEFAULT_BASE, RunOptions, train_bundle
    from training.training_data import TrainingData
    from training.write_bundle import serving_copy

    base = options.base or str(DEFAULT_BASE)
    details: dict[str, Any] = {}
    if own is None:
        data = _shipped_data(options)
        taxonomy = read_taxonomy(options.taxonomy) or Taxonomy.default()
    else:
        taxonomy, details = own.taxonomy, {"data": own.details}
        data = TrainingData(own.parts.train, own.parts.validation, own.parts.validation, tests=own.tests)
    if options.unlabelled:
        data = _with_unlabelled(data, taxonomy, options)
    calibration = SHIPPED_CALIBRATION if own is None else None
    config = _tuning(tuning, base, len(data.train), own is not None and bool(options.base), own is not None)
    os.environ.setdefault("TENSORBOARD_LOGGING_DIR", str(out.with_name(out.name + ".logs")))
    version = train_bundle(data, taxonomy, out, base, config, calibration, RunOptions(options.resume, details))
    if not is_main():
        return 0
    if options.serving_copy:
        version = serving_copy(out, options.serving_copy)
    _print_figures(out)
    print(f"{options.serving_copy or out}: model version {version}")
    return 0


def _with_unlabelled(data: TrainingData, taxonomy: Taxonomy, options: TrainOptions) -> TrainingData:
    from training.imports import ImportOptions
    from training.teaching import taught, unlabelled_texts

    labelled = (data.train, data.validation, data.calibration, *data.tests.values())
    known = [str(record["text"]) for records in labelled for record in records]
    texts = unlabelled_texts(options.unlabelled, ImportOptions(options.text_column, encoding=options.encoding), known)
    return dataclasses.replace(data, taught=taught(options.teacher, taxonomy, texts))


def _tuning(tuning: Mapping[str, Any], base: str, n_train: int, other_base: bool, own_data: bool) -> FinetuneConfig:
    """The configuration of fine-tuning, with what suits base and data where nothing is said."""
    from training.base import describe_base
    from training.finetune import FinetuneConfig
    from training.progress import check_trackers
    from training.train_config import build, suggested

    config: FinetuneConfig = build(FinetuneConfig, tuning)
    check_trackers(config.report_to)
    if not own_data:
        return config
    size = describe_base(base).hidden_size
    found = suggested(size, n_train, config.batch_size, config.epochs)
    if not other_base:
        del found["learning_rate"]
    found = {name: value for name, value in found.items() if name not in tuning and value != getattr(config, name)}
    for name, value in found.items():
        logger.info(
            "%s %s, which suits this base and this many rows; --%s changes it", name, value, name.replace("_", "-")
        )
    return build(FinetuneConfig, {**tuning, **found})


def _shipped_data(options: TrainOptions) -> TrainingData:
    from training.recipe import shipped_data

    found = None if options.no_public else options.public or (_PUBLIC if _PUBLIC.is_file() else None)
    if found is None and not options.no_public:
        logger.info("no public rows; `fankui data fetch-public` adds them. Learning from the authored corpus alone")
    return shipped_data(found)


def _print_figures(out: Path) -> None:
    from model.bundle import open_bundle

    bundle = open_bundle(out)
    for name, report in bundle.metrics.items():
        print(f"{name} (n = {report['n']:,})")
        for head, entry in report["heads"].items():
            wanted = ("accuracy", "macro_f1", "quadratic_kappa", "calibration_error")
            figures = ", ".join(
                f"{figure.replace('_', ' ')} {entry[figure]:.3f}" for figure in wanted if figure in entry
            )
            print(f"  {head}: {figures}")
