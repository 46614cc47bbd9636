"""Training by two processes on the CPU, as ``torchrun`` and ``accelerate launch`` start them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from model.bundle import open_bundle
from model.classifier import Classifier

ROOT = Path(__file__).resolve().parents[2]
TORCHRUN = ("torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "fankui")
ACCELERATE = (
    "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1",
    "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0", "-m", "fankui",
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(700)
@pytest.mark.parametrize("launcher", [TORCHRUN, ACCELERATE], ids=["torchrun", "accelerate"])
def test_two_processes_train_one_bundle(launcher: tuple[str, ...], tiny_base: Path, tmp_path: Path) -> None:
    rows = "".join(f"{'汤饭'[n % 2]}\t这碗{'汤饭'[n % 2]}第{n}次吃\n" for n in range(66))
    (tmp_path / "train.tsv").write_text(rows, "utf-8")
    done = subprocess.run(
        [
            sys.executable, "-m", *launcher, "train", "--data", "train.tsv", "--out", "bundle",
            "--base", str(tiny_base), "--epochs", "4", "--batch-size", "8",
            "--learning-rate", "5e-3", "--max-tokens", "32",
        ],
        cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("model version") == 1 and done.stderr.count("epoch 4: ") == 1, done.stderr
    bundle = open_bundle(tmp_path / "bundle")
    assert bundle.provenance["processes"] == 2
    # 46 rows in steps of two times eight are three steps an epoch; one process alone would need six
    assert "training: 12 steps in 4 epochs" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "train.tsv"]
    assert Classifier(bundle).predict(["这碗汤"])[0]["label"] in ("汤", "饭")
