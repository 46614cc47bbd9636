"""How fast the shipped bundle classifies, in process: one text at a time, and in batches.

python -m benchmarks.engine [--threads 1] [--texts 2000]
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time

from data.corpus import read_split
from model.classifier import Classifier


def corpus_texts(count: int) -> list[str]:
    """So many texts from all over the training split."""
    texts = [record.text for record in read_split("train")]
    return texts[:: max(1, len(texts) // count)][:count]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--texts", type=int, default=2000)
    parser.add_argument("--bundle")
    args = parser.parse_args()
    texts = corpus_texts(args.texts)
    classifier = Classifier.load(args.bundle, args.threads)
    classifier.predict(texts[:64])
    seconds = []
    for text in texts[:500]:
        begin = time.perf_counter()
        classifier.predict([text])
        seconds.append(time.perf_counter() - begin)
    cuts = statistics.quantiles(seconds, n=100)
    print(f"{platform.processor() or platform.machine()}, {args.threads} thread(s), bundle {classifier.model_version}")
    print(f"one text: p50 {cuts[49] * 1e3:.2f} ms, p99 {cuts[98] * 1e3:.2f} ms")
    for size in (16, 64, 256):
        begin = time.perf_counter()
        for start in range(0, len(texts), size):
            classifier.predict(texts[start : start + size])
        print(f"batches of {size}: {len(texts) / (time.perf_counter() - begin):.0f} texts/s")


if __name__ == "__main__":
    main()
