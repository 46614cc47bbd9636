"""The classifier: a bundle that answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from data.errors import TextError
from data.feedback import checked_text
from data.taxonomy import Taxonomy
from model.bundle import Bundle, open_bundle
from model.decision import Decider, Prediction
from model.engine import OnnxEngine
from model.tokenizer import WindowTokenizer


class Classifier:
    """Classifies texts with one bundle.

    ``Classifier.load()`` opens the shipped bundle. One instance may be used from several threads.

    Args:
        bundle: an opened bundle.
        threads: threads inside one inference run; 0 lets onnxruntime decide.

    Attributes:
        bundle: the bundle it answers from.
        decider: turns calibrated probabilities into predictions.
    """

    def __init__(self, bundle: Bundle, threads: int = 0) -> None:
        self.bundle = bundle
        self._tokenizer = WindowTokenizer(bundle.path("tokenizer.json"), bundle.max_tokens)
        self._engine = OnnxEngine(bundle.default_onnx, threads)
        self.decider = Decider(bundle.taxonomy, bundle.decisions, bundle.model_version)

    @classmethod
    def load(cls, folder: str | Path | None = None, threads: int = 0) -> Classifier:
        """Open a bundle and make it answer.

        Args:
            folder: a bundle; the shipped one by default.
            threads: see the class.

        Raises:
            BundleError: the bundle is missing, changed or malformed.
        """
        return cls(open_bundle(Path(folder) if folder is not None else None), threads)

    @property
    def taxonomy(self) -> Taxonomy:
        """The heads it answers."""
        return self.bundle.taxonomy

    @property
    def model_version(self) -> str:
        """Version of the bundle."""
        return self.bundle.model_version

    def probabilities(self, texts: Sequence[str]) -> npt.NDArray[np.float64]:
        """Calibrated probabilities of texts that hold to the limits: (n_texts, n_logits) float64."""
        if not texts:
            return np.empty((0, len(self.taxonomy.logit_names)))
        encoded = self._tokenizer.encode(texts)
        windows = [window for one in encoded for window in one]
        owners = [number for number, one in enumerate(encoded) for _ in one]
        return self.decider.probabilities(self._engine.run(windows), owners, len(texts))

    def predict_each(self, texts: Sequence[str]) -> list[Prediction | TextError]:
        """Classify texts; one that cannot be classified gives its error in its place.

        Args:
            texts: raw texts in any order and of any length.

        Returns:
            One `Prediction` or `data.errors.TextError` a text, in order.
        """
        results: list[Prediction | TextError | None] = [None] * len(texts)
        good: list[tuple[int, str]] = []
        for number, text in enumerate(texts):
            try:
                good.append((number, checked_text(text)))
            except TextError as error:
                results[number] = error
        predictions = self.decider.decide(self.probabilities([text for _, text in good])) if good else []
        for (number, _), prediction in zip(good, predictions, strict=True):
            results[number] = prediction
        return [result for result in results if result is not None]

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """Classify texts that all hold to the limits.

        Args:
            texts: a sequence of texts; not a lone string.

        Raises:
            TextError: a text is blank or too long; `predict_each` lets the others pass.
            TypeError: a lone string was given.
        """
        if isinstance(texts, str):
            raise TypeError("predict takes a list of texts; for one text write predict([text])")
        results: list[Prediction] = []
        for result in self.predict_each(texts):
            if isinstance(result, TextError):
                raise result
            results.append(result)
        return results
