"""What the service promises over many requests: whole counts, bounded waiting, flat memory. Each takes a while."""

from __future__ import annotations

import asyncio
import concurrent.futures
import json
import os
import random
import statistics
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from benchmarks.serving.http import Target
from benchmarks.serving.load import Load, Seen, apply

if TYPE_CHECKING:
    from tests.integration.conftest import RunningService, StartService

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

CLASSIFY = "/v1/classify"
REQUESTS = int(os.environ.get("MIXED_REQUESTS", "2000"))
SENTENCES = (
    "转账一直失败，钱扣了对方没收到。",
    "希望出个深色模式。",
    "登不上去，验证码收不到。",
    "昨晚有人刷了我三笔！",
    "挺好用的。",
)


@dataclass(frozen=True)
class Kind:
    """A request and what it gets when its client waits for it."""

    status: int
    outcome: str
    method: str = "POST"
    path: str = CLASSIFY
    content: bytes = b""
    media_type: str = "application/json"


def _json(body: Any) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode()


KINDS = (
    Kind(200, "ok", content=_json({"text": SENTENCES[0]})),
    Kind(200, "ok", content=_json({"items": [{"id": n, "text": text} for n, text in enumerate((*SENTENCES, " "))]})),
    Kind(
        200, "ok", content=_json({"items": [{"text": SENTENCES[n % 5] * (1 + n % 4)} for n in range(40)], "mask": True})
    ),
    Kind(200, "ok", path="/predict", content=_json({"inputs": list(SENTENCES)})),
    Kind(200, "ok", method="GET", path="/v1/model"),
    Kind(422, "blank_text", content=_json({"text": " "})),
    Kind(422, "text_too_long", content=_json({"text": "好" * 65_537})),
    Kind(422, "invalid_request", content=_json({"txt": "好"})),
    Kind(422, "too_many_items", content=_json({"items": [{"text": "好"}] * 257})),
    Kind(400, "malformed_json", content=b'{"text": "'),
    Kind(413, "body_too_large", content=b'{"text": "' + b"x" * 4_300_000),
    Kind(415, "not_json", content=b"text=1", media_type="application/x-www-form-urlencoded"),
    Kind(404, "not_found", path="/v2/classify", content=b"{}"),
    Kind(405, "method_not_allowed", method="GET"),
)


def _target(service: RunningService) -> Target:
    host, _, port = service.url.removeprefix("http://").partition(":")
    return Target(host, int(port), CLASSIFY)


def _total(page: str, name: str, label: str = "") -> float:
    """Sum of a metric's samples that carry the label."""
    lines = [line for line in page.splitlines() if line.startswith((f"{name} ", f"{name}{{")) and label in line]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


