"""The bundle: a Hugging Face folder with `bundle.json`, which says how logits become decisions.

``bundle.json`` names every file with its SHA-256; ``model_version`` is derived from all of it, so two bundles
that decide differently never share a version and a changed file is found when the bundle is opened.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from data.errors import TaxonomyError
from data.taxonomy import Taxonomy
from model.errors import BundleError, BundleMissing, BundleTampered

MANIFEST: Final = "bundle.json"
SCHEMA_VERSION: Final = 1


@dataclass(frozen=True)
class HeadDecision:
    """How one head's logits become probabilities and labels.

    Attributes:
        scale: (n_labels,) factors on the logits (1 / temperature).
        bias: (n_labels,) added after scaling.
        thresholds: (n_labels,) probability from which a label is given; multi-label and binary heads.
        escalate_threshold: probability of the escalating labels together from which one of them is given.
        review_below: confidence under which a person should look; 0 never.
    """

    scale: tuple[float, ...]
    bias: tuple[float, ...]
    thresholds: tuple[float, ...] = ()
    escalate_threshold: float | None = None
    review_below: float = 0.0

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> HeadDecision:
        """Read what `dataclasses.asdict` and JSON made of one."""
        lists = {name: tuple(map(float, values[name])) for name in ("scale", "bias", "thresholds")}
        return cls(**lists, escalate_threshold=values["escalate_threshold"], review_below=float(values["review_below"]))


@dataclass(frozen=True)
class Bundle:
    """An opened and checked bundle.

    Attributes:
        folder: where it lies.
        taxonomy: the heads.
        decisions: one a head.
        max_tokens: pieces the model reads at once, special ones included.
        onnx: names of ONNX files by precision (``int8``, ``fp32``), relative to the folder.
        metrics: measured figures, as evaluation wrote them.
        provenance: what it was made from.
        model_version: derived from all of the above and every file's hash.
    """

    folder: Path
    taxonomy: Taxonomy
    decisions: Mapping[str, HeadDecision]
    max_tokens: int
    onnx: Mapping[str, str]
    model_version: str
    metrics: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def path(self, name: str) -> Path:
        """Path of one of the bundle's files."""
        return self.folder / name

    @property
    def default_onnx(self) -> Path:
        """The ONNX file to serve: int8 where there is one."""
        return self.folder / (self.onnx.get("int8") or self.onnx["fp32"])


def default_folder() -> Path:
    """Folder of the bundle that ships with the project."""
    return Path(str(files("model").joinpath("default")))


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def version_of(manifest: Mapping[str, Any]) -> str:
    """The version a manifest's content gives: 12 hex digits."""
    content = {name: value for name, value in manifest.items() if name != "model_version"}
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:12]


def write_manifest(
    folder: Path,
    taxonomy: Taxonomy,
    decisions: Mapping[str, HeadDecision],
    max_tokens: int,
    onnx: Mapping[str, str],
    metrics: Mapping[str, Any],
    provenance: Mapping[str, Any],
) -> str:
    """Write ``bundle.json`` over all files in the folder.

    Args:
        folder: a complete bundle but for the manifest.
        taxonomy: the heads.
        decisions: one a head.
        max_tokens: pieces the model reads at once.
        onnx: names of ONNX files by precision.
        metrics: measured figures.
        provenance: what the bundle was made from.

    Returns:
        The model version.
    """
    names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file() and p.name != MANIFEST)
    manifest: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "taxonomy": taxonomy.to_dict(),
        "logits": {name: [where.start, where.stop] for name, where in taxonomy.slices.items()},
        "decisions": {name: asdict(decision) for name, decision in decisions.items()},
        "max_tokens": max_tokens,
        "onnx": dict(onnx),
        "metrics": dict(metrics),
        "provenance": dict(provenance),
        "files": {name: sha256_of(folder / name) for name in names},
    }
    manifest = json.loads(json.dumps(manifest))
    manifest["model_version"] = version_of(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest, ensure_ascii=False, indent=1) + "\n", "utf-8")
    return str(manifest["model_version"])


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    if not path.is_file():
        raise BundleMissing(f"no bundle in {folder}: {MANIFEST} is missing; give a folder that `fankui train` wrote")
    try:
        manifest = json.loads(path.read_text("utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise BundleTampered(f"{path} is not JSON: {error}") from error
    if not isinstance(manifest, dict) or manifest.get("schema_version") != SCHEMA_VERSION:
        raise BundleError(f"{path}: schema_version is not {SCHEMA_VERSION}; this fankui cannot read it")
    if manifest.get("model_version") != version_of(manifest):
        raise BundleTampered(f"{path} does not match its model_version; restore the released file or train again")
    return manifest


def open_bundle(folder: Path | None = None) -> Bundle:
    """Open a bundle and check every file against the manifest.

    Args:
        folder: a bundle; the shipped one by default.

    Raises:
        BundleMissing: the folder or a named file is not there.
        BundleTampered: a file or the manifest was changed.
        BundleError: the manifest is of another schema or malformed.
    """
    folder = folder or default_folder()
    manifest = _read_manifest(folder)
    for name, expected in manifest["files"].items():
        if not (folder / name).is_file():
            raise BundleMissing(f"{folder / name} is missing from the bundle")
        if sha256_of(folder / name) != expected:
            raise BundleTampered(
                f"{folder / name} is not the released file (SHA-256 differs); restore it or train again"
            )
    try:
        taxonomy = Taxonomy.from_dict(manifest["taxonomy"])
        decisions = {name: HeadDecision.from_dict(values) for name, values in manifest["decisions"].items()}
        if list(decisions) != [head.name for head in taxonomy.heads]:
            raise BundleError(f"{folder / MANIFEST}: decisions and taxonomy name different heads")
        return Bundle(
            folder, taxonomy, decisions, int(manifest["max_tokens"]), manifest["onnx"], manifest["model_version"],
            manifest["metrics"], manifest["provenance"],
        )  # fmt: skip
    except (KeyError, TypeError, ValueError, TaxonomyError) as error:
        raise BundleError(f"{folder / MANIFEST} is malformed: {error}") from error
