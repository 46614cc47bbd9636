# mypy: ignore-errors
# Its library is installed in an environment of its own only.
"""BentoML: its documented way of batching, a ``batchable`` API."""

from __future__ import annotations

from typing import Any

import bentoml

from benchmarks.serving.servers.work import MOST_TEXTS, make_work


@bentoml.service(
    workers=1,
    traffic={"timeout": 60, "max_concurrency": 1024},
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
)
class Classify:
    """Texts, batched across requests."""

    def __init__(self) -> None:
        self.work = make_work()

    @bentoml.api(batchable=True, max_batch_size=MOST_TEXTS, max_latency_ms=60_000)
    def classify(self, texts: list[str]) -> list[Any]:
        """Classify the texts of several requests together."""
        return self.work(texts)
