"""The corpus as it is read: records, ids, folders, errors that name the place."""

import json
import shutil
from pathlib import Path

import pytest

from data.corpus import (
    CORPUS_SPLITS,
    FIELDS,
    CorpusRecord,
    corpus_folder,
    read_corpus,
    read_lines,
    read_split,
    record_id,
    split_path,
    write_lines,
)
from data.errors import TableError

RECORD = {
    "id": record_id("公交码刷不出来"),
    "text": "公交码刷不出来",
    "topics": ["payment_failure"],
    "issues": ["payment_failure.transit"],
    "urgency": "high",
    "handling": "investigate",
    "sentiment": "negative",
    "churn_risk": False,
    "channel": "in_app",
    "enriched": False,
}


def test_id_is_the_first_ten_hex_digits_of_the_sha1() -> None:
    assert record_id("abc") == "a9993e3647"


def test_a_record_survives_writing_and_reading(tmp_path: Path) -> None:
    for split in CORPUS_SPLITS:
        write_lines(tmp_path / f"{split}.jsonl", [RECORD])
    record = read_split("test", tmp_path)[0]
    assert record == CorpusRecord.from_dict(RECORD)
    assert record.topics == ("payment_failure",)
    assert record.to_dict() == RECORD
    assert tuple(record.to_dict()) == FIELDS
    assert {split: len(records) for split, records in read_corpus(tmp_path).items()} == dict.fromkeys(CORPUS_SPLITS, 1)


def test_line_separators_inside_a_text_do_not_break_a_line(tmp_path: Path) -> None:
    write_lines(tmp_path / "x.jsonl", [{"text": "一\n二\u2028三\x85四"}, {"text": "五"}])
    assert [(n, row["text"]) for n, row in read_lines(tmp_path / "x.jsonl")] == [(1, "一\n二\u2028三\x85四"), (2, "五")]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"urgency": None}, "urgency"),
        ({"topics": "ui"}, "topics"),
        ({"issues": [1]}, "issues"),
        ({"churn_risk": "false"}, "churn_risk"),
        ({"stars": 1}, "stars"),
    ],
)
def test_a_wrong_field_is_named_with_file_and_line(tmp_path: Path, change: dict[str, object], named: str) -> None:
    write_lines(tmp_path / "train.jsonl", [RECORD, {**RECORD, **change}])
    with pytest.raises(TableError, match=rf"train\.jsonl:2: .*{named}"):
        read_split("train", tmp_path)


def test_a_missing_field_is_named(tmp_path: Path) -> None:
    write_lines(tmp_path / "train.jsonl", [{name: value for name, value in RECORD.items() if name != "channel"}])
    with pytest.raises(TableError, match=r"missing \['channel'\]"):
        read_split("train", tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a": 1}\n{"a":', r"x\.jsonl:2: not JSON"),
        (b"[1]\n", r"x\.jsonl:1: not a JSON object"),
        (b'{"a": "\xff"}\n', "not UTF-8.*byte 7"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "x.jsonl").write_bytes(content)
    with pytest.raises(TableError, match=message):
        list(read_lines(tmp_path / "x.jsonl"))


def test_a_missing_file_and_an_unknown_split_are_named(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"cannot read .*train\.jsonl"):
        read_split("train", tmp_path)
    with pytest.raises(TableError, match="no split 'dev'; the splits are train, validation, test"):
        split_path("dev", tmp_path)


def test_the_corpus_is_found_beside_the_module() -> None:
    assert corpus_folder() == Path(__file__).parents[2] / "data" / "corpus"


def test_an_installed_package_finds_the_corpus_of_the_checkout_it_runs_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As installed: the module lies in a folder without a corpus."""
    import data.corpus as module

    installed = tmp_path / "site-packages" / "data" / "corpus.py"
    monkeypatch.setattr(module, "__file__", str(installed))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TableError, match="run from a checkout"):
        corpus_folder()
    checkout = tmp_path / "data" / "corpus"
    checkout.mkdir(parents=True)
    for split in CORPUS_SPLITS:
        shutil.copy(Path(__file__).parents[2] / "data" / "corpus" / f"{split}.jsonl", checkout)
    assert corpus_folder() == checkout
    assert json.loads((checkout / "test.jsonl").read_text("utf-8").split("\n")[0])["id"] == read_split("test")[0].id
