"""Does pretraining pay? Fine-tune an encoder on public sets, beside the same shape from random weights and TF-IDF.

    python -m benchmarks.encoder BENCH_FOLDER [--encoder training/encoder] [--sets waimai_10k cic] [--seeds 3]

BENCH_FOLDER holds a folder a set with ``train.tsv`` and ``dev.tsv`` or ``test.tsv`` (``label⇥text``; ``label⇥a⇥b`` for
pairs). Prints accuracy, mean and standard deviation over the seeds.
"""

from __future__ import annotations

import argparse
import csv
import random
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

from data.taxonomy import Head, Label, Taxonomy
from data.text import normalise
from training.dataset import Record
from training.finetune import FinetuneConfig, finetune, predict_logits
from training.train_command import quiet_libraries


@dataclass(frozen=True)
class BenchSet:
    """A public set as single-head records; the texts of a pair are joined by the tokenizer's separator."""

    name: str
    train: list[Record]
    test: list[Record]
    taxonomy: Taxonomy


def _read(path: Path) -> list[Record]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [{"text": "[SEP]".join(row[1:]) or "。", "label": row[0]} for row in rows if len(row) >= 2]


def read_set(folder: Path, limit: int | None) -> BenchSet:
    """Read one set; ``dev.tsv`` is the test where there is no ``test.tsv``."""
    train = _read(folder / "train.tsv")
    tests = [folder / name for name in ("test.tsv", "test_public.tsv", "dev.tsv")]
    test = _read(next(path for path in tests if path.is_file()))
    if limit and len(train) > limit:
        train = random.Random(0).sample(train, limit)
    names = sorted({str(record["label"]) for record in train})
    test = [record for record in test if record["label"] in names]
    head = Head("label", "single_label", tuple(Label(name) for name in names))
    return BenchSet(folder.name, train, test, Taxonomy(folder.name, "1", (head,)))


def linear_accuracy(data: BenchSet) -> float:
    """Character n-gram TF-IDF + logistic regression, the best of three strengths on the test (in its favour)."""
    vectoriser = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), sublinear_tf=True, min_df=2)
    train = vectoriser.fit_transform([normalise(str(r["text"])) for r in data.train])
    test = vectoriser.transform([normalise(str(r["text"])) for r in data.test])
    truth = np.array([r["label"] for r in data.test])
    best = 0.0
    for strength in (1.0, 4.0, 16.0):
        model = LogisticRegression(C=strength, max_iter=200).fit(train, [r["label"] for r in data.train])
        best = max(best, float((model.predict(test) == truth).mean()))
    return best


def tuned_accuracy(base: str, data: BenchSet, seed: int, epochs: int, bf16: bool) -> float:
    """Accuracy of a fine-tuned base on the test after the last of ``epochs``."""
    config = FinetuneConfig(epochs=epochs, seed=seed, imbalance_power=0.0, head_weights={}, bf16=bf16)
    inner = random.Random(seed).sample(range(len(data.train)), k=min(500, len(data.train) // 10))
    held_out = set(inner)
    train = [record for number, record in enumerate(data.train) if number not in held_out]
    result = finetune(base, data.taxonomy, train, [data.train[number] for number in inner], config)
    logits = predict_logits(result.model, result.tokenizer, data.test, data.taxonomy, config.max_tokens)
    truth = np.array([data.taxonomy.heads[0].index(str(r["label"])) for r in data.test])
    return float((logits.argmax(axis=1) == truth).mean())


def random_twin(encoder: str, folder: Path) -> str:
    """A checkpoint of the same shape with random weights."""
    AutoModelForSequenceClassification.from_config(AutoConfig.from_pretrained(encoder)).save_pretrained(folder)
    AutoTokenizer.from_pretrained(encoder).save_pretrained(folder)
    return str(folder)


def main() -> None:
    """Print the table, a row a set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="BENCH_FOLDER")
    parser.add_argument("--encoder", default="training/encoder")
    parser.add_argument("--sets", nargs="+", default=["waimai_10k", "online_shopping_category", "cic", "afqmc"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--limit", type=int, help="training rows at most, the same for all")
    parser.add_argument("--bf16", action="store_true", help="as in `fankui train`: for GPUs and CPUs with AMX")
    args = parser.parse_args()
    quiet_libraries()
    print("| set | rows | TF-IDF + linear | random weights | encoder |\n|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        twin = random_twin(args.encoder, Path(scratch))
        for name in args.sets:
            data = read_set(args.folder / name, args.limit)
            cells = [f"{linear_accuracy(data):.4f}"]
            for base in (twin, args.encoder):
                values = [tuned_accuracy(base, data, seed, args.epochs, args.bf16) for seed in range(args.seeds)]
                cells.append(f"{np.mean(values):.4f} ± {np.std(values):.4f}")
            print(f"| {name} | {len(data.train)} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