def _rss_mb(service: RunningService) -> float:
    lines = Path(f"/proc/{service.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def _until(condition: Any, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.05)


def test_thousands_of_mixed_requests_with_random_timeouts_are_all_accounted_for(start_service: StartService) -> None:
    chance = random.Random(11)
    sent = [(chance.choice(KINDS), chance.choice((0.002, 0.01, 0.05, None, None, None))) for _ in range(REQUESTS)]
    with start_service(
        "--request-timeout-s", "120", "--queue-texts", "100000", "--queue-tokens", "10000000"
    ) as service:

        def send(number: int) -> int | None:
            kind, timeout_s = sent[number]
            try:
                return service.http.request(
                    kind.method,
                    kind.path,
                    content=kind.content,
                    headers={"content-type": kind.media_type},
                    timeout=timeout_s or 120,
                ).status_code
            except httpx.TransportError:
                assert timeout_s is not None or kind.status == 413, "a patient client got no answer"
                return None

        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            statuses = list(pool.map(send, range(len(sent))))
        for (kind, _), status in zip(sent, statuses, strict=True):
            assert status in (kind.status, None)
        assert statuses.count(None) >= 100, "hardly a client was impatient"

        _until(lambda: service.counted("fankui_requests_in_flight") == 1)  # only the one that asks
        page = service.http.get("/metrics").text
        ended, in_flight = _total(page, "fankui_requests_total"), _total(page, "fankui_requests_in_flight")
        assert _total(page, "fankui_requests_started_total") == ended + in_flight
        answered = Counter(kind.outcome for (kind, _), status in zip(sent, statuses, strict=True) if status)
        asked = Counter(kind.outcome for kind, _ in sent)
        counted = {outcome: _total(page, "fankui_requests_total", f'outcome="{outcome}"') for outcome in asked}
        counted["ok"] -= _total(page, "fankui_requests_total", 'route="/metrics"')
        for outcome in asked:
            assert answered[outcome] <= counted[outcome] <= asked[outcome], outcome
        left = _total(page, "fankui_requests_total", 'outcome="abandoned"')
        left += _total(page, "fankui_requests_total", 'outcome="cancelled"')
        assert left >= 1
        assert sum(answered.values()) <= sum(counted.values()) + left <= len(sent)
        assert _total(page, "fankui_queue_texts") == 0

        assert service.classify({"text": SENTENCES[0]}).status_code == 200
        assert service.http.get("/readyz").status_code == 200
        assert service.stop() == 0


def test_at_five_times_its_capacity_those_let_in_wait_a_bounded_time_and_memory_stays_flat(
    start_service: StartService,
) -> None:
    chance = random.Random(5)
    bodies = [
        _json({"items": [{"text": "".join(chance.choices(SENTENCES, k=3))} for _ in range(16)]}) for _ in range(50)
    ]
    queue_texts = 256
    with start_service("--queue-texts", str(queue_texts), "--log-level", "warning") as service:

        def apply_load(load: Load) -> Seen:
            return asyncio.run(apply(_target(service), bodies, load))

        apply_load(Load(16, 2, clients=4))
        capacity = apply_load(Load(16, 3, clients=4)).requests_per_s
        apply_load(Load(16, 2, rate=5 * capacity))
        before_mb = _rss_mb(service)
        over = apply_load(Load(16, 8, rate=5 * capacity))
        assert over.errors.keys() == {"429"}, over.errors
        assert over.errors["429"] > len(over.latencies_s)
        assert over.requests_per_s > 0.4 * capacity  # refusing is cheap enough to go on working
        # A full queue and the batch before it, at the rate that is left; twice that and the generator's own lag.
        full_queue_s = (queue_texts + 128) / (16 * over.requests_per_s)
        assert over.percentile_ms(99) / 1000 < 2 * full_queue_s + 0.5
        assert _rss_mb(service) - before_mb < 40
        assert service.counted("fankui_queue_texts") == 0
        assert service.classify({"text": SENTENCES[0]}).status_code == 200


LEAKY = """
import sys
import serving.app
from model.classifier import Classifier
from serving.serve_command import serve

class Leaky(Classifier):
    kept = []
    def predict_each(self, texts):
        self.kept.append(bytearray(b"x" * 40_000 * len(texts)))
        return super().predict_each(texts)

serving.app.Classifier = Leaky
sys.exit(serve(sys.argv[1:]))
"""


def _kb_a_text(service: RunningService) -> float:
    """By how much the memory grows with every text of random length, once it has seen texts of all lengths."""
    chance = random.Random(9)
    passages = "".join(SENTENCES)

    def send(requests: int) -> None:
        for _ in range(requests):
            lengths = [int(chance.uniform(1, 30) ** 2) for _ in range(8)]
            items = [{"text": (passages * 25)[start : start + length]} for start, length in enumerate(lengths)]
            assert service.classify({"items": items}).status_code == 200

    send(150)
    texts, rss = [], []
    for part in range(12):
        send(25)
        texts.append(part * 25 * 8)
        rss.append(_rss_mb(service) * 1024)
    return statistics.linear_regression(texts, rss).slope


def test_memory_does_not_grow_with_texts_of_random_lengths(start_service: StartService) -> None:
    with start_service("--log-level", "warning") as service:
        assert _kb_a_text(service) < 5


def test_a_planted_leak_would_be_seen(start_service: StartService) -> None:
    with start_service("--log-level", "warning", script=LEAKY) as service:
        assert _kb_a_text(service) > 20
