"""What the rooms import, seen from a fresh process."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("torch", "transformers", "datasets", "jieba", "sklearn")


@pytest.mark.parametrize(
    "module", ["data.corpus", "data.commands", "model.classifier", "serving.app", "serving.label_command", "fankui"]
)
def test_serving_side_never_loads_the_training_stack(module: str) -> None:
    code = f"import sys, {module}; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
