from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from model.bundle import default_folder, open_bundle
from model.classifier import Classifier
from model.errors import BundleError, BundleMissing, BundleTampered


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(default_folder(), tmp_path / "bundle"))


def test_shipped_bundle_is_whole_and_small() -> None:
    bundle = open_bundle()
    size = sum(path.stat().st_size for path in bundle.folder.rglob("*") if path.is_file())
    assert size <= 15_000_000
    assert not list(bundle.folder.rglob("*.bin")) and not list(bundle.folder.rglob("*.pkl"))
    config = json.loads(bundle.path("config.json").read_text("utf-8"))
    assert [config["id2label"][str(n)] for n in range(len(bundle.taxonomy.logit_names))] == list(
        bundle.taxonomy.logit_names
    )
    assert config["problem_type"] == "multi_label_classification"


def test_missing_folder_and_missing_file(copy: Path) -> None:
    with pytest.raises(BundleMissing, match=r"bundle\.json is missing"):
        open_bundle(copy / "nowhere")
    (copy / "tokenizer.json").unlink()
    with pytest.raises(BundleMissing, match=r"tokenizer\.json"):
        open_bundle(copy)


def test_changed_file_is_found(copy: Path) -> None:
    path = copy / "tokenizer.json"
    path.write_bytes(path.read_bytes()[:-1] + b" ")
    with pytest.raises(BundleTampered, match="SHA-256 differs"):
        Classifier.load(copy)


def test_changed_manifest_is_found(copy: Path) -> None:
    manifest = json.loads((copy / "bundle.json").read_text("utf-8"))
    manifest["decisions"]["topics"]["thresholds"][0] = 0.01
    (copy / "bundle.json").write_text(json.dumps(manifest), "utf-8")
    with pytest.raises(BundleTampered, match="model_version"):
        open_bundle(copy)


def test_other_schema_and_broken_json(copy: Path) -> None:
    (copy / "bundle.json").write_text('{"schema_version": 99}', "utf-8")
    with pytest.raises(BundleError, match="schema_version"):
        open_bundle(copy)
    (copy / "bundle.json").write_text("{", "utf-8")
    with pytest.raises(BundleTampered, match="not JSON"):
        open_bundle(copy)
