"""A bundle in other people's programs: transformers 4.57 and optimum-onnx, in an environment of their own."""

from __future__ import annotations

import json
import os
import site
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import pytest

from data.taxonomy import Head, Label, Taxonomy
from model.bundle import Bundle, open_bundle
from model.engine import OnnxEngine
from model.tokenizer import WindowTokenizer
from training.finetune import FinetuneConfig
from training.train import train_bundle
from training.training_data import TrainingData

PACKAGES = (
    "transformers==4.57.6", "huggingface-hub==0.36.0", "tokenizers==0.22.2", "optimum==2.1.0", "optimum-onnx==0.1.0",
    "requests", "urllib3", "certifi", "idna", "charset-normalizer", "hf-xet",
)  # fmt: skip
"""What differs from this environment; everything else (torch, onnxruntime, numpy) is taken from it."""

TEXTS = ["这碗汤很鲜", "饭太硬了,ABC"]
PROGRAM = """
import json, sys, transformers
from optimum.onnxruntime import ORTModelForSequenceClassification
from transformers import AutoTokenizer, pipeline
assert transformers.__version__.startswith("4.57"), transformers.__version__
bundle, texts = sys.argv[1], json.loads(sys.argv[2])
found = {}
for name in ("model.onnx", "model_int8.onnx"):
    model = ORTModelForSequenceClassification.from_pretrained(bundle, subfolder="onnx", file_name=name)
    tokenizer = AutoTokenizer.from_pretrained(bundle)
    found[name] = [model(**tokenizer(text, return_tensors="pt")).logits[0].tolist() for text in texts]
stock = pipeline("text-classification", model=bundle, top_k=None, function_to_apply="none", device="cpu")
names = [model.config.id2label[number] for number in range(len(model.config.id2label))]
found["torch"] = [[{one["label"]: one["score"] for one in row}[name] for name in names] for row in stock(texts)]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def bundle(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    head = Head("dish", "single_label", (Label("汤"), Label("饭")))
    rows = [{"text": f"这碗{'汤饭'[n % 2]}第{n}次吃", "dish": "汤饭"[n % 2]} for n in range(24)]
    out = tmp_path_factory.mktemp("interop") / "bundle"
    data = TrainingData(rows, rows, rows)
    train_bundle(data, Taxonomy("kitchen", "1", (head,)), out, str(tiny_base), FinetuneConfig(epochs=1))
    return open_bundle(out)


@pytest.fixture(scope="module")
def python457(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter with transformers 4.57 and optimum-onnx before this environment's packages."""
    folder = tmp_path_factory.mktemp("venv457")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", *PACKAGES]
    try:
        subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
    except subprocess.TimeoutExpired:
        pytest.skip("transformers 4.57 and optimum-onnx were not installed within ten minutes")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"transformers 4.57 and optimum-onnx cannot be installed here: {error.stderr.strip()[-300:]}")
    own = next((folder / "lib").glob("python3*")) / "site-packages"
    (own / "later.pth").write_text("\n".join(site.getsitepackages()) + "\n", "utf-8")
    return python


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_transformers_4_and_optimum_read_a_bundle(bundle: Bundle, python457: Path, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(python457), "-P", "-c", PROGRAM, str(bundle.folder), json.dumps(TEXTS)],
        cwd=tmp_path, env={**environment, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    windows = [w[0] for w in WindowTokenizer(bundle.path("tokenizer.json"), bundle.max_tokens).encode(TEXTS)]
    for name in ("model.onnx", "model_int8.onnx"):
        ours = OnnxEngine(bundle.path(f"onnx/{name}")).run(windows)
        assert np.array(found[name]) == pytest.approx(ours, abs=1e-4), name
    assert np.array(found["torch"]) == pytest.approx(OnnxEngine(bundle.path("onnx/model.onnx")).run(windows), abs=1e-4)
    assert sys.version_info[:2] >= (3, 11)
