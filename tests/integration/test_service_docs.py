"""The examples of `docs/api.md` run as they stand, and its tables leave nothing out."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from data.errors import BlankText, TextTooLong
from model.errors import BundleError, BundleMissing, BundleTampered, EngineError
from serving.problems import TABLE, status_of
from serving.settings import ServiceSettings

if TYPE_CHECKING:
    from tests.integration.conftest import RunningService

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "api.md").read_text("utf-8")


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("command", _blocks("bash"))
def test_curl_examples_are_answered(service: RunningService, command: str) -> None:
    run = ["bash", "-c", command.replace("http://localhost:8000", service.url)]
    answer = json.loads(subprocess.run(run, capture_output=True, text=True, check=True, timeout=30).stdout)
    assert answer["model_version"] == service.http.get("/v1/model").json()["model_version"]
    assert "topics" in answer["results"][0]


@pytest.mark.parametrize(
    ("program", "said"),
    list(zip(_blocks("python"), [r"T1 \[.*T3 blank_text", r"\['\w+', '\w+'\]", r"\w+/\w+"], strict=True)),
)
def test_python_examples_run(service: RunningService, program: str, said: str) -> None:
    run = [sys.executable, "-c", program.replace("http://localhost:8000", service.url)]
    done = subprocess.run(run, capture_output=True, text=True, cwd=ROOT, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert re.search(said, done.stdout, re.DOTALL), done.stdout


def test_json_examples_have_the_keys_that_answers_have(service: RunningService) -> None:
    shown, problem = (json.loads(block.replace("…", "")) for block in _blocks("json"))
    items = [{"id": "T1", "text": "转账一直失败，手机13800138000"}, {"id": "T2", "text": " "}]
    answer = service.classify({"items": items, "mask": True}).json()
    assert shown.keys() == answer.keys()
    assert [result.keys() for result in shown["results"]] == [result.keys() for result in answer["results"]]
    assert shown["results"][0]["masked_text"] == answer["results"][0]["masked_text"]
    real = service.classify({"items": [{"text": "好"}, {"id": 1}]}).json()
    assert {**problem, "request_id": ""} == {**real, "request_id": ""}


def test_every_error_is_in_the_table_with_its_status() -> None:
    rows = re.findall(r"^\| (\d{3}) \| (.+?) \|", PAGE, re.MULTILINE)
    shown = {(int(status), code) for status, codes in rows for code in re.findall(r"`(\w+)`", codes)}
    kinds = [kind for kind in TABLE if kind.__module__.startswith("serving")]
    kinds += [BlankText, TextTooLong, BundleError, BundleMissing, BundleTampered, EngineError]
    known = {(status_of(kind)[0], kind.code) for kind in kinds}  # type: ignore[attr-defined]
    assert shown == known | {(500, "internal_error")}


def test_every_setting_is_in_the_table_with_its_default() -> None:
    table = PAGE[PAGE.index("## Settings") :]
    shown = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", table, re.MULTILINE))
    assert shown.keys() == ServiceSettings.model_fields.keys()
    for name, default in shown.items():
        if default:
            assert default == f"`{ServiceSettings.model_fields[name].default}`"
