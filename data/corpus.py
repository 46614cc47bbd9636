"""The authored corpus: hand-written feedback with the labels of every head, in three fixed splits.

The files lie in ``data/corpus/`` of a checkout and are no part of the wheel: who serves a bundle does not
need them, and who trains works from a checkout or names a folder.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from data.errors import TableError

CORPUS_SPLITS: Final = ("train", "validation", "test")
CHANNELS: Final = ("app_review", "in_app", "ticket", "chat", "sms", "email", "call_note", "social")
FIELDS: Final = (
    "id",
    "text",
    "topics",
    "issues",
    "urgency",
    "handling",
    "sentiment",
    "churn_risk",
    "channel",
    "enriched",
)


@dataclass(frozen=True)
class CorpusRecord:
    """One labelled piece of feedback.

    Attributes:
        id: first 10 hex digits of the SHA-1 of the text.
        text: as a person would type it.
        topics: zero or more labels of the ``topics`` head, in the taxonomy's order.
        issues: zero or more labels of the ``issues`` head, in the taxonomy's order.
        urgency: one label of the ``urgency`` head.
        handling: one label of the ``handling`` head.
        sentiment: one label of the ``sentiment`` head.
        churn_risk: whether the author says or threatens to leave.
        channel: where such a text would arrive, one of `CHANNELS`; never a model input.
        enriched: written to fill a rare class; leave these out to keep nearer to natural shares.
    """

    id: str
    text: str
    topics: tuple[str, ...]
    issues: tuple[str, ...]
    urgency: str
    handling: str
    sentiment: str
    churn_risk: bool
    channel: str
    enriched: bool

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> CorpusRecord:
        """Build a record from a parsed line.

        Raises:
            TableError: a field is missing, unknown or of the wrong type.
        """
        if set(values) != set(FIELDS):
            missing = [name for name in FIELDS if name not in values]
            unknown = sorted(set(values) - set(FIELDS))
            raise TableError(
                f"a corpus record has the fields {', '.join(FIELDS)}; missing {missing}, unknown {unknown}"
            )
        for name, value in values.items():
            if not _fits(name, value):
                raise TableError(f"field {name!r} cannot be {value!r}")
        lists = {name: tuple(values[name]) for name in ("topics", "issues")}
        return cls(**{**values, **lists})

    def to_dict(self) -> dict[str, Any]:
        """Plain values in the order of `FIELDS`."""
        values = {name: getattr(self, name) for name in FIELDS}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def record_id(text: str) -> str:
    """The id of a text: first 10 hex digits of its SHA-1."""
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()[:10]


def corpus_folder() -> Path:
    """Where the corpus lies: beside this module, or in the checkout that is worked in.

    Raises:
        TableError: neither place has it.
    """
    # An installed wheel has no corpus; its user may still stand in a checkout.
    for folder in (Path(__file__).parent / "corpus", Path.cwd() / "data" / "corpus"):
        if all((folder / f"{split}.jsonl").is_file() for split in CORPUS_SPLITS):
            return folder
    raise TableError(
        "the authored corpus is not here: it is no part of the installed package; run from a checkout of fankui "
        "or name a folder with train.jsonl, validation.jsonl and test.jsonl"
    )


def split_path(split: str, folder: Path | None = None) -> Path:
    """The file of one split.

    Args:
        split: one of `CORPUS_SPLITS`.
        folder: where the corpus lies; `corpus_folder` by default.

    Raises:
        TableError: there is no such split or no corpus.
    """
    if split not in CORPUS_SPLITS:
        raise TableError(f"no split {split!r}; the splits are {', '.join(CORPUS_SPLITS)}")
    return (folder or corpus_folder()) / f"{split}.jsonl"


def read_split(split: str, folder: Path | None = None) -> list[CorpusRecord]:
    """Read one split, in file order.

    Raises:
        TableError: the file is missing, or a line is not a record; the message names file and line.
    """
    path = split_path(split, folder)
    records = []
    for number, values in read_lines(path):
        try:
            records.append(CorpusRecord.from_dict(values))
        except TableError as error:
            raise TableError(f"{path}:{number}: {error}") from error
    return records


def read_corpus(folder: Path | None = None) -> dict[str, list[CorpusRecord]]:
    """Read all splits by name; raises as `read_split`."""
    return {split: read_split(split, folder) for split in CORPUS_SPLITS}


def read_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a JSONL file with their line numbers; blank lines are skipped.

    Raises:
        TableError: the file is missing, is not UTF-8, or a line is not a JSON object.
    """
    try:
        lines = path.read_text("utf-8").split("\n")
    except OSError as error:
        raise TableError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise TableError(f"{path} is not UTF-8: {error.reason} at byte {error.start}") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except json.JSONDecodeError as error:
            raise TableError(f"{path}:{number}: not JSON: {error}") from error
        if not isinstance(values, dict):
            raise TableError(f"{path}:{number}: not a JSON object")
        yield number, values


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a JSONL file, one object a line, as it is read by `read_lines`."""
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_text(text, "utf-8", newline="\n")


def _fits(name: str, value: object) -> bool:
    if name in ("topics", "issues"):
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    return isinstance(value, bool if name in ("churn_risk", "enriched") else str)
