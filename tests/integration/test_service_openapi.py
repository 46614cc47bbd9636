"""The API does not change unnoticed: its document is held against `tests/golden/openapi.json`.

After a wanted change: ``FANKUI_UPDATE_GOLDEN=1 pytest tests/integration/test_service_openapi.py``.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.integration.conftest import RunningService

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "openapi.json"


def _contract(document: dict[str, Any]) -> dict[str, Any]:
    """What clients rely on: without the loaded bundle's example and what FastAPI's version decides."""
    paths: dict[str, Any] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            for answer in operation["responses"].values():
                answer.get("content", {}).get("application/json", {}).pop("examples", None)
            kept = ("summary", "requestBody", "responses", "security", "parameters")
            paths[f"{method.upper()} {path}"] = {name: operation[name] for name in kept if name in operation}
    return {"paths": paths, "schemas": document["components"]["schemas"]}


def test_the_contract_is_the_one_on_record(service: RunningService) -> None:
    contract = _contract(service.http.get("/openapi.json").json())
    if os.environ.get("FANKUI_UPDATE_GOLDEN"):
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(json.dumps(contract, ensure_ascii=False, indent=1, sort_keys=True) + "\n", "utf-8")
    assert contract == json.loads(GOLDEN.read_text("utf-8"))
