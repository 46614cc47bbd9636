"""``fankui pretrain``."""

from __future__ import annotations

import argparse
from pathlib import Path


def pretrain_encoder(argv: list[str]) -> int:
    """Run ``fankui pretrain``; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="fankui pretrain",
        description="Pretrain an encoder from text: tokenizer, packed corpus, masked language modelling. A stopped run "
        "goes on from its last checkpoint.",
        epilog="example:\n  fankui pretrain --config training/configs/encoder.toml --corpus texts/ --out runs/encoder",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", type=Path, required=True, metavar="TOML")
    parser.add_argument(
        "--corpus", type=Path, required=True, metavar="FOLDER", help="holds the files the configuration names"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="the run's folder")
    parser.add_argument(
        "--weights",
        type=Path,
        metavar="FOLDER",
        help="start from a checkpoint or an encoder, whose tokenizer is kept, with a fresh optimiser",
    )
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument(
        "--no-compile", action="store_true", help="do not compile the step; slower, needs no C++ compiler"
    )
    args = parser.parse_args(argv)
    from training.pretrain import pretrain
    from training.pretrain_config import read_config
    from training.train_command import show_log

    show_log()
    folder = pretrain(read_config(args.config), args.corpus, args.out, args.weights, args.device, not args.no_compile)
    print(f"{folder}: encoder written")
    return 0
