"""``fankui train`` on other people's files, as they would type it: from a file to a service, and what can go wrong."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from model.bundle import open_bundle
from model.classifier import Classifier

if TYPE_CHECKING:
    from tests.conftest import RunFankui
    from tests.integration.conftest import StartService

ROOT = Path(__file__).resolve().parents[2]
QUICK = ("--epochs", "6", "--learning-rate", "5e-3", "--max-tokens", "32", "--batch-size", "8")


def _plain_rows(n: int, begin: int = 0) -> str:
    return "".join(
        f"{('汤', '饭')[i % 2]}\t这碗{('汤', '饭')[i % 2]}第{i}次吃，很{'好坏'[i % 3 > 1]}\n"
        for i in range(begin, begin + n)
    )


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "fankui", "train", *arguments]


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def plain(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    folder = tmp_path_factory.mktemp("plain")
    (folder / "train.tsv").write_bytes(_plain_rows(48).encode("gb18030"))
    (folder / "dev.tsv").write_text(_plain_rows(16, 100) + "汤\t这碗汤第0次吃，很好\n", "utf-8")
    (folder / "train.toml").write_text(
        f'data = "train.tsv"\nvalidation = ["dev.tsv"]\nout = "bundle"\nbase = "{tiny_base}"\n'
        "learning_rate = 1e-3\nsmoothing = 0.05\nseed = 7\npatience = 3\n",
        "utf-8",
    )
    done = subprocess.run(
        _command("--config", str(folder / "train.toml"), *QUICK, "--set", "weight_decay=0.02"),
        cwd=folder.parent, env=_environment(), capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    return folder, done


def test_a_plain_set_becomes_a_service(
    plain: tuple[Path, subprocess.CompletedProcess[str]], start_service: StartService
) -> None:
    folder, done = plain
    assert done.returncode == 0, done.stderr
    assert "train.tsv: 48 rows used; label⇥text without column names, gb18030" in done.stderr
    assert "head 'label', single_label, 2 labels: 汤, 饭" in done.stderr
    assert "1 text in train and in validation alike" in done.stderr
    assert "training: 36 steps in 6 epochs" in done.stderr and "epoch 1: " in done.stderr
    assert "\r" not in done.stderr and "it/s" not in done.stderr
    assert "这碗" not in done.stderr  # the log holds no feedback
    assert re.search(r"dev\.tsv \(n = 17\)\n  label: accuracy \d\.\d{3}, macro f1", done.stdout)
    assert not (folder / "bundle.work").exists()
    with start_service("--bundle", str(folder / "bundle")) as service:
        answer = service.classify({"text": "这碗汤第3次吃"}).json()
        assert answer["results"][0]["label"] in ("汤", "饭") and answer["model_version"] in done.stdout


def test_the_bundle_says_what_it_was_made_from(plain: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    made = open_bundle(plain[0] / "bundle").provenance
    config = made["config"]
    # the flags went over the file, the file over the defaults
    assert (config["learning_rate"], config["epochs"], config["seed"]) == (5e-3, 6, 7)
    assert (config["smoothing"], config["weight_decay"], config["patience"]) == (0.05, 0.02, 3)
    assert made["rows"] == {"train": 48, "validation": 17, "calibration": 17}
    assert [(file["for"], file["name"], file["rows"]) for file in made["data"]["files"]] == [
        ("data", "train.tsv", 48), ("validation", "dev.tsv", 17),
    ]  # fmt: skip
    assert all(re.fullmatch("[0-9a-f]{64}", made[name]) for name in ("training_data_sha256", "validation_data_sha256"))
    assert {"torch", "transformers", "onnxruntime", "accelerate", "scikit-learn", "python"} <= made["versions"].keys()
    assert str(ROOT) not in json.dumps(made) and "/tmp/" not in json.dumps(made)


def _run_until(folder: Path, arguments: Sequence[str], stop: Path) -> None:
    """Start training and kill it, hard, when a file appears."""
    process = subprocess.Popen(
        _command(*arguments), cwd=folder, env=_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 200
    try:
        while not list(folder.glob(str(stop))) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        assert process.poll() is None, "it ended before it could be killed"
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


@pytest.mark.timeout(600)
def test_a_killed_run_is_resumed(tiny_base: Path, tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_text(_plain_rows(60), "utf-8")
    run = [
        "--data",
        "train.tsv",
        "--out",
        "bundle",
        "--base",
        str(tiny_base),
        "--max-tokens",
        "32",
        "--batch-size",
        "8",
    ]
    run += ["--epochs", "30", "--learning-rate", "1e-3"]
    _run_until(tmp_path, run, Path("bundle.work/checkpoint-*/trainer_state.json"))
    assert not (tmp_path / "bundle").exists()

    def again(*more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            _command(*run, *more),
            cwd=tmp_path,
            env=_environment(),
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )

    refused = again()
    assert refused.returncode == 3 and "--resume goes on with it" in refused.stderr, refused.stderr
    other = again("--resume", "--seed", "5")
    assert other.returncode == 3 and "holds another run (config was" in other.stderr, other.stderr
    done = again("--resume")
    assert done.returncode == 0, done.stderr
    found = re.search(r"going on from step (\d+)", done.stderr)
    assert found is not None and int(found[1]) >= 6
    history = open_bundle(tmp_path / "bundle").provenance["history"]
    assert [entry["epoch"] for entry in history] == [float(epoch) for epoch in range(1, 31)]
    assert not (tmp_path / "bundle.work").exists()
    assert Classifier.load(tmp_path / "bundle").predict(["这碗汤"])[0]["label"] in ("汤", "饭")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_terminal_gets_a_bar_and_a_tracker_its_figures(tiny_base: Path, tmp_path: Path) -> None:
    """Labels that nothing can learn stop the run early; what a person sees comes through a pseudo-terminal."""
    (tmp_path / "train.tsv").write_text("".join(f"{'汤饭'[n * 7 % 5 % 2]}\t句子{n}\n" for n in range(40)), "utf-8")
    (tmp_path / "dev.tsv").write_text("汤\t句子甲\n汤\t句子乙\n汤\t句子丙\n饭\t句子丁\n", "utf-8")
    main, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    process = subprocess.Popen(
        _command(
            "--data", "train.tsv", "--validation", "dev.tsv", "--out", "bundle", "--base", str(tiny_base),
            "--epochs", "40", "--patience", "2", "--learning-rate", "1e-6", "--max-tokens", "32",
            "--report-to", "tensorboard",
        ),
        cwd=tmp_path, env=_environment(), stdout=subprocess.DEVNULL, stderr=terminal,
    )  # fmt: skip
    os.close(terminal)
    seen = b""
    while process.poll() is None or select.select([main], [], [], 0.1)[0]:
        if select.select([main], [], [], 0.5)[0]:
            try:
                seen += os.read(main, 65536)
            except OSError:  # Linux says so when the other side is closed
                break
    os.close(main)
    text = seen.decode("utf-8", "replace")
    assert process.wait() == 0, text
    assert "%|" in text and "epoch 1: " in text
    assert "stopped early: 2 epochs without a better validation" in text
    assert len(open_bundle(tmp_path / "bundle").provenance["history"]) < 40
    (events,) = (tmp_path / "bundle.logs").rglob("events.out.tfevents*")
    assert events.stat().st_size > 0


def test_wrong_usage_costs_one_line(run_fankui: RunFankui, tmp_path: Path) -> None:
    (tmp_path / "tickets.csv").write_text("内容,紧急,模块\n" + "好,低,支付\n坏,高,登录\n" * 20, "utf-8")
    cases = [
        (["--data", "tickets.csv"], 2, "--out FOLDER says where the bundle goes"),
        (["--write-taxonomy", "my.toml"], 2, "name some"),
        (["--data", "tickets.csv", "--out", "b"], 3, "several columns could hold labels (紧急, 模块)"),
        (["--data", "none.csv", "--out", "b"], 3, "no file none.csv"),
        (["--data", "tickets.csv", "--taxonomy", "none.toml", "--out", "b"], 3, "no taxonomy file none.toml"),
        (
            ["--data", "tickets.csv", "--label-column", "急", "--out", "b"],
            3,
            "no column '急' with labels; it has 紧急, 模块",
        ),
    ]
    for arguments, code, message in cases:
        done = run_fankui("train", *arguments, cwd=tmp_path)
        assert (done.returncode, message in done.stderr) == (code, True), done.stderr
        assert "Traceback" not in done.stderr
    done = run_fankui("train", "--data", "tickets.csv", "--write-taxonomy", "my.toml", cwd=tmp_path)
    assert done.returncode == 0 and "--taxonomy my.toml" in done.stdout
    assert 'name = "紧急"' in (tmp_path / "my.toml").read_text("utf-8")


def test_settings_that_do_not_exist_are_named(run_fankui: RunFankui, tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_text(_plain_rows(20), "utf-8")
    run = ("train", "--data", "train.tsv", "--out", "b")
    done = run_fankui(*run, "--set", "learnin_rate=1", "--report-to", "wandb", cwd=tmp_path)
    assert done.returncode == 3 and "did you mean 'learning_rate'?" in done.stderr, done.stderr
    done = run_fankui(*run, "--report-to", "nonesuch", cwd=tmp_path)
    assert done.returncode == 3 and "--report-to nonesuch: that tracker is not installed" in done.stderr, done.stderr
