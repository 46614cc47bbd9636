# mypy: ignore-errors
# Its library is installed in an environment of its own only.
"""LitServe: its documented way of batching, ``max_batch_size`` and ``batch_timeout``."""

from __future__ import annotations

import sys
from typing import Any

import litserve

from benchmarks.serving.servers.work import MOST_TEXTS, make_work


class Api(litserve.LitAPI):
    """Requests of several texts, batched across requests."""

    def setup(self, device: str) -> None:
        """Load the model."""
        self.work = make_work()

    # LitServe makes the endpoint's parameter from the annotation, so there is none.
    def decode_request(self, request) -> list[str]:  # noqa: ANN001
        """The texts of a request."""
        return list(request["texts"])

    def batch(self, inputs: list[list[str]]) -> list[list[str]]:
        """Requests as they are: their texts are joined in `predict`."""
        return inputs

    def predict(self, requests: list[list[str]]) -> list[list[Any]]:
        """Classify the texts of all requests together."""
        results = iter(self.work([text for texts in requests for text in texts]))
        return [[next(results) for _ in texts] for texts in requests]

    def unbatch(self, output: list[list[Any]]) -> list[list[Any]]:
        """The results of each request."""
        return output

    def encode_response(self, output: list[Any]) -> dict[str, Any]:
        """The answer to a request."""
        return {"results": output}


if __name__ == "__main__":
    server = litserve.LitServer(Api(max_batch_size=MOST_TEXTS, batch_timeout=0.005), accelerator="cpu")
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="warning")
