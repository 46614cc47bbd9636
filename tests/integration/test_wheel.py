"""The wheel, not the checkout: installed in a fresh environment it starts and finds its bundle."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    source = out / "source"
    tracked = (
        subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    )
    names = [name for name in tracked if name and (ROOT / name).is_file()]
    names += [p.relative_to(ROOT).as_posix() for p in (ROOT / "model" / "default").rglob("*") if p.is_file()]
    for name in dict.fromkeys(names):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((ROOT / name).read_bytes())
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", str(out), str(source)], check=True, capture_output=True
    )
    return next(out.glob("*.whl"))


@pytest.mark.slow
def test_wheel_holds_what_serving_needs_and_no_corpus(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for needed in (
        "fankui.py",
        "data/taxonomy.toml",
        "model/default/bundle.json",
        "model/default/onnx/model_int8.onnx",
        "training/configs/encoder.toml",
    ):
        assert needed in names
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/", "data/corpus/", "docs/"))]


@pytest.mark.slow
def test_wheel_answers_in_a_clean_environment_without_torch(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    pip = [
        str(python),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--constraint",
        str(ROOT / "constraints.txt"),
    ]
    subprocess.run([*pip, str(wheel)], check=True, capture_output=True)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(tmp_path / "venv" / "bin" / "fankui"), "classify", "转账一直失败，钱扣了对方没收到"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "payment_failure" in done.stdout
    code = "import importlib.util as u; print([m for m in ('torch', 'transformers', 'datasets') if u.find_spec(m)])"
    found = subprocess.run(
        [str(python), "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"
    done = subprocess.run(
        [str(tmp_path / "venv" / "bin" / "fankui"), "train", "--out", "x"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 3 and "pip install 'fankui[train]'" in done.stderr


def test_no_other_distribution_owns_our_names() -> None:
    owners = importlib.metadata.packages_distributions()
    for room in ("data", "model", "serving", "training", "fankui"):
        assert set(owners.get(room, [])) <= {"fankui"}, owners[room]
