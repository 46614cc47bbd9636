"""The encoder on real feedback alone: fine-tuned on the fit fold of labelled real rows, beside a linear model.

python -m benchmarks.real_rows public.jsonl [--test FILE ...] [--encoder training/encoder] [--seeds 3] [--bf16]

No authored record, no unlabelled text, no threshold but one half. The linear model (character n-grams, TF-IDF) has its
strength tuned on the select fold. Measured on the select and calibrate folds together and on every ``--test`` file:
each seed alone, and the mean of the seeds' logits with the paired difference to the linear model and its 95 % interval.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from data.taxonomy import Taxonomy
from training.baseline import linear_baseline
from training.compare import primary_difference
from training.dataset import Record, read_jsonl, targets
from training.finetune import FinetuneConfig, decide_plain, finetune, predict_logits, score_heads
from training.folds import folds
from training.train_command import quiet_libraries

_HEADS = ("topics", "urgency")


def main() -> None:
    """Print a row a test set and head."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("public", type=Path)
    parser.add_argument("--test", type=Path, action="append", default=[])
    parser.add_argument("--encoder", default="training/encoder")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--bf16", action="store_true", help="as in `fankui train`: for GPUs and CPUs with AMX")
    args = parser.parse_args()
    quiet_libraries()
    taxonomy = Taxonomy.default()
    parts = folds(read_jsonl(args.public))
    held_out = parts["select"] + parts["calibrate"]
    tests: dict[str, Sequence[Record]] = {"held-out folds": held_out}
    tests |= {path.name: read_jsonl(path) for path in args.test}
    linear = linear_baseline(taxonomy, parts["fit"], parts["select"], list(tests.values()), _HEADS)
    logits = []
    for seed in range(args.seeds):
        config = FinetuneConfig(
            epochs=10, learning_rate=4e-4, imbalance_power=0.3, keep_best=False, seed=seed, bf16=args.bf16
        )
        tuned = finetune(args.encoder, taxonomy, parts["fit"], held_out, config)
        logits.append(
            [predict_logits(tuned.model, tuned.tokenizer, rows, taxonomy, config.max_tokens) for rows in tests.values()]
        )
    print(f"{len(parts['fit'])} rows to learn from, {args.seeds} seeds\n")
    print("| test | rows | head | linear | encoder, each seed | mean of seeds | against linear |\n" + "|---" * 7 + "|")
    for number, (name, rows) in enumerate(tests.items()):
        wanted = targets(rows, taxonomy)
        alone = [score_heads(taxonomy, decide_plain(taxonomy, each[number]), wanted) for each in logits]
        together = decide_plain(taxonomy, np.mean([each[number] for each in logits], axis=0))
        for head in _HEADS:
            where = taxonomy.slices[head]
            found = primary_difference(
                taxonomy.head(head),
                wanted[:, where].astype(np.int64),
                together[:, where],
                linear[number].decided[:, where],
            )
            low, high = found.interval
            each = ", ".join(f"{scores[head]:.3f}" for scores in alone)
            print(
                f"| {name} | {len(rows)} | {head} | {found.theirs:.3f} | {each} | {found.ours:.3f} "
                f"| {found.difference:+.3f} [{low:.3f}, {high:.3f}] |",
                flush=True,
            )


if __name__ == "__main__":
    main()
