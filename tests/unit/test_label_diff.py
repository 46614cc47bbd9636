from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from data.errors import ColumnMissing, TableError
from data.tables import Column, format_of, open_table, open_writer
from serving.label_diff import compare, difference_text

COLUMNS = tuple(map(Column, ["id", "text", "topics", "topics_scores", "issues", "urgency", "urgency_score"])) + tuple(
    map(Column, ["needs_review", "review_reason", "label_error", "model_version"])
)


def row(key: str, text: str, topics: list[str], urgency: str, version: str = "old", **more: Any) -> dict[str, Any]:
    labels = {"topics": topics, "topics_scores": {"security": 0.5}, "issues": [], "urgency": urgency}
    rest = {"urgency_score": 0.5, "needs_review": False, "review_reason": None, "label_error": None}
    return {"id": key, "text": text, **labels, **rest, "model_version": version, **more}


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    with path.open("wb") as stream:
        writer = open_writer(stream, format_of(path), {"": COLUMNS})
        for cells in rows:
            writer.write(cells)
        writer.close()
    return path


OLD = [
    row("1", "盗刷", ["security"], "high"),
    row("2", "闪退", ["ui"], "normal"),
    row("3", "扣款失败", ["payment_failure", "ui"], "high"),
    row("4", "好", [], "low"),
    row("5", "删掉的", [], "low"),
]
NEW = [
    row("2", "闪退", ["ui"], "normal", "new"),
    row("1", "盗刷", ["security"], "critical", "new"),
    row("4", "好", [], "low", "new", needs_review=True),
    row("6", "新来的", [], "low", "new"),
    row("3", "扣款失败", ["ui", "security"], "critical", "new"),
]


@pytest.mark.parametrize(("old", "new"), [("a.jsonl", "b.jsonl"), ("a.csv", "b.jsonl"), ("a.xlsx", "b.csv")])
def test_changes_are_counted_whatever_the_order_and_format(tmp_path: Path, old: str, new: str) -> None:
    tables = open_table(write(tmp_path / old, OLD)), open_table(write(tmp_path / new, NEW))
    values = compare(*tables, None, None, 1).to_dict(10)
    assert (values["rows"], values["changed_rows"], values["only_old"], values["only_new"]) == (4, 3, 1, 1)
    assert values["old_versions"] == ["old"] and values["new_versions"] == ["new"]
    assert list(values["columns"]) == ["topics", "issues", "urgency", "needs_review", "label_error"]
    assert values["columns"]["issues"]["changed"] == values["columns"]["label_error"]["changed"] == 0
    assert values["columns"]["topics"] == {
        "changed": 1,
        "gained": {"security": 1},
        "lost": {"payment_failure": 1},
        "moves": [{"old": ["payment_failure", "ui"], "new": ["security", "ui"], "rows": 1, "examples": ["扣款失败"]}],
    }
    urgency = values["columns"]["urgency"]
    assert urgency["gained"] == {"critical": 2} and urgency["lost"] == {"high": 2}
    assert urgency["moves"] == [{"old": ["high"], "new": ["critical"], "rows": 2, "examples": ["盗刷"]}]
    text = difference_text(values)
    assert "model old → new" in text and "high → critical: 2" in text and "3 changed (75.0%)" in text
    assert "the same everywhere: issues, label_error" in text


def test_rows_without_id_belong_together_by_text_even_when_texts_repeat(tmp_path: Path) -> None:
    old = [{**cells, "id": None} for cells in [OLD[0], OLD[1], OLD[1]]]
    new = [{**cells, "id": None} for cells in [OLD[1], NEW[1], OLD[1]]]
    tables = open_table(write(tmp_path / "a.csv", old)), open_table(write(tmp_path / "b.csv", new))
    for id_column in (None, "text"):
        found = compare(*tables, id_column, None, 1)
        assert (found.rows, found.changed_rows, found.only_old, found.only_new) == (3, 1, 0, 0)


def test_a_text_that_csv_had_to_make_harmless_is_still_the_same_text(tmp_path: Path) -> None:
    old, new = row("", "=1+1 打不开", ["ui"], "normal"), row("", "=1+1 打不开", ["ui"], "high", "new")
    tables = open_table(write(tmp_path / "a.csv", [old])), open_table(write(tmp_path / "b.jsonl", [new]))
    found = compare(*tables, None, None, 1)
    assert (found.rows, found.only_old, found.only_new) == (1, 0, 0)
    assert found.columns["urgency"].changed == 1


def test_files_without_labels_are_refused(tmp_path: Path) -> None:
    plain = tmp_path / "plain.jsonl"
    plain.write_text(json.dumps({"id": "1", "text": "好", "urgency": "low"}) + "\n")
    other = write(tmp_path / "a.jsonl", OLD)
    with pytest.raises(TableError, match=r"plain\.jsonl has no labels"):
        compare(open_table(plain), open_table(other), None, None, 1)
    with pytest.raises(ColumnMissing, match="no column 'nr'"):
        compare(open_table(other), open_table(other), "nr", None, 1)
