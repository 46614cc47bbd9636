"""How much the authored corpus teaches: a linear model on 25, 50, 75 and 100 % of it, measured on real texts.

    python -m benchmarks.learning_curve REAL.jsonl [--plot data/corpus/learning_curve.svg]

The real texts are a test set here: nothing is learned from them and nothing is chosen on them; the strength of the
linear model is tuned on the authored validation split. Three random subsets a share.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import numpy as np

from data.taxonomy import Taxonomy
from training import metrics
from training.baseline import linear_baseline
from training.dataset import read_jsonl, targets
from training.recipe import authored_split

SHARES = (0.25, 0.5, 0.75, 1.0)
SEEDS = (0, 1, 2)


def curve(real: Path) -> dict[float, list[tuple[float, float]]]:
    """Topics macro-F1 and urgency kappa by share, one pair a seed."""
    taxonomy = Taxonomy.default()
    train, validation, test = authored_split("train"), authored_split("validation"), read_jsonl(real)
    wanted = targets(test, taxonomy)
    topics, urgency = taxonomy.slices["topics"], taxonomy.slices["urgency"]
    points: dict[float, list[tuple[float, float]]] = {}
    for share in SHARES:
        for seed in SEEDS if share < 1 else SEEDS[:1]:
            subset = random.Random(seed).sample(train, round(len(train) * share))
            (result,) = linear_baseline(taxonomy, subset, validation, [test], ["topics", "urgency"])
            f1 = metrics.macro_f1(taxonomy.head("topics"), wanted[:, topics], result.decided[:, topics])
            kappa = metrics.quadratic_kappa(taxonomy.head("urgency"), wanted[:, urgency], result.decided[:, urgency])
            points.setdefault(share, []).append((f1, kappa))
    return points


def plot(points: dict[float, list[tuple[float, float]]], n_train: int, path: Path) -> None:
    """Draw the curve."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(5.5, 3.4))
    rows = [round(share * n_train) for share in points]
    for column, name in enumerate(("topics macro-F1", "urgency quadratic kappa")):
        values = [np.array(pairs)[:, column] for pairs in points.values()]
        means = [v.mean() for v in values]
        axes.errorbar(rows, means, yerr=[v.std() for v in values], marker="o", capsize=3, label=name)
    axes.set_xlabel("authored records learned from")
    axes.set_ylabel("on real texts")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Print the table and draw the plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("real", type=Path, metavar="REAL.jsonl")
    parser.add_argument("--plot", type=Path, metavar="SVG")
    args = parser.parse_args()
    n_train = len(authored_split("train"))
    points = curve(args.real)
    print("| share | records | topics macro-F1 | urgency kappa |\n|---|---|---|---|")
    for share, pairs in points.items():
        values = np.array(pairs)
        cells = [f"{m:.3f} ± {s:.3f}" for m, s in zip(values.mean(axis=0), values.std(axis=0), strict=True)]
        print(f"| {share:.0%} | {round(share * n_train)} | {cells[0]} | {cells[1]} |")
    if args.plot:
        plot(points, n_train, args.plot)


if __name__ == "__main__":
    main()
