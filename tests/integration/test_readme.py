"""The README's first screen is true: its commands are run and their output compared."""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.conftest import RunFankui

ROOT = Path(__file__).resolve().parents[2]
READMES = ("README.md", "README.zh-CN.md")
_NUMBER = re.compile(r"\d+\.\d+")


def _blocks(readme: str, language: str) -> list[str]:
    text = (ROOT / readme).read_text("utf-8")
    return [m.group(1) for m in re.finditer(rf"```{language}\n(.*?)```", text, re.DOTALL)]


def _same_but_for_rounding(ours: str, theirs: str) -> bool:
    """Equal texts whose decimal numbers differ by 0.05 at most: processors round int8 products differently."""
    numbers = [[float(x) for x in _NUMBER.findall(text)] for text in (ours, theirs)]
    words = [_NUMBER.sub("#", text).split() for text in (ours, theirs)]
    return words[0] == words[1] and numbers[0] == pytest.approx(numbers[1], abs=0.05)


@pytest.mark.parametrize("readme", READMES)
def test_classify_prints_what_the_readme_shows(readme: str, run_fankui: RunFankui) -> None:
    (shown,) = [block for block in _blocks(readme, "console") if block.startswith("$ fankui classify")]
    command, _, output = shown.partition("\n")
    done = run_fankui(*shlex.split(command.removeprefix("$ fankui ")))
    assert done.returncode == 0, done.stderr
    assert _same_but_for_rounding(done.stdout, output), done.stdout


@pytest.fixture(scope="module")
def port() -> Any:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number = probe.getsockname()[1]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    server = subprocess.Popen(
        [sys.executable, "-m", "fankui", "serve", "--port", str(number)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{number}/readyz", timeout=1).close()
            break
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    yield number
    server.terminate()
    assert server.wait(timeout=20) in (0, -15)


def _close(ours: Any, theirs: Any) -> bool:
    if isinstance(ours, float) and isinstance(theirs, float):
        return abs(ours - theirs) <= 0.05
    if isinstance(ours, dict):
        return set(ours) == set(theirs) and all(_close(ours[key], theirs[key]) for key in ours)
    if isinstance(ours, list):
        return len(ours) == len(theirs) and all(map(_close, ours, theirs))
    return bool(ours == theirs)


@pytest.mark.parametrize("readme", READMES)
def test_curl_returns_what_the_readme_shows(readme: str, port: int) -> None:
    (command,) = [block for block in _blocks(readme, "sh") if "curl" in block]
    (shown,) = _blocks(readme, "json")
    body = shlex.split(command.replace("\\\n", " "))[-1]
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/classify", data=body.encode(), headers={"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        answer = json.load(response)
    assert _close(answer, json.loads(shown)), json.dumps(answer, ensure_ascii=False)


@pytest.mark.parametrize("readme", READMES)
def test_first_screen_names_the_two_commands(readme: str) -> None:
    first_screen = "\n".join((ROOT / readme).read_text("utf-8").splitlines()[:60])
    assert "make serve" in first_screen and "make test" in first_screen
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in re.findall(r"make ([a-z-]+)", (ROOT / readme).read_text("utf-8")):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
