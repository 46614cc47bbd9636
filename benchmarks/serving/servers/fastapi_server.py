"""FastAPI: a plain endpoint; FastAPI runs it in its thread pool. Nothing is batched."""

from __future__ import annotations

import threading
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

from benchmarks.serving.servers.work import make_work


class Texts(BaseModel):
    """The body of a request."""

    texts: list[str]


app = FastAPI()
work = make_work()
lock = threading.Lock()  # the tokenizer of a pipeline may not be used by two threads at once


@app.post("/classify")
def classify(request: Texts) -> dict[str, Any]:
    """Classify the texts of one request."""
    with lock:
        return {"results": work(request.texts)}
