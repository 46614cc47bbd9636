"""The service answers as its documentation says, over real HTTP."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import jsonschema
import pytest

from data.text import MAX_CHARACTERS

if TYPE_CHECKING:
    from tests.integration.conftest import RunningService, StartService

ROOT = Path(__file__).resolve().parents[2]
CLASSIFY = "/v1/classify"
TEXTS = ["转账一直失败，钱扣了对方没收到", "希望出个深色模式", "验证码收不到，登不上去", "挺好用的", "。。。"]


def _problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert (body["status"], body["code"], body["type"]) == (status, code, f"urn:fankui:problem:{code}")
    assert body["title"] and body["detail"] and body["request_id"] == response.headers["x-request-id"]
    return body


def test_a_lone_text_has_all_heads(service: RunningService) -> None:
    response = service.classify({"text": TEXTS[0]})
    assert response.status_code == 200
    body = response.json()
    (result,) = body["results"]
    taxonomy = service.http.get("/v1/model").json()["taxonomy"]
    assert {head["name"] for head in taxonomy["heads"]} <= result.keys()
    assert result["id"] is None
    assert body["model_version"] == service.http.get("/readyz").json()["model_version"]


def test_items_come_back_in_the_order_asked_and_as_when_asked_alone(service: RunningService) -> None:
    items = [{"id": f"T{number}", "text": text} for number, text in enumerate(TEXTS)]
    results = service.classify({"items": items}).json()["results"]
    assert [result.pop("id") for result in results] == [item["id"] for item in items]
    for text, result in zip(TEXTS, results, strict=True):
        (alone,) = service.classify({"text": text}).json()["results"]
        alone.pop("id")
        assert result == alone


def test_item_errors_stand_in_their_place(service: RunningService) -> None:
    texts = [TEXTS[0], "  \n", "一" * (MAX_CHARACTERS + 1), None, TEXTS[1]]
    response = service.classify({"items": [{"id": number, "text": text} for number, text in enumerate(texts)]})
    assert response.status_code == 200
    results = response.json()["results"]
    assert [result["id"] for result in results] == [0, 1, 2, 3, 4]
    codes = [result.get("error", {}).get("code") for result in results]
    assert codes == [None, "blank_text", "text_too_long", "blank_text", None]
    assert results[2]["error"]["message"].startswith("the text has 65,537 characters, the limit is 65,536")


@pytest.mark.parametrize(("text", "code"), [(" \t\u3000", "blank_text"), ("一" * 70_000, "text_too_long")])
def test_a_lone_bad_text_is_422(service: RunningService, text: str, code: str) -> None:
    _problem(service.classify({"text": text}), 422, code)


def test_the_longest_text_is_classified(service: RunningService) -> None:
    response = service.classify({"text": " " + "登不上去。" * (MAX_CHARACTERS // 5) + " "})
    assert response.status_code == 200


def test_no_items_give_no_results(service: RunningService) -> None:
    assert service.classify({"items": []}).json()["results"] == []


@pytest.mark.parametrize("content", [b"{", b"", b"\xb0\xa1", b'{"text": "a" "b"}', b"[" * 100_000, b"nan"])
def test_what_is_not_json_is_400(service: RunningService, content: bytes) -> None:
    response = service.http.post(CLASSIFY, content=content, headers={"content-type": "application/json"})
    _problem(response, 400, "malformed_json")


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ([], {"#"}),
        ({}, {"#"}),
        ({"texts": "转账失败"}, {"#", "#/texts"}),
        ({"text": "好", "items": []}, {"#"}),
        ({"text": 5}, {"#/text"}),
        ({"text": "好", "mask": "yes"}, {"#/mask"}),
        ({"text": "好", "lang": "zh"}, {"#/lang"}),
        ({"items": {"id": 1}}, {"#/items"}),
        (
            {"items": [{"id": 1.5, "text": "好"}, {"id": "a"}, {"text": "好", "a/b": 1}, "好"]},
            {"#/items/0/id", "#/items/1/text", "#/items/2/a~1b", "#/items/3"},
        ),
        ({"items": [{"id": "x" * 257, "text": "好"}]}, {"#/items/0/id"}),
    ],
)
def test_wrong_fields_are_named(service: RunningService, body: Any, pointers: set[str]) -> None:
    answer = _problem(service.classify(body), 422, "invalid_request")
    assert {error["pointer"] for error in answer["errors"]} == pointers


def test_too_many_items_are_refused(service: RunningService) -> None:
    answer = _problem(service.classify({"items": [{"text": "好"}] * 257}), 422, "too_many_items")
    assert "257" in answer["detail"]
    assert "256" in answer["detail"]


def test_a_body_too_large_is_413_whether_its_length_is_declared_or_not(service: RunningService) -> None:
    text = "x" * 4_200_000
    _problem(service.classify({"text": text}), 413, "body_too_large")
    parts = (part.encode() for part in ['{"text": "', *["x" * 100_000] * 42, '"}'])
    response = httpx.post(
        service.url + CLASSIFY, content=parts, headers={"content-type": "application/json"}, timeout=30
    )
    _problem(response, 413, "body_too_large")
    assert service.classify({"text": "好"}).status_code == 200


def test_other_media_types_are_415(service: RunningService) -> None:
    _problem(service.http.post(CLASSIFY, data={"text": "好"}), 415, "not_json")
    gzip = {"content-type": "application/json", "content-encoding": "gzip"}
    _problem(service.http.post(CLASSIFY, content=b"{}", headers=gzip), 415, "not_json")


def test_unknown_paths_and_methods_are_problems(service: RunningService) -> None:
    _problem(service.http.get("/v1/clasify"), 404, "not_found")
    answer = service.http.get(CLASSIFY)
    _problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "POST"


def test_a_text_cut_inside_an_emoji_is_classified(service: RunningService) -> None:
    body = b'{"items": [{"id": "\\ud83d", "text": "\\u767b\\u4e0d\\u4e0a\\ud83d"}]}'
    response = service.http.post(CLASSIFY, content=body, headers={"content-type": "application/json"})
    assert response.status_code == 200
    assert "error" not in response.json()["results"][0]


def test_health_and_readiness(service: RunningService) -> None:
    assert service.http.get("/healthz").json() == {"status": "ok"}
    ready = service.http.get("/readyz")
    assert ready.status_code == 200
    assert ready.json()["status"] == "ready"


def test_answers_are_as_the_openapi_document_says(service: RunningService) -> None:
    document = service.http.get("/openapi.json").json()
    operation = document["paths"][CLASSIFY]["post"]
    content = operation["requestBody"]["content"]["application/json"]
    answered = operation["responses"]["200"]["content"]["application/json"]

    def check(value: Any, schema: dict[str, Any]) -> None:
        whole = {"components": document["components"], **schema}
        jsonschema.Draft202012Validator(whole).validate(value)

    for example in [*content["examples"].values()]:
        check(example["value"], content["schema"])
        check(service.classify(example["value"]).json(), answered["schema"])
    for example in answered["examples"].values():
        check(example["value"], answered["schema"])
    check(service.classify({"text": " "}).json(), {"$ref": "#/components/schemas/Problem"})
    check(service.classify({"items": [{"text": ""}]}).json(), answered["schema"])
    summaries = json.dumps(content["examples"], ensure_ascii=False)
    assert "One text" in summaries
    assert "单条文本" in summaries


def test_the_interactive_documentation_is_there(service: RunningService) -> None:
    page = service.http.get("/docs")
    assert page.status_code == 200
    assert "swagger" in page.text


def test_importing_the_room_does_not_import_heavy_libraries() -> None:
    modules = "serving.app, serving.serve_command, serving.client"
    code = f"import sys, {modules}; print([m for m in ('torch', 'transformers', 'datasets') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"


def test_ready_within_two_seconds_of_processor_time(start_service: StartService) -> None:
    """Processor time, because the machine may be busy with something else."""
    with start_service() as running:
        fields = Path(f"/proc/{running.process.pid}/stat").read_text().rpartition(")")[2].split()
        assert (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") <= 2.0
        assert running.classify({"text": "好"}).status_code == 200


def test_a_missing_bundle_is_one_line_and_exit_code_3(tmp_path: Any) -> None:
    command = [sys.executable, "-m", "fankui", "serve", "--port", "0", "--bundle", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False, timeout=60)
    assert done.returncode == 3
    assert done.stderr.startswith(f"fankui: no bundle in {tmp_path}")
    assert done.stderr.count("\n") == 1


def test_a_taken_port_is_one_line_and_exit_code_3(service: RunningService) -> None:
    port = service.url.rpartition(":")[2]
    command = [sys.executable, "-m", "fankui", "serve", "--port", port]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False, timeout=60)
    assert done.returncode == 3
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("flags", "said"),
    [(["--max-items", "0"], "FANKUI_MAX_ITEMS"), (["--port", "x"], "FANKUI_PORT"), (["--nope"], "--nope")],
)
def test_wrong_usage_is_exit_code_2(flags: list[str], said: str) -> None:
    command = [sys.executable, "-m", "fankui", "serve", *flags]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False, timeout=60)
    assert done.returncode == 2
    assert said in done.stderr
