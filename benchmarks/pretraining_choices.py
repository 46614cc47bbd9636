"""Equal-time comparisons before a long pretraining run: where embeddings start, depth, optimiser, vocabulary.

    python -m benchmarks.pretraining_choices --corpus ../shared/corpus --out runs --minutes 5 [VARIANT…]

Each variant trains for the same minutes on the same sources; how it fine-tunes is judged by
`benchmarks/encoder.py`, because losses over different vocabularies cannot be compared.
"""

from __future__ import annotations

import argparse
import dataclasses
import logging
from pathlib import Path

from training.pretrain import pretrain
from training.pretrain_config import PretrainConfig, Stage, read_config


def variants(base: PretrainConfig) -> dict[str, PretrainConfig]:
    """The configurations to compare, by name."""
    encoder, vocabulary = base.encoder, base.vocabulary
    adamw = dataclasses.replace(base, optimizer="adamw")
    return {
        "vectors-4x256": adamw,
        "muon-4x256": dataclasses.replace(base, optimizer="muon"),
        "random-4x256": dataclasses.replace(adamw, encoder=dataclasses.replace(encoder, start="random")),
        "vectors-2x256": dataclasses.replace(adamw, encoder=dataclasses.replace(encoder, layers=2)),
        "characters-4x256": dataclasses.replace(
            adamw, vocabulary=dataclasses.replace(vocabulary, kind="characters", size=6000)
        ),
    }


def main() -> None:
    """Run the named variants, all of them by default."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="VARIANT")
    parser.add_argument("--config", type=Path, default=Path("training/configs/encoder.toml"))
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=20.0)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    known = variants(read_config(args.config))
    for name in args.names or known:
        stage = Stage(minutes=args.minutes, lr_start=1e-3, lr_end=1e-4)
        config = dataclasses.replace(known[name], stages=(stage,))
        folder = args.out / name
        folder.mkdir(parents=True, exist_ok=True)
        for shared in (
            ("segmented",) if config.vocabulary.kind == "characters" else ("segmented", "tokenizer", "packed")
        ):
            if (args.out / "base" / shared).exists() and not (folder / shared).exists():
                (folder / shared).symlink_to((args.out / "base" / shared).resolve())
        print(name, pretrain(config, args.corpus, folder), flush=True)


if __name__ == "__main__":
    main()
