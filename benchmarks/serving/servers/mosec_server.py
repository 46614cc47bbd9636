# mypy: ignore-errors
# Its library is installed in an environment of its own only.
"""mosec: its documented way of batching, ``max_batch_size`` and ``max_wait_time``."""

from __future__ import annotations

from typing import Any

from mosec import Server, Worker

from benchmarks.serving.servers.work import MOST_TEXTS, make_work


class Classify(Worker):
    """Requests of several texts, batched across requests."""

    def __init__(self) -> None:
        self.work = make_work()

    def forward(self, data: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Classify the texts of all requests together."""
        results = iter(self.work([text for request in data for text in request["texts"]]))
        return [{"results": [next(results) for _ in request["texts"]]} for request in data]


if __name__ == "__main__":
    server = Server()
    server.append_worker(Classify, num=1, max_batch_size=MOST_TEXTS, max_wait_time=5)
    server.run()
