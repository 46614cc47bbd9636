"""The inference engine: piece ids in, logits out, on onnxruntime."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import onnxruntime

from model.errors import BundleError, EngineError

TOKENS_PER_BATCH: Final = 4096
"""Padded pieces in one run of the session at most."""


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

        Windows of like length are run together, so that little is padded; the result of a window does not
        depend on its neighbours beyond float32 rounding.

        Args:
            windows: piece ids.

        Returns:
            (n_windows, n_logits) float32.

        Raises:
            EngineError: onnxruntime failed.
        """
        order = sorted(range(len(windows)), key=lambda number: len(windows[number]))
        parts: list[npt.NDArray[np.float32]] = []
        begin = 0
        while begin < len(order):
            end = begin + 1
            while end < len(order) and (end + 1 - begin) * len(windows[order[end]]) <= TOKENS_PER_BATCH:
                end += 1
            parts.append(self._run_padded([windows[number] for number in order[begin:end]]))
            begin = end
        logits = np.concatenate(parts)
        result = np.empty_like(logits)
        result[order] = logits
        return result

    def _run_padded(self, windows: Sequence[Sequence[int]]) -> npt.NDArray[np.float32]:
        length = max(len(window) for window in windows)
        ids = np.zeros((len(windows), length), dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, window in enumerate(windows):
            ids[row, : len(window)] = window
            mask[row, : len(window)] = 1
        known = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        try:
            (logits,) = self._session.run(["logits"], {name: known[name] for name in self._inputs})
        except Exception as error:
            raise EngineError(f"inference failed on {len(windows)} windows of {length} pieces: {error}") from error
        return np.asarray(logits, dtype=np.float32)
