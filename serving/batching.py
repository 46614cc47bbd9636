"""Micro-batching: texts of many requests share inference runs, and no request waits for an idle engine.

All bookkeeping happens on the event loop, so there are no locks; only `Runner` threads call the classifier. A
request is a `Job`, its texts are queued one by one, so that a large request does not hold up small ones.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, Protocol

from data.errors import TextError
from model.classifier import Classifier
from model.decision import Prediction
from model.errors import EngineError
from model.tokenizer import MAX_WINDOWS
from serving.errors import DeadlineExceeded, Overloaded, Unavailable
from serving.runner import Batch, Outcome, Runner

_LOOKAHEAD: Final = 512  # queued texts that a batch may be chosen from
_SPECIAL_TOKENS: Final = 2
_BROKEN_AFTER: Final = 3  # batches in a row in which nothing could be classified


class Watcher(Protocol):
    """Whoever counts what the batcher does."""

    def batch_done(self, size: int, tokens: int, seconds: float) -> None:
        """A batch came back from the engine."""

    def text_waited(self, seconds: float) -> None:
        """A text left the queue for the engine."""


@dataclass(frozen=True)
class BatchLimits:
    """How batches are formed and how much may wait.

    Attributes:
        batch_tokens: estimated pieces of one batch at most; one text alone may have more.
        max_wait_s: a text that has waited so long is taken before texts that would fit better.
        queue_texts: texts that may wait.
        queue_tokens: estimated pieces that may wait.
        stuck_after_s: a run that takes longer counts as hung.
    """

    batch_tokens: int = 2048
    max_wait_s: float = 0.05
    queue_texts: int = 2048
    queue_tokens: int = 262_144
    stuck_after_s: float = 30.0


@dataclass(eq=False, slots=True)
class Job:
    """The texts of one request.

    Attributes:
        classifier: the one that was loaded when the request came; all its texts get the same.
        outcomes: one a text, filled as they come.
        future: done when all are there, or with the error that ended the wait.
        queued: texts that no batch has taken yet.
    """

    classifier: Classifier
    outcomes: list[Outcome | None]
    future: asyncio.Future[list[Outcome]]
    queued: int = 0
    timer: asyncio.TimerHandle | None = None

    def finish(self) -> None:
        """Resolve the future if nothing is missing."""
        whole = [outcome for outcome in self.outcomes if outcome is not None]
        if len(whole) == len(self.outcomes) and not self.future.done():
            self.future.set_result(whole)
            if self.timer is not None:
                self.timer.cancel()


@dataclass(eq=False, slots=True)
class _Waiting:
    job: Job
    position: int
    text: str
    tokens: int
    since: float = field(default=0.0)


class MicroBatcher:
    """Feeds the engine.

    Args:
        limits: see there.
        watcher: told about every batch.
        runners: threads that call the classifier.
    """

    def __init__(self, limits: BatchLimits, watcher: Watcher, runners: int = 1) -> None:
        self.limits = limits
        self._watcher = watcher
        self._queue: deque[_Waiting] = deque()
        self._queued_tokens = 0
        self._runners = [Runner(number) for number in range(runners)]
        self._idle: list[Runner] = []
        self._in_flight: dict[Runner, list[_Waiting]] = {}
        self._failures_in_row = 0
        self._tokens_per_s = 10_000.0
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Start the threads; call it on the event loop that `submit` will be called on."""
        self._loop = asyncio.get_running_loop()
        for runner in self._runners:
            runner.begin(self._loop, self._came_back, self._died)
            self._idle.append(runner)

    def close(self) -> None:
        """Stop the threads; what still waits is refused."""
        self._refuse_all("the service is stopping")
        for runner in self._runners:
            runner.end()

    @property
    def waiting(self) -> int:
        """Texts in the queue."""
        return len(self._queue)

    @property
    def trouble(self) -> str | None:
        """Why texts are not being classified at the moment, or None."""
        if self._loop is None:
            return "the engine is not started"
        if not all(runner.alive for runner in self._runners):
            return "an inference thread has died; restart the service"
        if any(runner.busy_s > self.limits.stuck_after_s for runner in self._runners):
            return f"an inference run hangs for more than {self.limits.stuck_after_s:g} s"
        if self._failures_in_row >= _BROKEN_AFTER:
            return "the engine fails on every text"
        return None

    def submit(self, classifier: Classifier, texts: Sequence[str], timeout_s: float, time_left_s: float) -> Job:
        """Queue the texts of a request; each must hold to the limits of `data.feedback.checked_text`.

        Args:
            classifier: who is to classify them.
            texts: at least one.
            timeout_s: the request's whole time, for the message when it is over.
            time_left_s: after so long the future raises and the texts leave the queue.

        Raises:
            Overloaded: they do not fit into the queue.
            Unavailable: no inference thread is alive.
        """
        loop = self._loop
        if loop is None or not any(runner.alive for runner in self._runners):
            raise Unavailable(self.trouble or "the engine is not started")
        tokens = [estimated_tokens(text, classifier.bundle.max_tokens) for text in texts]
        self._admit(len(texts), sum(tokens))
        job = Job(classifier, [None] * len(texts), loop.create_future(), queued=len(texts))
        job.timer = loop.call_later(time_left_s, self._expire, job, timeout_s)
        now = loop.time()
        self._queue.extend(_Waiting(job, at, text, tokens[at], now) for at, text in enumerate(texts))
        self._queued_tokens += sum(tokens)
        self._dispatch()
        return job

    def abandon(self, job: Job) -> None:
        """Take a job's texts out of the queue; those already in the engine are computed and dropped."""
        if job.timer is not None:
            job.timer.cancel()
        job.future.cancel()
        if job.queued:
            self._remove([waiting for waiting in self._queue if waiting.job is job])

    def _admit(self, texts: int, tokens: int) -> None:
        """Refuse what does not fit; a request larger than the whole queue is let in when nothing waits."""
        over_texts = len(self._queue) + texts > self.limits.queue_texts
        over_tokens = self._queued_tokens + tokens > self.limits.queue_tokens
        if self._queue and (over_texts or over_tokens):
            raise Overloaded(f"{len(self._queue):,} texts are waiting already", self._retry_after_s())

    def _retry_after_s(self) -> int:
        return min(60, 1 + int(self._queued_tokens / self._tokens_per_s))

    def _expire(self, job: Job, timeout_s: float) -> None:
        if not job.future.done():
            job.future.set_exception(DeadlineExceeded(timeout_s))
        self.abandon(job)

    def _remove(self, gone: Sequence[_Waiting]) -> None:
        names = set(map(id, gone))
        self._queue = deque(waiting for waiting in self._queue if id(waiting) not in names)
        for waiting in gone:
            waiting.job.queued -= 1
            self._queued_tokens -= waiting.tokens

    def _dispatch(self) -> None:
        """Give every idle runner a batch, as long as something waits."""
        while self._queue and self._idle and self._loop is not None:
            chosen = self._choose(self._loop.time())
            self._remove(chosen)
            for waiting in chosen:
                self._watcher.text_waited(self._loop.time() - waiting.since)
            runner = self._idle.pop()
            self._in_flight[runner] = chosen
            runner.give(Batch(chosen[0].job.classifier, [waiting.text for waiting in chosen]))

    def _choose(self, now: float) -> list[_Waiting]:
        """The next batch: the oldest text, then those that wait too long, then those of like length."""
        oldest = self._queue[0]
        others = [w for w in islice(self._queue, 1, _LOOKAHEAD) if w.job.classifier is oldest.job.classifier]
        overdue = now - self.limits.max_wait_s
        others.sort(key=lambda w: -1 if w.since < overdue else abs(w.tokens - oldest.tokens))
        chosen, tokens = [oldest], oldest.tokens
        for waiting in others:
            if tokens + waiting.tokens > self.limits.batch_tokens:
                break
            chosen.append(waiting)
            tokens += waiting.tokens
        return chosen

    def _came_back(self, runner: Runner, outcomes: Sequence[Outcome], seconds: float) -> None:
        """A runner has finished its batch: give it the next one, then deliver."""
        batch = self._in_flight.pop(runner)
        self._idle.append(runner)
        self._dispatch()
        tokens = sum(waiting.tokens for waiting in batch)
        self._tokens_per_s += 0.1 * (tokens / max(seconds, 1e-6) - self._tokens_per_s)
        self._watcher.batch_done(len(batch), tokens, seconds)
        worked = any(isinstance(outcome, Prediction | TextError) for outcome in outcomes)
        self._failures_in_row = 0 if worked else self._failures_in_row + 1
        self._deliver(batch, outcomes)

    def _died(self, runner: Runner) -> None:
        batch = self._in_flight.pop(runner, [])
        self._deliver(batch, [EngineError("the inference thread died")] * len(batch))
        if not any(other.alive for other in self._runners):
            self._refuse_all("no inference thread is alive; restart the service")

    def _deliver(self, batch: Sequence[_Waiting], outcomes: Sequence[Outcome]) -> None:
        for waiting, outcome in zip(batch, outcomes, strict=True):
            waiting.job.outcomes[waiting.position] = outcome
        for job in {id(waiting.job): waiting.job for waiting in batch}.values():
            job.finish()

    def _refuse_all(self, why: str) -> None:
        for waiting in list(self._queue):
            if not waiting.job.future.done():
                waiting.job.future.set_exception(Unavailable(why))
        self._remove(list(self._queue))


def estimated_tokens(text: str, max_tokens: int) -> int:
    """Pieces a text will have, near enough for batching: Chinese has about one a character."""
    return min(len(text) + _SPECIAL_TOKENS, max_tokens * MAX_WINDOWS)
