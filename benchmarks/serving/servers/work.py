"""What a framework is put around: the transformers pipeline, or fankui's own tokenizer and engine.

It runs in the environment of a framework, where only what it needs is installed.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

MOST_TEXTS = 64
"""Texts that a framework may batch; also the pipeline's batch size."""


def make_work() -> Callable[[list[str]], list[Any]]:
    """What classifies a list of texts; ``BENCH_WORK`` is ``pipeline`` or ``engine``."""
    folder, threads = os.environ["BENCH_BUNDLE"], int(os.environ["BENCH_THREADS"])
    if os.environ["BENCH_WORK"] == "engine":
        from model.classifier import Classifier

        classifier = Classifier.load(folder, threads)
        return lambda texts: [prediction.to_dict() for prediction in classifier.predict(texts)]
    import torch
    from transformers import pipeline

    torch.set_num_threads(threads)
    classify: Any = pipeline("text-classification", model=folder, device="cpu", dtype=torch.float32, top_k=None)
    return lambda texts: list(classify(texts, batch_size=MOST_TEXTS, truncation=True, max_length=128))
