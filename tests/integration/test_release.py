"""The release gate on real bundles: an equal candidate passes, a worse one does not, nothing is ever half in place."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from model.bundle import MANIFEST, HeadDecision, default_folder, open_bundle, write_manifest
from model.classifier import Classifier
from model.errors import BundleMissing
from training.behaviour import read_suite, suite_path
from training.errors import ConfigError
from training.placing import RESULT_FILE, put_in_place
from training.recipe import authored_split
from training.release import judge_candidate
from training.release_checks import Margins

if TYPE_CHECKING:
    from tests.conftest import RunFankui

ROOT = Path(__file__).resolve().parents[2]
RECORDS = authored_split("test")[:100]
CASES = read_suite(suite_path())[::12]
# How often the shipped bundle calls urgent is its own matter; here it is held against itself.
MARGINS = Margins(escalated_factor=100.0)


def _whole(folder: Path, decisions: Mapping[str, HeadDecision] | None = None, note: str = "") -> Path:
    """A candidate made of the shipped bundle: its int8 file stands in for the float32 one."""
    shipped = open_bundle()
    shutil.copytree(default_folder(), folder)
    (folder / RESULT_FILE).unlink(missing_ok=True)
    shutil.copyfile(folder / shipped.onnx["int8"], folder / "onnx" / "model.onnx")
    (folder / "model.safetensors").write_bytes(b"weights that serving does not need")
    onnx = {"fp32": "onnx/model.onnx", **shipped.onnx}
    provenance = {**shipped.provenance, "note": note}
    write_manifest(
        folder, shipped.taxonomy, decisions or shipped.decisions, shipped.max_tokens, onnx, shipped.metrics, provenance
    )
    return folder


def _contents(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def current(tmp_path: Path) -> Path:
    return Path(shutil.copytree(default_folder(), tmp_path / "place" / "current"))


def test_an_equal_candidate_passes_and_takes_the_place(tmp_path: Path, current: Path) -> None:
    candidate = _whole(tmp_path / "candidate", note="new")
    before = _contents(current)
    result = judge_candidate(candidate, current, {"some": RECORDS}, CASES, MARGINS)
    assert result.passed, result.table()
    assert _contents(current) == before, "judging changes nothing"
    names = {check.name for check in result.checks}
    assert {
        "bytes of the serving files",
        "test texts it learned from (left out)",
        "impossible combinations",
        "answered otherwise alone than in a batch",
        "int8 flips against fp32",
        "critical+high found or reviewed, worst loss",
        "topics macro_f1, worst loss",
        "minimum_functionality passed, loss",
        "flips under traditional",
    } <= names
    assert result.table().endswith("\npassed") and result.table().count("pass\n") == len(result.checks)

    put_in_place(candidate, current, result)
    assert open_bundle(current).model_version == result.candidate != open_bundle().model_version
    assert [path.name for path in current.parent.iterdir()] == ["current"]
    assert not (current / "model.safetensors").exists() and not (current / "onnx" / "model.onnx").exists()
    written = json.loads((current / RESULT_FILE).read_text("utf-8"))
    assert written["passed"] and written["candidate"] == result.candidate and written["sets"] == {"some": 100}
    assert Classifier.load(current).predict(["转账失败"])[0].model_version == result.candidate
    with pytest.raises(ConfigError, match="no longer the bundle"):  # it was judged against what lay there before
        put_in_place(candidate, current, result)


def test_a_candidate_that_misses_urgent_texts_does_not_pass(tmp_path: Path, current: Path) -> None:
    decisions = dict(open_bundle().decisions)
    urgency, topics = decisions["urgency"], decisions["topics"]
    calm = tuple(bias - 6.0 * level for level, bias in enumerate(urgency.bias))
    decisions["urgency"] = dataclasses.replace(urgency, bias=calm)
    decisions["topics"] = dataclasses.replace(topics, thresholds=tuple(0.999 for _ in topics.thresholds))
    decisions = {name: dataclasses.replace(decision, review_below=0.0) for name, decision in decisions.items()}
    candidate = _whole(tmp_path / "candidate", decisions)
    before = _contents(current)
    result = judge_candidate(candidate, current, {"some": RECORDS}, CASES, MARGINS)
    failed = {check.name for check in result.checks if not check.passed}
    assert not result.passed and any("found or reviewed" in name for name in failed), result.table()
    assert "topics macro_f1, worst loss" in failed and "urgency quadratic_kappa, worst loss" in failed
    assert "minimum_functionality passed, loss" in failed and "urgency calibration error" in failed
    assert f"of {len(result.checks)} checks failed" in result.table()
    with pytest.raises(ConfigError, match="did not pass"):
        put_in_place(candidate, current, result)
    assert _contents(current) == before


def test_a_candidate_that_learned_the_test_does_not_pass(tmp_path: Path, current: Path) -> None:
    candidate = tmp_path / "candidate"
    _whole(candidate)
    with (candidate / "training_rows.txt").open("a") as file:
        file.write(f"{RECORDS[0]['id']}\n")
    shipped = open_bundle()
    onnx = {"fp32": "onnx/model.onnx", **shipped.onnx}
    write_manifest(candidate, shipped.taxonomy, shipped.decisions, shipped.max_tokens, onnx, {}, {})
    result = judge_candidate(candidate, current, {"some": RECORDS[:12]}, (), MARGINS)
    (check,) = [check for check in result.checks if check.name.startswith("test texts it learned from")]
    assert check.value == pytest.approx(1 / 12) and not check.passed and not result.passed
    assert result.sets == {"some": 11}


def test_a_candidate_changed_after_judging_is_not_put_in_place(tmp_path: Path, current: Path) -> None:
    candidate = _whole(tmp_path / "candidate")
    result = judge_candidate(candidate, current, {"some": RECORDS[:12]}, (), Margins(100, 100, 100, 100, 100, 100))
    assert result.passed, result.table()
    before = _contents(current)
    (candidate / "README.md").write_text("another card", "utf-8")
    shipped = open_bundle()
    onnx = {"fp32": "onnx/model.onnx", **shipped.onnx}
    write_manifest(candidate, shipped.taxonomy, shipped.decisions, shipped.max_tokens, onnx, {}, {})
    with pytest.raises(ConfigError, match="no longer the bundle"):
        put_in_place(candidate, current, result)
    (candidate / "bundle.json").unlink()
    with pytest.raises(BundleMissing):
        put_in_place(candidate, current, result)
    assert _contents(current) == before and [path.name for path in current.parent.iterdir()] == ["current"]


def test_what_cannot_be_judged_is_named(tmp_path: Path, run_fankui: RunFankui) -> None:
    done = run_fankui("release", str(default_folder()), "--over", str(default_folder()))
    assert done.returncode == 3 and "not a serving copy" in done.stderr and "Traceback" not in done.stderr
    done = run_fankui("release", str(tmp_path), "--over", str(default_folder()))
    assert done.returncode == 3 and "no bundle in" in done.stderr and len(done.stderr.splitlines()) == 1
    other = _whole(tmp_path / "other")
    manifest: dict[str, Any] = json.loads((other / MANIFEST).read_text("utf-8"))
    manifest["taxonomy"]["heads"][0]["labels"][0]["name"] = "safety"
    from data.taxonomy import Taxonomy

    for issue in manifest["taxonomy"]["heads"][1]["labels"]:
        issue["parent"] = "safety" if issue["parent"] == "security" else issue["parent"]
    bundle = open_bundle(other)
    taxonomy = Taxonomy.from_dict(manifest["taxonomy"])
    write_manifest(other, taxonomy, bundle.decisions, bundle.max_tokens, bundle.onnx, {}, {})
    with pytest.raises(ConfigError, match="different heads or labels"):
        judge_candidate(other, default_folder(), {}, ())


@pytest.mark.slow
def test_release_command_says_what_it_did(tmp_path: Path, current: Path, run_fankui: RunFankui) -> None:
    candidate = _whole(tmp_path / "candidate", note="by command")
    old = open_bundle(current).model_version
    written = tmp_path / "gate.json"
    done = run_fankui("release", str(candidate), "--over", str(current), "--apply", "--json", str(written))
    gate = json.loads(written.read_text("utf-8"))
    assert done.returncode == (0 if gate["passed"] else 1), done.stderr
    assert gate["over"] == old and gate["sets"] == {"authored test split": len(authored_split("test"))}
    assert open_bundle(current).model_version == (gate["candidate"] if gate["passed"] else old)
    assert gate["candidate"] in done.stdout and "flips under politeness" in done.stdout
    assert {check["name"] for check in gate["checks"] if not check["passed"]} <= {"critical+high said, times true"}


KILLED = """
import json, sys
from pathlib import Path
from training.placing import put_in_place
from training.release import GateResult
from training.release_checks import Margins
candidate, over, new, old = sys.argv[1:]
print("ready", flush=True)
put_in_place(Path(candidate), Path(over), GateResult(new, old, {}, (), Margins(), ""))
print("done", flush=True)
"""


@pytest.mark.slow
def test_a_killed_release_leaves_one_whole_bundle(tmp_path: Path, current: Path) -> None:
    from training.write_bundle import serving_copy

    candidates = [_whole(tmp_path / "one", note="1"), _whole(tmp_path / "two", note="2")]
    versions = [serving_copy(candidate, tmp_path / "probe") for candidate in candidates]
    generator = random.Random(0)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    finished = 0
    for attempt in range(6):
        old = open_bundle(current).model_version
        number = 0 if old != versions[0] else 1
        arguments = [str(candidates[number]), str(current), versions[number], old]
        command = [sys.executable, "-c", KILLED, *arguments]
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        if attempt < 5:
            time.sleep(generator.uniform(0.0, 0.25))
            process.send_signal(signal.SIGKILL)
        process.wait(60)
        finished += process.returncode == 0
        process.stdout.close()
        assert open_bundle(current).model_version in (old, versions[number])
    assert finished >= 1
    assert [path.name for path in current.parent.iterdir()] == ["current"], "what killed ones left is cleared away"
