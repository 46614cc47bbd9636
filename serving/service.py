"""What the routes share: a classifier behind a batcher, and whether it is ready."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from starlette.types import Receive

from data.errors import TextError
from data.feedback import checked_text
from model.classifier import Classifier
from model.decision import Prediction
from model.errors import BundleError, EngineError
from serving.batching import BatchLimits, Job, MicroBatcher
from serving.errors import Abandoned, DeadlineExceeded
from serving.metrics import Metrics
from serving.runner import Outcome
from serving.schema import EXAMPLE_TEXT, result_of
from serving.settings import ServiceSettings

_log = logging.getLogger("fankui.service")


class Service:
    """One classifier, answering.

    Args:
        settings: see there.
        classifier: an opened bundle; it can be replaced while the service runs.

    Attributes:
        settings: as given.
        classifier: the one that new requests get.
        metrics: what is counted.
        draining: True once the service is to stop; requests are still answered.
        in_flight: HTTP requests begun and not ended.
        example: what the loaded bundle says of the example in the API's documentation.
    """

    def __init__(self, settings: ServiceSettings, classifier: Classifier) -> None:
        self.settings, self.classifier = settings, classifier
        self.metrics = Metrics()
        limits = BatchLimits(
            settings.batch_tokens,
            settings.max_wait_ms / 1000,
            settings.queue_texts,
            settings.queue_tokens,
            settings.stuck_after_s,
        )
        self.batcher = MicroBatcher(limits, self.metrics, settings.engine_runners)
        self.metrics.watch_queue(lambda: self.batcher.waiting)
        self.draining = False
        self.in_flight = 0
        self.example: dict[str, Any] | None = None
        self._reloading = asyncio.Lock()

    async def start(self) -> None:
        """Start the engine and make it answer once, through the path that requests take.

        Raises:
            EngineError: the engine cannot classify the example.
        """
        self.batcher.start()
        job = self.batcher.submit(self.classifier, [EXAMPLE_TEXT], 60, 60)
        self.example = _example(await job.future)
        self.metrics.model_loaded(self.classifier.model_version)

    def stop(self) -> None:
        """Stop the engine."""
        self.batcher.close()

    @property
    def not_ready(self) -> str | None:
        """Why requests should go elsewhere, or None."""
        if self.draining:
            return "the service is stopping"
        if self.example is None:
            return "the model has not answered its first text yet"
        return self.batcher.trouble

    async def classify(
        self, texts: Sequence[str | None], receive: Receive, timeout_s: float, deadline: float
    ) -> tuple[Classifier, list[Outcome]]:
        """Classify the texts of one request.

        Args:
            texts: as they came; None counts as blank.
            receive: the request's channel, to notice that the client has left.
            timeout_s: the request's whole time.
            deadline: when it is over, by the event loop's clock.

        Returns:
            The classifier that answered, and a prediction or an error for each text, in order.

        Raises:
            Overloaded: the queue is full.
            DeadlineExceeded: the time is over.
            Unavailable: the engine is out of order.
            Abandoned: the client has left.
        """
        classifier = self.classifier
        outcomes: list[Outcome | None] = [None] * len(texts)
        good: list[tuple[int, str]] = []
        for position, text in enumerate(texts):
            try:
                good.append((position, checked_text(text or "")))
            except TextError as error:
                outcomes[position] = error
        if good:
            time_left_s = deadline - asyncio.get_running_loop().time()
            if time_left_s <= 0:
                raise DeadlineExceeded(timeout_s)
            job = self.batcher.submit(classifier, [text for _, text in good], timeout_s, time_left_s)
            for (position, _), outcome in zip(good, await self._wait(job, receive), strict=True):
                outcomes[position] = outcome
        whole = [outcome for outcome in outcomes if outcome is not None]
        self.metrics.texts_answered(classifier.taxonomy, whole)
        return classifier, whole

    async def _wait(self, job: Job, receive: Receive) -> list[Outcome]:
        """Wait for a job, but not for longer than its client does."""
        try:
            if job.queued and await _left_first(job.future, receive):
                raise Abandoned("the client closed the connection")
            return await job.future
        finally:
            if not job.future.done():
                self.batcher.abandon(job)

    async def reload(self) -> tuple[str, str]:
        """Open the bundle's folder again and answer new requests from it; those begun keep the old one.

        Returns:
            The version that was loaded and the one that is loaded now.

        Raises:
            BundleError: the bundle is broken; the old one goes on answering.
        """
        async with self._reloading:
            old = self.classifier
            new, example = await asyncio.to_thread(_open_and_try, self.settings)
            self.classifier, self.example = new, example
            self.metrics.model_loaded(new.model_version)
            _log.info(
                "bundle reloaded", extra={"model_version": new.model_version, "previous_version": old.model_version}
            )
            return old.model_version, new.model_version


def _open_and_try(settings: ServiceSettings) -> tuple[Classifier, dict[str, Any]]:
    classifier = Classifier.load(settings.bundle, settings.engine_threads)
    try:
        return classifier, _example(classifier.predict_each([EXAMPLE_TEXT]))
    except Exception as error:
        raise BundleError(f"the bundle opens but cannot classify: {error}") from error


def _example(outcomes: Sequence[Outcome | TextError]) -> dict[str, Any]:
    if isinstance(outcomes[0], Prediction):
        return result_of(outcomes[0], "T1")
    raise outcomes[0] if isinstance(outcomes[0], EngineError) else EngineError("the example was not classified")


async def _left_first(future: asyncio.Future[list[Outcome]], receive: Receive) -> bool:
    """Wait for the answer or for the client to leave; whether it left."""
    watcher = asyncio.ensure_future(_disconnected(receive))
    both: set[asyncio.Future[Any]] = {future, watcher}
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        return not future.done()
    finally:
        watcher.cancel()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
