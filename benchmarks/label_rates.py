"""The same texts through the engine alone, ``fankui label`` and the usual other ways; one thread or all.

Beside the rate by the clock stands the processor time a text, which holds on a machine with other work too.
"""

from __future__ import annotations

import csv
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from data.corpus import read_split
from model.bundle import Bundle, open_bundle
from model.classifier import Classifier
from model.engine import OnnxEngine
from model.tokenizer import WindowTokenizer

_WINDOW: Final = 2048
_BATCH: Final = 64


def benchmark_texts(count: int) -> list[str]:
    """Texts of the authored corpus; where more are asked for, two joined, so that none comes twice."""
    texts = list(dict.fromkeys(record.text for record in read_split("train")))
    wanted = dict.fromkeys(texts[:count])
    step = 1
    while len(wanted) < count:
        for number in range(len(texts)):
            wanted[f"{texts[number]}。{texts[(number + step) % len(texts)]}"] = None
        step += 1
    return list(wanted)[:count]


def rates(folder: Path, bundle_folder: Path | None, count: int, slow_count: int, threads: int) -> None:
    """Measure and print the table.

    Args:
        folder: takes the files.
        bundle_folder: a bundle; the shipped one where None.
        count: texts for the engine, the classifier and ``fankui label``.
        slow_count: texts, the first of the same, for the other ways.
        threads: of inference; 0 for all cores.
    """
    bundle = open_bundle(bundle_folder)
    texts = benchmark_texts(count)
    print(
        f"bundle {bundle.model_version}, {count:,} texts ({slow_count:,} for the slow ways), threads {threads or 'all'}"
    )
    print("\n| way | texts/s | share of the engine | processor time a text |\n|---|---|---|---|", flush=True)
    engine = _print("the engine alone, on piece ids made before", _engine(bundle, texts, threads), None)
    _print("`Classifier.predict_each` in memory", _classifier(bundle, texts, threads), engine)
    for suffix in ("csv", "jsonl", "parquet"):
        rate = _label(folder, bundle, texts, threads, suffix)
        _print(f"`fankui label`, CSV to {suffix.upper()} (processor time with its start)", rate, engine)
    few = texts[:slow_count]
    _print("naive loop, `predict([text])`", _naive(bundle, few, threads), engine)
    _print(f"`datasets.map` over the ONNX session, batches of {_BATCH}", _datasets(bundle, few, threads), engine)
    _print(f"transformers pipeline, batches of {_BATCH}, float32", _pipeline(bundle, few, threads), engine)


@dataclass(frozen=True)
class Rate:
    """How fast something was.

    Attributes:
        per_s: texts a second by the clock.
        cpu_ms: processor time a text, in milliseconds, of all threads.
    """

    per_s: float
    cpu_ms: float


def _print(name: str, rate: Rate, engine: Rate | None) -> Rate:
    share = rate.per_s / engine.per_s if engine else 1.0
    print(f"| {name} | {rate.per_s:,.0f} | {share:.1%} | {rate.cpu_ms:.2f} ms |", flush=True)
    return rate


def _timed(work: Callable[[], Any], count: int) -> Rate:
    began, cpu = time.perf_counter(), time.process_time()
    work()
    return Rate(count / (time.perf_counter() - began), (time.process_time() - cpu) / count * 1e3)


def _engine(bundle: Bundle, texts: Sequence[str], threads: int) -> Rate:
    tokenizer = WindowTokenizer(bundle.path("tokenizer.json"), bundle.max_tokens)
    engine = OnnxEngine(bundle.default_onnx, threads)
    chunks = [
        [window for text in tokenizer.encode(texts[begin : begin + _WINDOW]) for window in text]
        for begin in range(0, len(texts), _WINDOW)
    ]
    engine.run(chunks[0][:_BATCH])
    return _timed(lambda: [engine.run(chunk) for chunk in chunks], len(texts))


def _classifier(bundle: Bundle, texts: Sequence[str], threads: int) -> Rate:
    classifier = Classifier(bundle, threads)
    classifier.predict(texts[:_BATCH])
    chunks = [texts[begin : begin + _WINDOW] for begin in range(0, len(texts), _WINDOW)]
    return _timed(lambda: [classifier.predict_each(chunk) for chunk in chunks], len(texts))


def _label(folder: Path, bundle: Bundle, texts: Sequence[str], threads: int, suffix: str) -> Rate:
    source, output, summary = folder / "texts.csv", folder / f"labelled.{suffix}", folder / "summary.json"
    with source.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "text"])
        writer.writerows(enumerate(texts))
    command = [sys.executable, "-m", "fankui", "label", str(source), "-o", str(output), "--summary", str(summary)]
    options = ["--bundle", str(bundle.folder), "--threads", str(threads), "--quiet", "--restart"]
    before = _children_s()
    subprocess.run([*command, *options], check=True, stdout=subprocess.DEVNULL, env={**os.environ, "PYTHONUTF8": "1"})
    counts = json.loads(summary.read_text("utf-8"))
    assert counts["labelled"] == len(texts) and counts["duplicates"] == 0, counts
    return Rate(float(counts["rows_per_second"]), (_children_s() - before) / len(texts) * 1e3)


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _naive(bundle: Bundle, texts: Sequence[str], threads: int) -> Rate:
    classifier = Classifier(bundle, threads)
    classifier.predict(texts[:4])
    return _timed(lambda: [classifier.predict([text]) for text in texts], len(texts))


def _session(bundle: Bundle, threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(str(bundle.default_onnx), options, providers=["CPUExecutionProvider"])


def _datasets(bundle: Bundle, texts: Sequence[str], threads: int) -> Rate:
    import datasets
    from transformers import AutoTokenizer

    datasets.disable_progress_bars()
    tokenizer = AutoTokenizer.from_pretrained(bundle.folder)
    session = _session(bundle, threads)
    names = {tensor.name for tensor in session.get_inputs()}

    def scores(rows: dict[str, list[str]]) -> dict[str, Any]:
        encoded = tokenizer(rows["text"], padding=True, truncation=True, return_tensors="np")
        wanted = {name: value.astype(np.int64) for name, value in encoded.items() if name in names}
        return {"scores": 1 / (1 + np.exp(-session.run(["logits"], wanted)[0]))}

    table = datasets.Dataset.from_dict({"text": list(texts)})
    return _timed(lambda: table.map(scores, batched=True, batch_size=_BATCH), len(texts))


def _pipeline(bundle: Bundle, texts: Sequence[str], threads: int) -> Rate:
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer, pipeline

    if threads:
        torch.set_num_threads(threads)
    # a shipped bundle has no torch weights; random ones of the same shape are as fast
    kept = (bundle.folder / "model.safetensors").is_file()
    model = (
        AutoModelForSequenceClassification.from_pretrained(bundle.folder)
        if kept
        else AutoModelForSequenceClassification.from_config(AutoConfig.from_pretrained(bundle.folder))
    )
    tokenizer = AutoTokenizer.from_pretrained(bundle.folder)
    classify = pipeline("text-classification", model=model.eval(), tokenizer=tokenizer, device="cpu", top_k=None)
    classify(list(texts[:4]), batch_size=4)
    return _timed(lambda: classify(list(texts), batch_size=_BATCH, truncation=True), len(texts))
