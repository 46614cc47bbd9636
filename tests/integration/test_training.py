"""From labelled rows to a bundle that answers, and from text to an encoder, as a user runs them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, pipeline

from data.corpus import read_split
from data.taxonomy import Taxonomy
from model.bundle import open_bundle
from model.classifier import Classifier
from training.dataset import targets
from training.evaluate import judge
from training.finetune import FinetuneConfig, decide_plain, finetune, predict_logits
from training.teaching import TaughtTexts, taught

if TYPE_CHECKING:
    from tests.conftest import RunFankui

ROOT = Path(__file__).resolve().parents[2]

TAXONOMY = """
schema_version = 1
name = "kitchen"
version = "1"
[[heads]]
name = "dish"
kind = "single_label"
[[heads.labels]]
name = "汤"
[[heads.labels]]
name = "饭"
[[heads]]
name = "spicy"
kind = "binary"
[[heads.labels]]
name = "spicy"
"""


def _rows() -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for n in range(30):
        rows.append({"id": f"s{n}", "text": f"这碗汤第{n}次喝了，汤很鲜", "dish": "汤", "spicy": n % 3 == 0})
        rows.append({"id": f"r{n}", "text": f"米饭{n}碗，饭太硬", "dish": "饭"})  # lacks a head: masked
    return rows


@pytest.fixture(scope="module")
def bundle(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("train")
    (folder / "rows.jsonl").write_text("\n".join(json.dumps(r, ensure_ascii=False) for r in _rows()), "utf-8")
    (folder / "my.toml").write_text(TAXONOMY, "utf-8")
    command = [
        sys.executable, "-m", "fankui", "train", "--data", "rows.jsonl", "--taxonomy", "my.toml",
        "--base", str(tiny_base), "--epochs", "20", "--batch-size", "8", "--learning-rate", "2e-3",
        "--max-tokens", "64", "--out", "bundle", "--serving-copy", "serving",
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder / "bundle"


def test_sixty_rows_become_a_bundle_that_answers(bundle: Path, run_fankui: RunFankui) -> None:
    done = run_fankui("classify", "--json", "--bundle", str(bundle), "这碗汤很鲜", "饭太硬了")
    assert done.returncode == 0, done.stderr
    soup, rice = (json.loads(line) for line in done.stdout.splitlines())
    assert (soup["dish"], rice["dish"]) == ("汤", "饭")
    assert set(soup) == {
        "text", "dish", "dish_score", "spicy", "spicy_score", "needs_review", "review_reason", "label_error",
        "model_version",
    }  # fmt: skip
    provenance = open_bundle(bundle).provenance
    assert provenance["rows"] == {"train": 42, "validation": 18, "calibration": 18}
    assert len((bundle / "training_rows.txt").read_text("utf-8").split()) == 42
    assert provenance["config"]["learning_rate"] == 2e-3 and provenance["versions"]["torch"] == torch.__version__


def test_serving_copy_says_the_same_in_less(bundle: Path) -> None:
    small = bundle.parent / "serving"
    assert not (small / "model.safetensors").exists() and not (small / "onnx" / "model.onnx").exists()
    texts = ["这碗汤很鲜", "饭太硬了", "不知道吃什么"]
    for ours, theirs in zip(Classifier.load(bundle).predict(texts), Classifier.load(small).predict(texts), strict=True):
        assert (ours.labels, ours.probabilities) == (theirs.labels, theirs.probabilities)


def test_stock_pipeline_gives_our_logits(bundle: Path) -> None:
    from model.engine import OnnxEngine
    from model.tokenizer import WindowTokenizer

    texts = ["这碗汤很鲜", "饭太硬了,ABC 12"]
    stock = pipeline(
        "text-classification",
        model=str(bundle),
        top_k=None,
        function_to_apply="none",
        device="cpu",
        dtype=torch.float32,
    )
    names = Taxonomy.from_dict(json.loads((bundle / "bundle.json").read_text("utf-8"))["taxonomy"]).logit_names
    theirs = np.array([[{x["label"]: x["score"] for x in row}[name] for name in names] for row in stock(texts)])
    windows = [w[0] for w in WindowTokenizer(bundle / "tokenizer.json", 64).encode(texts)]
    assert OnnxEngine(bundle / "onnx" / "model.onnx").run(windows) == pytest.approx(theirs, abs=1e-4)


def test_one_batch_can_be_learned_by_heart(tiny_base: Path) -> None:
    taxonomy = Taxonomy.default()
    batch = [record.to_dict() for record in read_split("train")[:8]]
    config = FinetuneConfig(
        epochs=300, batch_size=8, learning_rate=3e-3, dropout=0.0, imbalance_power=0.0, max_tokens=64
    )
    result = finetune(str(tiny_base), taxonomy, batch, batch, config)
    decided = decide_plain(taxonomy, predict_logits(result.model, result.tokenizer, batch, taxonomy, 64))
    assert (decided == targets(batch, taxonomy)).mean() > 0.99


def test_runs_are_averaged(tiny_base: Path) -> None:
    taxonomy = Taxonomy.default()
    batch = [record.to_dict() for record in read_split("train")[:12]]
    config = FinetuneConfig(epochs=2, batch_size=4, learning_rate=3e-3, max_tokens=32, keep_best=False)
    alone, both = (finetune(str(tiny_base), taxonomy, batch, batch, replace(config, average=n)) for n in (1, 2))
    assert [(e["seed"], e["epoch"]) for e in both.history] == [(0, 1), (0, 2), (1, 1), (1, 2)]
    first, mean = (r.model.get_parameter("classifier.weight").detach() for r in (alone, both))
    second = 2 * mean - first  # what the other run must have learned
    assert 1e-4 < float((mean - first).abs().max()) < 0.1 and float((second - first).abs().max()) < 0.2


def test_what_only_a_teacher_said_is_learned(tiny_base: Path) -> None:
    taxonomy = Taxonomy.default()
    batch = [{**record.to_dict(), "topics": []} for record in read_split("train")[:8]]
    texts = [record.text for record in read_split("validation")[:8]]
    said = targets(batch, taxonomy)
    said[:, taxonomy.slices["topics"]] = [[0.95, 0.05, 0.05, 0.95]] * 8
    config = FinetuneConfig(
        epochs=120, batch_size=8, learning_rate=3e-3, dropout=0.0, imbalance_power=0.0, max_tokens=64, keep_best=False
    )
    result = finetune(str(tiny_base), taxonomy, batch, batch, config, taught=TaughtTexts(texts, said))
    records = [*batch, *({"text": text} for text in texts)]
    logits = predict_logits(result.model, result.tokenizer, records, taxonomy, 64)
    topics = decide_plain(taxonomy, logits)[:, taxonomy.slices["topics"]]
    assert not topics[:8].any() and (topics[8:] == [1, 0, 0, 1]).all()


def test_unlabelled_rows_are_learned_through_a_teacher(bundle: Path, tiny_base: Path, run_fankui: RunFankui) -> None:
    folder, version = bundle.parent, open_bundle(bundle).model_version
    cells = [f"今天第{n}碗{'汤' if n % 2 else '饭'}不错" for n in range(40)]
    known = str(_rows()[0]["text"])
    lines = [f"{number},{text}" for number, text in enumerate([*cells, cells[0], known, ""])]
    (folder / "old.csv").write_text("\n".join(["工单号,内容", *lines, ""]), "gb18030")
    (folder / "more.txt").write_text("再来一碗汤\n\n饭冷了\n", "utf-8")
    command = [
        "train", "--data", str(folder / "rows.jsonl"), "--taxonomy", str(folder / "my.toml"), "--base", str(tiny_base),
        "--epochs", "1", "--max-tokens", "64", "--out", str(folder / "student"),
    ]  # fmt: skip
    more = ["--unlabelled", str(folder / "old.csv"), str(folder / "more.txt")]
    done = run_fankui(*command, *more, "--teacher", str(bundle), str(bundle))
    assert done.returncode == 0, done.stderr
    learned = open_bundle(folder / "student").provenance["taught"]
    assert learned["texts"] == 42 and learned["teachers"] == [version, version]
    assert "old.csv: 40 of 43 rows are new texts" in done.stderr and "gb18030" in done.stderr
    alone = run_fankui(*command, *more)
    assert alone.returncode == 2 and "go together" in alone.stderr
    other = run_fankui(*command, *more, "--teacher", str(ROOT / "model" / "default"))
    assert other.returncode == 3 and "other heads" in other.stderr and "Traceback" not in other.stderr


def test_a_teacher_says_what_it_serves(bundle: Path) -> None:
    texts = ["这碗汤很鲜", "饭太硬了", "不知道"]
    teacher = Classifier.load(bundle)
    one = taught([bundle], teacher.taxonomy, texts)
    assert one.probabilities == pytest.approx(teacher.probabilities(texts), abs=1e-6)
    assert one.probabilities[:, :2].sum(axis=1) == pytest.approx(1, abs=1e-5)


def test_unknown_base_and_small_data_are_named(run_fankui: RunFankui, tmp_path: Path) -> None:
    (tmp_path / "few.tsv").write_text("好\t很好\n坏\t很坏\n", "utf-8")
    done = run_fankui("train", "--data", str(tmp_path / "few.tsv"), "--out", str(tmp_path / "o"))
    assert done.returncode == 3 and "too few" in done.stderr and "Traceback" not in done.stderr
    (tmp_path / "rows.tsv").write_text("".join(f"{'好坏'[n % 2]}\t句子{n}\n" for n in range(60)), "utf-8")
    done = run_fankui(
        "train", "--data", str(tmp_path / "rows.tsv"), "--base", str(tmp_path), "--out", str(tmp_path / "o")
    )
    assert done.returncode == 3 and str(tmp_path) in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "o").exists() and not (tmp_path / "o.work").exists()


def test_evaluate_prints_and_writes_figures(run_fankui: RunFankui, tmp_path: Path) -> None:
    rows = [
        {"text": "打不开了", "topics": ["ui"], "urgency": "high"},
        {"text": "挺好", "topics": [], "urgency": "low"},
    ] * 5
    (tmp_path / "rows.jsonl").write_text("\n".join(json.dumps(r, ensure_ascii=False) for r in rows), "utf-8")
    done = run_fankui(
        "evaluate", str(tmp_path / "rows.jsonl"), "--no-baseline", "--labels", "--json", str(tmp_path / "r.json")
    )
    assert done.returncode == 0, done.stderr
    assert (
        "topics macro_f1" in done.stdout and "urgency quadratic_kappa" in done.stdout and "topics/other" in done.stdout
    )
    (report,) = json.loads((tmp_path / "r.json").read_text("utf-8"))["sets"].values()
    assert report["fankui"]["n"] == 10 and set(report["fankui"]["heads"]) == {"topics", "urgency"}
    done = run_fankui("evaluate", str(tmp_path / "none.jsonl"), "--no-baseline")
    assert done.returncode == 3 and "no such file" in done.stderr


def test_judging_by_hand() -> None:
    taxonomy = Taxonomy.default()
    records = [{"text": "a", "urgency": "high"}, {"text": "b", "urgency": "high"}, {"text": "c", "urgency": "low"}]
    said = targets([{"text": "x", "urgency": u} for u in ("high", "low", "low")], taxonomy)
    decided = np.nan_to_num(said).astype(np.int64)
    report = judge(taxonomy, records, decided, review=np.array([False, True, False]), intervals=False)
    escalation = report["heads"]["urgency"]["escalation"]
    assert escalation == {
        "recall": 0.5, "recall_with_review": 1.0, "predicted_share": pytest.approx(1 / 3),
        "true_share": pytest.approx(2 / 3), "support": 2,
    }  # fmt: skip


PRETRAINING = """
name = "smoke"
tokens_per_step = 512
checkpoint_minutes = 0.005
[vocabulary]
size = 1500
min_character_count = 2
[encoder]
layers = 1
hidden = 32
heads = 2
intermediate = 64
max_positions = 128
[[stages]]
minutes = 0.12
warmup_steps = 5
[[stages]]
minutes = 0.04
lr_start = 1e-3
lr_end = 1e-5
general_weight = 0.0
[[stages]]
minutes = 0.03
warmup_steps = 2
replaced_weight = 10.0
[[sources]]
file = "feedback.txt"
in_domain = true
weight = 2
[[sources]]
file = "other.txt"
"""


def test_pretraining_survives_a_kill_and_its_encoder_can_be_tuned(tmp_path: Path) -> None:
    texts = [record.text.replace("\n", " ") for record in read_split("validation")]
    (tmp_path / "feedback.txt").write_text("\n".join(texts[:300]), "utf-8")
    (tmp_path / "other.txt").write_text("\n".join(texts[300:]), "utf-8")
    (tmp_path / "c.toml").write_text(PRETRAINING, "utf-8")
    command = [
        sys.executable,
        "-m",
        "fankui",
        "pretrain",
        "--config",
        "c.toml",
        "--corpus",
        ".",
        "--out",
        "run",
        "--no-compile",
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    checkpoint = tmp_path / "run" / "checkpoint" / "progress.json"
    first = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not checkpoint.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    first.send_signal(signal.SIGKILL)
    first.wait()
    step = json.loads(checkpoint.read_text("utf-8"))["step"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    assert f"going on at step {step}" in done.stderr
    record = json.loads((tmp_path / "run" / "encoder" / "pretraining.json").read_text("utf-8"))
    assert record["progress"]["step"] > step and record["unknown_share"] < 0.02
    assert record["progress"]["loss"] < np.log(1500)
    tuned = AutoModelForSequenceClassification.from_pretrained(tmp_path / "run" / "encoder", num_labels=3)
    assert tuned.config.num_hidden_layers == 1

    further = [*command[:-2], "further", "--no-compile", "--weights", "run/encoder"]
    done = subprocess.run(
        further, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    own, new = (tmp_path / run / "encoder" / "tokenizer.json" for run in ("run", "further"))
    assert json.loads(own.read_text("utf-8")) == json.loads(new.read_text("utf-8"))
