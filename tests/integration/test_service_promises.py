"""What the service promises when things go wrong, each with a real server process."""

from __future__ import annotations

import concurrent.futures
import json
import random
import shutil
import signal
import socket
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from model.bundle import default_folder, version_of

if TYPE_CHECKING:
    from tests.integration.conftest import RunningService, StartService

CLASSIFY = "/v1/classify"

# The service with the shipped bundle, but the engine is slow on 慢, fails on 坏, its thread dies on 死, and it
# writes down every text it sees.
SABOTAGE = """
import os, sys, time
import serving.app
from model.classifier import Classifier
from serving.serve_command import serve

class Odd(Classifier):
    def predict_each(self, texts):
        with open(os.environ["SEEN"], "a", encoding="utf-8") as seen:
            seen.writelines(text + "\\n" for text in texts)
        whole = "".join(texts)
        time.sleep(float(os.environ.get("SLOW_S", "0.5")) * whole.count("慢"))
        if "坏" in whole:
            raise RuntimeError("engine words: " + whole)
        if "死" in whole:
            raise SystemExit
        return super().predict_each(texts)

serving.app.Classifier = Odd
sys.exit(serve(sys.argv[1:]))
"""


def _until(condition: Any, seconds: float = 15.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.02)


def _head(length: int) -> bytes:
    lines = [f"POST {CLASSIFY} HTTP/1.1", "Host: x", "Content-Type: application/json", f"Content-Length: {length}"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _many(count: int, work: Any, workers: int = 16) -> list[Any]:
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        return list(pool.map(work, range(count)))


def _send(url: str, body: Any, **options: Any) -> httpx.Response:
    return httpx.post(url + CLASSIFY, json=body, timeout=options.pop("timeout", 30), trust_env=False, **options)


def test_two_hundred_mixed_requests_at_once_each_get_their_own_answer_and_the_counts_add_up(
    start_service: StartService,
) -> None:
    kinds: list[tuple[Any, int]] = [
        ({"text": "转账一直失败，钱扣了对方没收到"}, 200),
        (
            {"items": [{"id": 1, "text": "希望出深色模式"}, {"id": 2, "text": " "}, {"id": 3, "text": "闪退" * 3000}]},
            200,
        ),
        ({"text": ""}, 422),
        ({"txt": "登不上去"}, 422),
        ({"items": [{"text": "好"}] * 300}, 422),
    ]
    with start_service() as service:
        alone = [service.classify(body) for body, _ in kinds]
        answers = _many(200, lambda number: (number % 5, service.http.post(CLASSIFY, json=kinds[number % 5][0])))
        for kind, answer in answers:
            assert answer.status_code == kinds[kind][1]
            if answer.status_code == 200:
                assert answer.json() == alone[kind].json()
        sent = 205 + 1  # and the request that reads the metrics, which has begun but not ended
        assert service.counted("fankui_requests_started_total") == sent
        assert service.counted("fankui_requests_total", route=CLASSIFY) == 205
        assert service.counted("fankui_requests_total", route=CLASSIFY, outcome="ok") == 82
        assert service.counted("fankui_requests_total", outcome="blank_text") == 41
        assert service.counted("fankui_texts_total", outcome="ok") == 41 + 82
        assert service.counted("fankui_texts_total", outcome="blank_text") == 82
        assert service.counted("fankui_batch_texts_sum") == 41 + 82 + 1  # and the warm-up
        assert service.counted("fankui_queue_texts") == 0
        urgencies = service.counted("fankui_predictions_total", head="urgency")
        assert urgencies == 41 + 82


def test_a_text_the_engine_fails_on_gives_an_error_in_its_place(start_service: StartService, tmp_path: Path) -> None:
    with start_service(script=SABOTAGE, SEEN=str(tmp_path / "seen")) as service:
        results = service.classify({"items": [{"text": "登不上去"}, {"text": "坏"}, {"text": "挺好用的"}]}).json()[
            "results"
        ]
        assert [result.get("error", {}).get("code") for result in results] == [None, "engine_error", None]
        lone = service.classify({"text": "坏"})
        assert (lone.status_code, lone.json()["code"]) == (500, "engine_error")
        assert service.http.get("/readyz").status_code == 200


def test_deadlines_and_abandoned_requests(start_service: StartService, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    with (
        start_service("--runners", "1", script=SABOTAGE, SEEN=str(seen), SLOW_S="1.5") as service,
        concurrent.futures.ThreadPoolExecutor(8) as pool,
    ):
        slow = pool.submit(_send, service.url, {"text": "慢"})
        _until(lambda: "慢" in seen.read_text("utf-8"))
        late = pool.submit(_send, service.url, {"text": "迟到的"}, headers={"x-request-timeout-ms": "200"})
        with pytest.raises(httpx.ReadTimeout):
            _send(service.url, {"items": [{"text": "离开的"}]}, timeout=0.3)
        answer = late.result()
        assert (answer.status_code, answer.json()["code"]) == (504, "deadline_exceeded")
        assert "0.2 s" in answer.json()["detail"]
        assert slow.result().status_code == 200
        assert service.classify({"text": "最后的"}).status_code == 200
        texts = seen.read_text("utf-8").splitlines()
        assert "最后的" in texts
        assert "迟到的" not in texts
        assert "离开的" not in texts
        assert service.counted("fankui_requests_total", outcome="abandoned") == 1
        assert service.counted("fankui_requests_total", outcome="deadline_exceeded") == 1
        bad = service.classify({"text": "好"}, headers={"x-request-timeout-ms": "soon"})
        assert (bad.status_code, bad.json()["code"]) == (422, "invalid_request")


def test_a_full_queue_is_429_with_retry_after_and_those_let_in_are_answered(
    start_service: StartService, tmp_path: Path
) -> None:
    with start_service(
        "--queue-texts", "4", "--batch-tokens", "8", script=SABOTAGE, SEEN=str(tmp_path / "seen"), SLOW_S="0.1"
    ) as service:
        answers = _many(40, lambda number: _send(service.url, {"text": f"慢{number}"}), 40)
        counts = Counter(answer.status_code for answer in answers)
        assert counts.keys() == {200, 429}
        assert counts[200] >= 5
        for answer in answers:
            if answer.status_code == 429:
                assert answer.json()["code"] == "overloaded"
                assert 1 <= int(answer.headers["retry-after"]) <= 60
        assert service.classify({"text": "好"}).status_code == 200


def test_too_many_requests_at_once_are_429(start_service: StartService, tmp_path: Path) -> None:
    with start_service("--max-in-flight", "3", script=SABOTAGE, SEEN=str(tmp_path / "seen")) as service:
        counts = Counter(answer.status_code for answer in _many(12, lambda _: _send(service.url, {"text": "慢"}), 12))
        assert counts[200] >= 3
        assert counts[429] >= 1
        assert counts[200] + counts[429] == 12


def test_a_body_that_does_not_arrive_is_408(start_service: StartService) -> None:
    with start_service("--request-timeout-s", "0.5") as service:
        host, _, port = service.url.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(_head(100) + b"{")
            answer = connection.makefile("rb").read()  # to the end: the connection is closed
        assert answer.startswith(b"HTTP/1.1 408")
        assert b'"slow_body"' in answer


@pytest.mark.parametrize(("runners", "after"), [("1", 503), ("2", 200)])
def test_the_death_of_an_inference_thread_makes_the_service_not_ready(
    start_service: StartService, tmp_path: Path, runners: str, after: int
) -> None:
    with start_service("--runners", runners, script=SABOTAGE, SEEN=str(tmp_path / "seen")) as service:
        assert service.http.get("/readyz").status_code == 200
        assert service.classify({"text": "死"}).status_code == 500
        ready = service.http.get("/readyz")
        assert ready.status_code == 503
        assert "inference thread has died" in ready.json()["detail"]
        assert service.classify({"text": "好"}).status_code == after  # what comes all the same, another thread answers
        assert service.http.get("/healthz").status_code == 200
        assert service.stop() == 0


def test_an_engine_that_hangs_makes_the_service_not_ready_and_does_not_keep_it_from_stopping(
    start_service: StartService, tmp_path: Path
) -> None:
    flags = ["--stuck-after-s", "0.3", "--request-timeout-s", "0.5", "--drain-timeout-s", "2"]
    with start_service(*flags, script=SABOTAGE, SEEN=str(tmp_path / "seen"), SLOW_S="600") as service:
        assert service.classify({"text": "慢"}).status_code == 504
        assert "hangs" in service.http.get("/readyz").json()["detail"]
        began = time.monotonic()
        service.stop()
        assert time.monotonic() - began < 10


def test_sigterm_under_load_first_says_not_ready_then_answers_all_it_accepted(
    start_service: StartService, tmp_path: Path
) -> None:
    seen = tmp_path / "seen"
    with start_service("--drain-delay-s", "2", script=SABOTAGE, SEEN=str(seen), SLOW_S="0.15") as service:
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            begun = [pool.submit(_send, service.url, {"text": f"慢{number}"}) for number in range(6)]
            _until(lambda: service.counted("fankui_requests_in_flight") >= 7)
            service.process.send_signal(signal.SIGTERM)
            _until(lambda: service.http.get("/readyz").status_code == 503)
            time.sleep(0.5)  # the port stays open for as long as the drain delay says
            during = service.classify({"text": "正在停止也要回答"})
            assert during.status_code == 200
            assert during.headers["connection"] == "close"
            assert [future.result().status_code for future in begun] == [200] * 6
        assert service.process.wait(15) == 0
        with pytest.raises(httpx.TransportError):
            _send(service.url, {"text": "好"})


def test_no_accepted_request_is_lost_while_stopping(start_service: StartService) -> None:
    with start_service("--drain-delay-s", "0.5") as service:
        host, _, port = service.url.removeprefix("http://").partition(":")
        body = json.dumps({"items": [{"text": "转账一直失败，钱扣了对方没收到"}] * 8}).encode()

        def send(number: int) -> bytes | None:
            if number == 20:
                service.process.send_signal(signal.SIGTERM)
            try:
                connection = socket.create_connection((host, int(port)), timeout=20)
            except ConnectionRefusedError:
                return None  # the port is closed: nothing was accepted
            with connection:
                connection.sendall(_head(len(body)) + body)
                return connection.makefile("rb").readline()

        answers = _many(120, send, 8)
        assert service.process.wait(15) == 0
        assert Counter(answers).keys() <= {b"HTTP/1.1 200 OK\r\n", None}
        assert answers.count(None) < 100


@pytest.mark.parametrize("signals", [(signal.SIGINT,), (signal.SIGTERM, signal.SIGTERM)])
def test_interrupted_or_told_twice_it_stops(start_service: StartService, signals: tuple[signal.Signals, ...]) -> None:
    delay = "0.2" if len(signals) == 1 else "60"
    with start_service("--drain-delay-s", delay) as service:
        for sent in signals:
            service.process.send_signal(sent)
            time.sleep(0.1)
        assert service.process.wait(10) == 0
        assert "Traceback" not in service.log()


def test_impatient_clients_leave_the_counts_whole_and_the_service_well(start_service: StartService) -> None:
    chance = random.Random(3)
    timeouts = [chance.choice([0.002, 0.01, 0.05, 100.0]) for _ in range(160)]
    body = {"items": [{"text": "转账一直失败，钱扣了对方没收到" * (1 + number % 4)} for number in range(6)]}
    with start_service("--batch-tokens", "128", "--request-timeout-s", "100") as service:

        def send(number: int) -> int:
            try:
                return _send(service.url, body, timeout=timeouts[number]).status_code
            except httpx.TransportError:
                return 0

        statuses = Counter(_many(len(timeouts), send, 8))
        assert statuses[0] >= 20
        assert statuses[200] >= 20
        _until(lambda: service.counted("fankui_requests_in_flight") == 1)  # only the one that asks
        started = service.counted("fankui_requests_started_total")
        assert service.counted("fankui_requests_total") == started  # which counted the request that asked
        assert service.counted("fankui_requests_total", outcome="ok", route=CLASSIFY) >= statuses[200]
        assert service.counted("fankui_requests_total", outcome="abandoned") >= 1
        assert service.counted("fankui_queue_texts") == 0
        assert service.classify({"text": "好"}).status_code == 200


KEYS = {"desk": "fk_desk_0123456789", "ops": "fk_ops_0123456789"}
KEY_ENTRIES = f"desk={KEYS['desk']},ops:admin={KEYS['ops']}"


def _bearer(name: str) -> dict[str, str]:
    return {"authorization": f"Bearer {KEYS[name]}"}


def _retitled(folder: Path, title: str) -> str:
    """Give a bundle another version, as a new release would have; returns it."""
    manifest = json.loads((folder / "bundle.json").read_text("utf-8"))
    manifest["provenance"] = {**manifest["provenance"], "title": title}
    manifest["model_version"] = version_of(manifest)
    beside = folder / "bundle.json.new"
    beside.write_text(json.dumps(manifest, ensure_ascii=False), "utf-8")
    beside.replace(folder / "bundle.json")
    return str(manifest["model_version"])


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return Path(shutil.copytree(default_folder(), tmp_path / "bundle"))


def test_reload_under_load_drops_nothing_and_refuses_a_broken_bundle(start_service: StartService, bundle: Path) -> None:
    with start_service("--bundle", str(bundle), FANKUI_API_KEYS=KEY_ENTRIES) as service:
        old = service.http.get("/v1/model", headers=_bearer("desk")).json()["model_version"]
        body = {"items": [{"text": "登不上去"}, {"text": "希望出深色模式"}]}
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            load = [pool.submit(service.classify, body, headers=_bearer("desk")) for _ in range(60)]
            new = _retitled(bundle, "second")
            answer = service.http.post("/v1/model/reload", headers=_bearer("ops"))
            assert answer.json() == {"model_version": new, "previous_version": old, "changed": True}
            answers = [future.result() for future in load]
        assert {one.status_code for one in answers} == {200}
        assert {one.json()["model_version"] for one in answers} <= {old, new}
        assert service.classify(body, headers=_bearer("desk")).json()["model_version"] == new

        tokenizer = (bundle / "tokenizer.json").read_bytes()
        (bundle / "tokenizer.json").write_bytes(tokenizer + b" ")
        refused = service.http.post("/v1/model/reload", headers=_bearer("ops"))
        assert (refused.status_code, refused.json()["code"]) == (409, "bundle_tampered")
        assert service.classify(body, headers=_bearer("desk")).json()["model_version"] == new
        assert service.http.get("/readyz").json()["model_version"] == new
        (bundle / "tokenizer.json").write_bytes(tokenizer)
        again = service.http.post("/v1/model/reload", headers=_bearer("ops"))
        assert (again.status_code, again.json()["changed"]) == (200, False)


def test_a_changed_bundle_is_found_and_a_broken_one_is_not_taken(start_service: StartService, bundle: Path) -> None:
    with start_service("--bundle", str(bundle), "--watch-bundle-s", "0.1") as service:

        def version() -> str:
            return str(service.http.get("/v1/model").json()["model_version"])

        time.sleep(0.3)
        second = _retitled(bundle, "second")
        _until(lambda: version() == second)
        (bundle / "bundle.json").write_text("{}")
        _until(lambda: "the changed bundle is refused" in service.log())
        assert version() == second
        third = _retitled_from(bundle, "third")
        _until(lambda: version() == third)


def _retitled_from(bundle: Path, title: str) -> str:
    shutil.copy(default_folder() / "bundle.json", bundle / "bundle.json.new")
    (bundle / "bundle.json.new").replace(bundle / "bundle.json")
    return _retitled(bundle, title)


def test_keys_open_what_they_should_and_nothing_else(start_service: StartService) -> None:
    with start_service(FANKUI_API_KEYS=KEY_ENTRIES) as service:
        doors = [("POST", CLASSIFY), ("POST", "/predict"), ("GET", "/v1/model"), ("POST", "/v1/model/reload")]
        for method, path in doors:
            for headers in ({}, {"authorization": "Bearer fk_wrong_0123456789"}):
                answer = service.http.request(
                    method, path, headers=headers, json={"text": "好"} if method == "POST" else None
                )
                assert (answer.status_code, answer.json()["code"]) == (401, "key_refused")
                assert answer.headers["www-authenticate"] == "Bearer"
        assert service.classify({"text": "好"}, headers=_bearer("desk")).status_code == 200
        assert service.classify({"text": "好"}, headers={"x-api-key": KEYS["ops"]}).status_code == 200
        refused = service.http.post("/v1/model/reload", headers=_bearer("desk"))
        assert (refused.status_code, refused.json()["code"]) == (403, "admin_only")
        for path in ("/healthz", "/readyz", "/metrics", "/openapi.json"):
            assert service.http.get(path).status_code == 200
        log = service.log() + service.http.get("/metrics").text
        assert '"caller": "desk"' in log
        assert not any(key in log for key in KEYS.values())


def test_without_keys_nobody_can_reload(service: RunningService) -> None:
    assert service.http.post("/v1/model/reload").json()["code"] == "admin_only"


def test_each_key_has_its_own_rate(start_service: StartService) -> None:
    with start_service("--rate-limit-per-s", "0.5", "--rate-burst", "3", FANKUI_API_KEYS=KEY_ENTRIES) as service:
        codes = [service.classify({"text": "好"}, headers=_bearer("desk")).status_code for _ in range(5)]
        assert codes == [200, 200, 200, 429, 429]
        refused = service.classify({"text": "好"}, headers=_bearer("desk"))
        assert refused.json()["code"] == "rate_limited"
        assert int(refused.headers["retry-after"]) in (1, 2)
        assert service.classify({"text": "好"}, headers=_bearer("ops")).status_code == 200


def test_no_feedback_text_in_logs_metrics_or_error_messages(start_service: StartService, tmp_path: Path) -> None:
    secret = "甲乙丙丁暗号"
    with start_service("--log-level", "debug", script=SABOTAGE, SEEN=str(tmp_path / "seen")) as service:
        problems = [
            service.classify({"text": f"{secret}坏"}),
            service.classify({"text": secret, "mask": secret}),
            service.classify({"text": [secret]}),
            service.classify({"items": [{"text": secret * 20_000}, {"text": f"坏{secret}"}]}),
            service.http.post(
                CLASSIFY, content=f'{{"text": "{secret}'.encode(), headers={"content-type": "application/json"}
            ),
            service.http.get(f"/{secret}?text={secret}"),
            service.http.post("/predict", json={"inputs": secret, "parameters": {"top_k": secret}}),
        ]
        assert service.classify({"text": secret}).status_code == 200
        assert service.classify({"text": f"{secret}死"}).status_code == 500
        written = service.log() + service.http.get("/metrics").text + "".join(answer.text for answer in problems)
        assert service.log().count('"message": "request"') >= 9
        assert secret not in written
        assert json.dumps(secret).strip('"') not in written


def test_log_lines_are_json_with_the_request_id_that_the_client_sent_or_was_given(service: RunningService) -> None:
    service.classify({"items": [{"text": "好"}, {"text": ""}]}, headers={"x-request-id": "ticket-7"})
    given = service.classify({"text": "好"}, headers={"x-request-id": "no\u00e9".encode("latin-1")}).headers[
        "x-request-id"
    ]
    assert len(given) == 32
    lines = {line["request_id"]: line for line in map(json.loads, service.log().splitlines())}
    line = lines["ticket-7"]
    assert (line["route"], line["status"], line["outcome"], line["texts"]) == (CLASSIFY, 200, "ok", 2)
    assert line["ms"] > 0
    assert given in lines


def test_every_answer_carries_the_security_headers(service: RunningService) -> None:
    for answer in (service.classify({"text": "好"}), service.http.get("/nope"), service.http.get("/docs")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["cache-control"] == "no-store"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert "server" not in answer.headers


def test_browsers_of_other_origins_are_let_in_only_when_named(
    service: RunningService, start_service: StartService
) -> None:
    asked = {"origin": "https://desk.example", "access-control-request-method": "POST"}
    assert "access-control-allow-origin" not in service.http.options(CLASSIFY, headers=asked).headers
    with start_service("--cors-origins", "https://desk.example") as open_one:
        allowed = open_one.http.options(CLASSIFY, headers=asked)
        assert allowed.headers["access-control-allow-origin"] == "https://desk.example"
        other = open_one.http.options(CLASSIFY, headers={**asked, "origin": "https://evil.example"})
        assert "access-control-allow-origin" not in other.headers


def test_masked_texts_are_returned_when_asked_for(service: RunningService) -> None:
    body = {"items": [{"text": "我的手机号13800138000收不到验证码"}, {"text": " "}], "mask": True}
    good, blank = service.classify(body).json()["results"]
    assert good["masked_text"] == "我的手机号<MOBILE>收不到验证码"
    assert "masked_text" not in blank
    assert "masked_text" not in service.classify({"text": "13800138000"}).json()["results"][0]
