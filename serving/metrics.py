"""What the service counts, for Prometheus.

Conservation: ``fankui_requests_started_total`` is the sum of ``fankui_requests_total`` over its outcomes plus
``fankui_requests_in_flight``. No feedback text is ever a label.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from data.errors import TextError
from data.taxonomy import Taxonomy
from model.decision import Prediction
from serving.runner import Outcome

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_SIZES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_TOKENS: Final = (16, 64, 128, 256, 512, 1024, 2048, 4096, 8192)


class Metrics:
    """Counters of one service, in a registry of their own."""

    def __init__(self) -> None:
        # A time stamp beside every counter would double the page.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        own = self.registry
        self._started = Counter("fankui_requests_started", "Requests begun", registry=own)
        self._requests = Counter("fankui_requests", "Requests ended, by outcome", ["route", "outcome"], registry=own)
        self._in_flight = Gauge("fankui_requests_in_flight", "Requests begun and not ended", registry=own)
        self._latency = Histogram(
            "fankui_request_seconds", "Time of a request", ["route"], buckets=_SECONDS, registry=own
        )
        self._texts = Counter("fankui_texts", "Texts, by outcome", ["outcome"], registry=own)
        self._waiting = Gauge("fankui_queue_texts", "Texts waiting for the engine", registry=own)
        self._wait = Histogram("fankui_queue_wait_seconds", "Time a text waited", buckets=_SECONDS, registry=own)
        self._batch_texts = Histogram("fankui_batch_texts", "Texts of a batch", buckets=_SIZES, registry=own)
        self._batch_tokens = Histogram(
            "fankui_batch_tokens", "Estimated pieces of a batch", buckets=_TOKENS, registry=own
        )
        self._inference = Histogram("fankui_inference_seconds", "Time of a batch", buckets=_SECONDS, registry=own)
        self._predictions = Counter("fankui_predictions", "Labels given", ["head", "label"], registry=own)
        self._reviews = Counter("fankui_reviews", "Texts that a person should look at", registry=own)
        self._model = Gauge("fankui_model_info", "The loaded bundle", ["model_version"], registry=own)

    def watch_queue(self, length: Callable[[], int]) -> None:
        """Read the queue's length whenever the metrics are asked for."""
        self._waiting.set_function(length)

    def model_loaded(self, version: str) -> None:
        """Name the bundle that answers."""
        self._model.clear()
        self._model.labels(version).set(1)

    def request_started(self) -> None:
        """A request has begun."""
        self._started.inc()
        self._in_flight.inc()

    def request_ended(self, route: str, outcome: str, seconds: float) -> None:
        """A request has ended; once for every `request_started`."""
        self._in_flight.dec()
        self._requests.labels(route, outcome).inc()
        self._latency.labels(route).observe(seconds)

    def batch_done(self, size: int, tokens: int, seconds: float) -> None:
        """A batch came back from the engine."""
        self._batch_texts.observe(size)
        self._batch_tokens.observe(tokens)
        self._inference.observe(seconds)

    def text_waited(self, seconds: float) -> None:
        """A text left the queue for the engine."""
        self._wait.observe(seconds)

    def texts_answered(self, taxonomy: Taxonomy, outcomes: Sequence[Outcome]) -> None:
        """Texts were answered: count what was said of them."""
        for outcome in outcomes:
            if not isinstance(outcome, Prediction):
                self._texts.labels(outcome.code if isinstance(outcome, TextError) else "engine_error").inc()
                continue
            self._texts.labels("ok").inc()
            if outcome.needs_review:
                self._reviews.inc()
            for head in taxonomy.heads:
                value = outcome.labels[head.name]
                if isinstance(value, list):
                    names = value or [head.empty_set or "none"]
                else:
                    names = [str(value).lower()] if isinstance(value, bool) else [value]
                for name in names:
                    self._predictions.labels(head.name, name).inc()

    def page(self) -> bytes:
        """All of it, in Prometheus' text format."""
        return generate_latest(self.registry)
