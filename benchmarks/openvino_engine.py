"""Would OpenVINO serve a bundle faster? onnxruntime on the int8 graph beside OpenVINO on the float32 graph.

    pip install openvino
    python -m benchmarks.openvino_engine BUNDLE [--texts 2000]

BUNDLE is a folder from ``fankui train``, which holds both graphs; OpenVINO does not read the int8 one (com.microsoft
operators). One thread each. Prints the median time of one text, the rate over all texts in the same runs, and the share
of texts with another topic or urgency than the int8 graph says.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import openvino

from benchmarks.engine import corpus_texts
from model.bundle import open_bundle
from model.decision import Decider
from model.engine import OnnxEngine, padded, runs_of
from model.tokenizer import WindowTokenizer

Run = Callable[[Sequence[Sequence[int]]], npt.NDArray[np.float32]]


def openvino_run(path: Path, precision: str) -> Run:
    """The float32 graph compiled for one thread, computing in ``f32`` or ``bf16``."""
    hints = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": precision}
    compiled = openvino.Core().compile_model(str(path), "CPU", hints)
    request = compiled.create_infer_request()
    names = [port.any_name for port in compiled.inputs]

    def run(windows: Sequence[Sequence[int]]) -> npt.NDArray[np.float32]:
        known = padded(windows)
        return np.array(request.infer({name: known[name] for name in names})[0], dtype=np.float32)

    return run


def main() -> None:
    """Print a row an engine."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--texts", type=int, default=2000)
    args = parser.parse_args()
    bundle = open_bundle(args.bundle)
    texts = corpus_texts(args.texts)
    windows = [one[0] for one in WindowTokenizer(bundle.path("tokenizer.json"), bundle.max_tokens).encode(texts)]
    runs = runs_of([len(window) for window in windows])
    decider = Decider(bundle.taxonomy, bundle.decisions, bundle.model_version)
    folder = args.bundle / "onnx"
    engines: dict[str, Run] = {
        "onnxruntime, int8 graph": OnnxEngine(folder / "model_int8.onnx", 1).run,
        "onnxruntime, float32 graph": OnnxEngine(folder / "model.onnx", 1).run,
        "OpenVINO, float32 graph in float32": openvino_run(folder / "model.onnx", "f32"),
        "OpenVINO, float32 graph in bfloat16": openvino_run(folder / "model.onnx", "bf16"),
    }
    print(f"openvino {openvino.__version__}, {len(windows)} texts, bundle {bundle.model_version}\n")
    print("| engine | one text, median | texts/s | other topics or urgency |\n|---|---|---|---|")
    held = [n for head in ("topics", "urgency") for n in np.r_[bundle.taxonomy.slices[head]]]
    first: npt.NDArray[np.int64] | None = None
    for name, run in engines.items():
        for each in (windows[:64], *([windows[i] for i in numbers] for numbers in runs[:: max(1, len(runs) // 20)])):
            run(each)
        seconds = []
        for window in windows[:300]:
            begin = time.perf_counter()
            run([window])
            seconds.append(time.perf_counter() - begin)
        logits = np.empty((len(windows), len(bundle.taxonomy.logit_names)), dtype=np.float32)
        begin = time.perf_counter()
        for numbers in runs:
            logits[numbers] = run([windows[number] for number in numbers])
        rate = len(windows) / (time.perf_counter() - begin)
        said = decider.choose_all(decider.probabilities(logits, range(len(windows)), len(windows)))[:, held]
        first = said if first is None else first
        other = float((said != first).any(axis=1).mean())
        print(f"| {name} | {statistics.median(seconds) * 1e3:.2f} ms | {rate:.0f} | {other:.2%} |", flush=True)


if __name__ == "__main__":
    main()
