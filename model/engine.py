"""The inference engine: piece ids in, logits out, on onnxruntime."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import onnxruntime

from model.errors import BundleError, EngineError

TOKENS_PER_RUN: Final = 512
"""Padded pieces in one run of the session at most: about as many as keep its tensors in a core's cache."""

_RUN_COST: Final = 16
"""What starting a run costs, in padded pieces."""


def runs_of(lengths: Sequence[int], budget: int = TOKENS_PER_RUN, run_cost: int = _RUN_COST) -> list[list[int]]:
    """Divide windows into runs so that padding and the number of runs together cost least.

    Args:
        lengths: pieces of each window.
        budget: padded pieces in one run at most; a longer window runs alone.
        run_cost: what a run costs beyond its padded pieces, in pieces.

    Returns:
        Positions of the windows of each run, from the shortest windows to the longest.
    """
    order = sorted(range(len(lengths)), key=lambda position: lengths[position])
    least, begins = [0], [0]  # of the first windows: what they cost at least, and where their last run begins
    for end in range(1, len(order) + 1):
        longest = lengths[order[end - 1]]
        first = max(0, end - max(1, budget // max(1, longest)))
        begin = min(range(first, end), key=lambda at: least[at] + (end - at) * longest)
        least.append(least[begin] + (end - begin) * longest + run_cost)
        begins.append(begin)
    runs: list[list[int]] = []
    end = len(order)
    while end:
        runs.append(order[begins[end] : end])
        end = begins[end]
    return runs[::-1]


def padded(windows: Sequence[Sequence[int]]) -> dict[str, npt.NDArray[np.int64]]:
    """Every input a BERT-like graph may ask for, by name: (n_windows, longest) int64 each, padded with zeros."""
    ids = np.zeros((len(windows), max(len(window) for window in windows)), dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, window in enumerate(windows):
        ids[row, : len(window)] = window
        mask[row, : len(window)] = 1
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}


class OnnxEngine:
    """Runs a bundle's ONNX file.

    Args:
        path: the ONNX file; its input names are read from it.
        threads: threads inside one run; 0 lets onnxruntime decide.

    Raises:
        BundleError: the file is not a model onnxruntime can run.
    """

    def __init__(self, path: Path, threads: int = 0) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises classes of its C++ module
            raise BundleError(f"{path} is not a model that onnxruntime can run: {error}") from error
        self._inputs = [tensor.name for tensor in self._session.get_inputs()]

    def run(self, windows: Sequence[Sequence[int]]) -> npt.NDArray[np.float32]:
        """Logits of windows, in the order given.

        Windows of like length are run together, so that little is padded; what is said of a window does not depend
        on the others.

        Args:
            windows: piece ids.

        Returns:
            (n_windows, n_logits) float32.

        Raises:
            EngineError: onnxruntime failed.
        """
        runs = runs_of([len(window) for window in windows])
        parts = [self._run_padded([windows[position] for position in run]) for run in runs]
        if len(parts) == 1 and runs[0] == list(range(len(windows))):
            return parts[0]
        logits = np.concatenate(parts)
        result = np.empty_like(logits)
        result[[position for run in runs for position in run]] = logits
        return result

    def _run_padded(self, windows: Sequence[Sequence[int]]) -> npt.NDArray[np.float32]:
        known = padded(windows)
        try:
            (logits,) = self._session.run(["logits"], {name: known[name] for name in self._inputs})
        except Exception as error:
            length = known["input_ids"].shape[1]
            raise EngineError(f"inference failed on {len(windows)} windows of {length} pieces: {error}") from error
        return np.asarray(logits, dtype=np.float32)
