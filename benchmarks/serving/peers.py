"""The servers that are measured: what each needs, how it is started and how it is asked."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

ROOT: Final = Path(__file__).resolve().parents[2]
Work = Literal["shipped", "engine"]

_PIPELINE: Final = ("torch", "transformers>=5,<6")
_ENGINE: Final = ("numpy", "onnxruntime", "opencc", "tokenizers")


@dataclass(frozen=True)
class Setting:
    """What a server is started with.

    Attributes:
        python: the interpreter of its environment.
        bundle: folder of weights, tokenizer and ONNX.
        port: where it listens.
        threads: for its model.
        work: as shipped, or around fankui's engine.
    """

    python: Path
    bundle: Path
    port: int
    threads: int
    work: Work

    def environment(self) -> dict[str, str]:
        """Variables that the servers here read."""
        return {
            "BENCH_WORK": "engine" if self.work == "engine" else "pipeline",
            "BENCH_BUNDLE": str(self.bundle),
            "BENCH_THREADS": str(self.threads),
            "OMP_NUM_THREADS": str(self.threads),
            "TOKENIZERS_PARALLELISM": "false",
            "HF_HUB_OFFLINE": "1",
            "DO_NOT_TRACK": "1",
            "BENTOML_DO_NOT_TRACK": "True",
            "PYTHONPATH": str(ROOT),
        }


@dataclass(frozen=True)
class Peer:
    """A server.

    Attributes:
        name: as in the tables.
        path: of its endpoint.
        requirements: for pip; none for fankui, which runs in the environment of the benchmark.
        command: how it is started.
        body: a request of several texts.
        works: the tables it is in.
        how: what is measured, in a few words.
    """

    name: str
    path: str
    requirements: tuple[str, ...]
    command: Callable[[Setting], Sequence[str]]
    body: Callable[[Sequence[str]], object] = field(default=lambda texts: {"texts": list(texts)})
    works: tuple[Work, ...] = ("shipped", "engine")
    how: str = ""

    def encoded(self, texts: Sequence[str]) -> bytes:
        """The bytes of a request's body."""
        return json.dumps(self.body(texts), ensure_ascii=False).encode()


def _tool(setting: Setting, name: str) -> str:
    return str(setting.python.parent / name)


def _fankui_body(texts: Sequence[str]) -> object:
    return {"text": texts[0]} if len(texts) == 1 else {"items": [{"text": text} for text in texts]}


def _server(name: str) -> str:
    return str(ROOT / "benchmarks" / "serving" / "servers" / f"{name}_server.py")


PEERS: Final = (
    Peer(
        "fankui", "/v1/classify", (),
        lambda s: [
            sys.executable, "-m", "fankui", "serve", "--port", str(s.port), "--bundle", str(s.bundle),
            "--runners", str(s.threads), "--threads", "1",
        ],
        _fankui_body, how="its own service",
    ),
    Peer(
        "infinity-emb", "/classify", ("infinity-emb[torch,server]==0.0.78",),
        lambda s: [
            _tool(s, "infinity_emb"), "v2", "--model-id", str(s.bundle), "--served-model-name", "bench",
            "--engine", "torch", "--device", "cpu", "--dtype", "float32", "--host", "127.0.0.1", "--port", str(s.port),
        ],
        lambda texts: {"model": "bench", "input": list(texts)}, ("shipped",), "its /classify endpoint, torch engine",
    ),
    Peer(
        "LitServe", "/predict", ("litserve==0.2.19", *_PIPELINE, *_ENGINE),
        lambda s: [str(s.python), _server("litserve"), str(s.port)], how="batched LitAPI",
    ),
    Peer(
        "mosec", "/inference", ("mosec==0.9.8", *_PIPELINE, *_ENGINE),
        lambda s: [str(s.python), _server("mosec"), "--port", str(s.port), "--address", "127.0.0.1"],
        how="batched worker",
    ),
    Peer(
        "BentoML", "/classify", ("bentoml==1.4.40", *_PIPELINE, *_ENGINE),
        lambda s: [
            _tool(s, "bentoml"), "serve", "benchmarks.serving.servers.bentoml_server:Classify",
            "--host", "127.0.0.1", "--port", str(s.port), "--working-dir", str(ROOT),
        ],
        how="batchable API",
    ),
    Peer(
        "FastAPI", "/classify", ("fastapi", "uvicorn[standard]", *_PIPELINE, *_ENGINE),
        lambda s: [
            str(s.python), "-m", "uvicorn", "benchmarks.serving.servers.fastapi_server:app",
            "--host", "127.0.0.1", "--port", str(s.port), "--log-level", "warning",
        ],
        how="plain endpoint",
    ),
)  # fmt: skip
"""Each project's own documented example; a framework is put around the transformers pipeline, or around our engine."""
