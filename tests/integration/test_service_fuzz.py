"""Schemathesis invents requests from the API's own document, sound and unsound, and holds the answers against it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.integration.conftest import StartService

# A body with too many items may be refused for its size before its items are counted.
CONFIG = """
[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 413, 415, 422]
"""


@pytest.mark.slow
def test_schemathesis_finds_nothing(start_service: StartService, tmp_path: Path) -> None:
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    key = "fk_ops_0123456789"
    with start_service(FANKUI_API_KEYS=f"ops:admin={key}") as service:
        command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(tmp_path / "schemathesis.toml")]
        command += ["run", f"{service.url}/openapi.json", "--header", f"Authorization: Bearer {key}", "--no-color"]
        command += ["--max-examples", "40", "--generation-database", "none", "--seed", "7", "--request-timeout", "30"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False, timeout=280)
        said = "\n".join(line[:300] for line in (done.stdout + done.stderr).splitlines())
        assert done.returncode == 0, said
        assert "Tested: 6" in said
        statuses = {line["status"] for line in map(json.loads, service.log().splitlines()) if "status" in line}
        assert not statuses & set(range(500, 600))
        assert service.classify({"text": "好"}, headers={"authorization": f"Bearer {key}"}).status_code == 200
