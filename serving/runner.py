"""The inference thread: the only place of the service where a classifier is called."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Final

from data.errors import TextError
from model.classifier import Classifier
from model.decision import Prediction
from model.errors import EngineError

Outcome = Prediction | TextError | EngineError
"""What became of one text."""

_END_TIMEOUT_S: Final = 1.0
_log = logging.getLogger("fankui.engine")


@dataclass(frozen=True)
class Batch:
    """Texts to classify in one run."""

    classifier: Classifier
    texts: Sequence[str]


def classify_apart(classifier: Classifier, texts: Sequence[str]) -> list[Outcome]:
    """Classify a batch so that a text the engine fails on does not harm the others.

    A batch that fails is halved and tried again, down to the text that is to blame.
    """
    try:
        return list(classifier.predict_each(texts))
    except Exception as error:
        if len(texts) > 1:
            middle = len(texts) // 2
            return [*classify_apart(classifier, texts[:middle]), *classify_apart(classifier, texts[middle:])]
        # An error's own words may quote the text: only its kind is logged.
        _log.error("inference failed on a text of %d characters: %s", len(texts[0]), type(error).__name__)
        return [EngineError(f"inference failed: {type(error).__name__}")]


class Runner:
    """A thread that classifies one batch after another.

    It is a daemon, so that a run that hangs cannot keep the process from exiting.
    """

    def __init__(self, number: int) -> None:
        self._inbox: SimpleQueue[Batch | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=f"fankui-engine-{number}", daemon=True)
        self._busy_since: float | None = None
        self._dead = False
        self._loop: asyncio.AbstractEventLoop
        self._came_back: Callable[[Runner, Sequence[Outcome], float], None]
        self._died: Callable[[Runner], None]

    def begin(
        self,
        loop: asyncio.AbstractEventLoop,
        came_back: Callable[[Runner, Sequence[Outcome], float], None],
        died: Callable[[Runner], None],
    ) -> None:
        """Start the thread; both callbacks are called on the loop."""
        self._loop, self._came_back, self._died = loop, came_back, died
        self._thread.start()

    def give(self, batch: Batch) -> None:
        """Hand over a batch; only to a runner that is idle."""
        self._busy_since = time.monotonic()
        self._inbox.put(batch)

    def end(self) -> None:
        """Let the thread finish its batch and stop."""
        self._inbox.put(None)
        if self._thread.is_alive():
            self._thread.join(_END_TIMEOUT_S)

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive() and not self._dead

    @property
    def busy_s(self) -> float:
        """For how long it has been at its present batch; 0 if it has none."""
        since = self._busy_since
        return 0.0 if since is None else time.monotonic() - since

    def _run(self) -> None:
        try:
            while (batch := self._inbox.get()) is not None:
                begin = time.perf_counter()
                outcomes = classify_apart(batch.classifier, batch.texts)
                self._busy_since = None
                self._tell(self._came_back, self, outcomes, time.perf_counter() - begin)
        except BaseException as error:
            _log.critical("the inference thread died: %s", type(error).__name__)
            self._dead = True
            self._tell(self._died, self)

    def _tell(self, callback: Callable[..., None], *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(callback, *arguments)
