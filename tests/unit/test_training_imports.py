"""Labelled files of other people: what is read, what is left out, and what is said about it."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from data.errors import LabelError
from data.taxonomy import Head, Label, Taxonomy
from training.errors import DataError
from training.imports import ImportOptions, LabelReader, read_labelled, usable_records
from training.own_data import DataOptions, draft, prepare

TOPICS = Head(
    "topics", "multi_label", (Label("pay", zh="支付"), Label("login", zh="登录")), empty_set="other", zh="主题"
)
LEVEL = Head("level", "ordinal", (Label("low", zh="低"), Label("mid", zh="中"), Label("high", zh="高")))
LEAVES = Head("leaves", "binary", (Label("leaves"),))
TAXONOMY = Taxonomy("t", "1", (TOPICS, LEVEL, LEAVES))
MOOD = Taxonomy("m", "1", (Head("mood", "single_label", (Label("good"), Label("bad"))),))


def _records(path: Path, taxonomy: Taxonomy = TAXONOMY, **options: Any) -> list[dict[str, Any]]:
    heads = tuple(head.name for head in taxonomy.heads)
    file = read_labelled(path, ImportOptions(heads=heads, **options))
    return usable_records(file, LabelReader(taxonomy, "my.toml"))


def _json(path: Path, value: Any) -> Path:
    path.write_text(json.dumps(value, ensure_ascii=False), "utf-8")
    return path


def test_a_gbk_table_with_every_kind_of_head(tmp_path: Path) -> None:
    path = tmp_path / "工单.csv"
    rows = "编号,反馈内容,主题,level,leaves\r\n7,转账失败,支付|login,高,是\r\n8,挺好,,LOW,false\r\n9,随便,other,中,\r\n"
    path.write_bytes(rows.encode("gb18030"))
    assert _records(path) == [
        {"text": "转账失败", "id": "7", "topics": ["pay", "login"], "level": "high", "leaves": True},
        {"text": "挺好", "id": "8", "topics": [], "level": "low", "leaves": False},
        {"text": "随便", "id": "9", "topics": [], "level": "mid"},
    ]


def test_excel_and_jsonl_say_the_same(tmp_path: Path) -> None:
    rows = [("转账失败", "pay|login", "high", True), ("挺好", "", "low", False), ("登不上", "login", "mid", None)]
    names = ("内容", "topics", "level", "leaves")
    book = openpyxl.Workbook()
    for row in (names, *rows):
        book.worksheets[0].append(row)
    book.save(tmp_path / "rows.xlsx")
    lines = [json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False) for row in rows]
    (tmp_path / "rows.jsonl").write_text("\n".join(lines), "utf-8")
    excel, jsonl = _records(tmp_path / "rows.xlsx"), _records(tmp_path / "rows.jsonl")
    assert excel == jsonl
    assert excel[0] == {"text": "转账失败", "topics": ["pay", "login"], "level": "high", "leaves": True}
    assert "leaves" not in excel[2]


@pytest.mark.parametrize("name", ["train.tsv", "train.txt"])
def test_plain_lines_keep_quotes_and_tabs(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes('good\t"好"是好\nbad\t差\t很差\r\n\ngood\t"没有关的引号\n'.encode())
    assert _records(path, MOOD) == [
        {"text": '"好"是好', "mood": "good"},
        {"text": "差\t很差", "mood": "bad"},
        {"text": '"没有关的引号', "mood": "good"},
    ]


def test_plain_lines_the_other_way_round(tmp_path: Path) -> None:
    path = tmp_path / "train.tsv"
    path.write_text("很好\tgood\n真差\tbad\n不错\tgood\n", "utf-8")
    assert [record["mood"] for record in _records(path, MOOD)] == ["good", "bad", "good"]
    path.write_text("".join(f"文{n}\t句{n}\n" for n in range(30)), "utf-8")
    with pytest.raises(DataError, match="30 different labels"):
        read_labelled(path)


def test_a_header_is_not_taken_for_a_row(tmp_path: Path) -> None:
    path = tmp_path / "train.tsv"
    path.write_text("label\ttext_a\ngood\t很好\nbad\t差\n", "utf-8")
    assert _records(path, MOOD) == [{"text": "很好", "mood": "good"}, {"text": "差", "mood": "bad"}]
    path.write_text("mood\t说的话\ngood\t很好\n", "utf-8")
    assert _records(path, MOOD) == [{"text": "很好", "mood": "good"}]


STUDIO = [
    {
        "id": 11, "data": {"text": "转账失败", "source": "app"},
        "annotations": [
            {"was_cancelled": False, "updated_at": "2026-02-01", "result": [
                {"type": "choices", "from_name": "topics", "to_name": "text", "value": {"choices": ["pay", "login"]}},
                {"type": "choices", "from_name": "level", "to_name": "text", "value": {"choices": ["high"]}},
                {"type": "rating", "from_name": "stars", "to_name": "text", "value": {"rating": 3}},
            ]},
            {"was_cancelled": False, "updated_at": "2026-01-01", "result": [
                {"type": "choices", "from_name": "level", "to_name": "text", "value": {"choices": ["low"]}}]},
        ],
    },
    {"id": 12, "data": {"text": "挺好"}, "annotations": [{"result": [
        {"type": "choices", "from_name": "level", "to_name": "text", "value": {"choices": ["low"]}}]}]},
    {"id": 13, "data": {"text": "没人看过"}, "annotations": [{"was_cancelled": True, "result": []}]},
]  # fmt: skip


def test_label_studio_tasks(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert _records(_json(tmp_path / "export.json", STUDIO)) == [
        {"text": "转账失败", "id": "11", "topics": ["pay", "login"], "level": "high"},
        {"text": "挺好", "id": "12", "topics": [], "level": "low"},  # a person looked and chose no topic
    ]
    assert "1 tasks have several annotations, 1 of them differing" in caplog.text
    assert "'rating' are not labels" in caplog.text and "1 left out (no label)" in caplog.text


def test_label_studio_min(tmp_path: Path) -> None:
    flat = [
        {"id": 1, "annotation_id": 5, "text": "转账失败", "topics": {"choices": ["pay", "login"]}, "level": "高"},
        {"id": 2, "annotation_id": 6, "annotator": 1, "text": "登不上", "topics": "login", "lead_time": 3.2},
        {"id": 3, "annotation_id": 7, "annotator": 2, "text": "挺好", "level": "low"},
    ]  # fmt: skip
    assert _records(_json(tmp_path / "min.json", flat)) == [
        {"text": "转账失败", "id": "1", "topics": ["pay", "login"], "level": "high"},
        {"text": "登不上", "id": "2", "topics": ["login"]},
        {"text": "挺好", "id": "3", "topics": [], "level": "low"},
    ]
    spans = [
        {"id": 1, "data": {"text": "好"}, "annotations": [{"result": [{"type": "labels", "value": {"labels": ["x"]}}]}]}
    ]
    with pytest.raises(DataError, match="marks a part of the text"):
        read_labelled(_json(tmp_path / "spans.json", spans))


def test_doccano_lists_and_strings(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "doccano.jsonl"
    lines = [
        {"id": 1, "text": "很好", "label": ["good"], "Comments": []},
        {"id": 2, "text": "差", "label": "bad", "Comments": []},
        {"id": 3, "text": "还没标", "label": [], "Comments": []},
    ]
    path.write_text("\n".join(json.dumps(line, ensure_ascii=False) for line in lines), "utf-8")
    caplog.set_level(logging.INFO)
    records = _records(path, MOOD)
    assert records == [{"text": "很好", "id": "1", "mood": "good"}, {"text": "差", "id": "2", "mood": "bad"}]
    assert "1 left out (no label)" in caplog.text


def test_one_list_of_labels_is_dealt_out_to_several_heads(tmp_path: Path) -> None:
    path = tmp_path / "doccano.jsonl"
    path.write_text(
        '{"text": "转账失败", "label": ["支付", "level/high", "leaves"]}\n{"text": "好", "label": ["low"]}\n', "utf-8"
    )
    assert _records(path) == [
        {"text": "转账失败", "topics": ["pay"], "level": "high", "leaves": True},
        {"text": "好", "topics": [], "level": "low", "leaves": False},
    ]


def test_values_that_do_not_fit_are_named() -> None:
    reader = LabelReader(TAXONOMY, "my.toml")
    cases = [
        (LEVEL, "hihg", r"unknown label 'hihg'; did you mean 'high'\? my.toml has low, mid, high"),
        (LEVEL, ["low", "high"], "several labels .* for a head of kind ordinal"),
        (LEAVES, "maybe", "leaves is true or false; 'maybe' is neither"),
        (TOPICS, [[0, 2, "pay"]], "marks parts of the text"),
    ]
    for head, value, message in cases:
        with pytest.raises(LabelError, match=message):
            reader.value(head, value)
    assert reader.value(LEVEL, None) is None and reader.value(LEVEL, "") is None
    assert reader.value(TOPICS, "") == [] and reader.value(TOPICS, None) is None
    assert reader.value(LEVEL, "ＨＩＧＨ") == "high" and reader.value(LEAVES, 1) is True


def test_bad_rows_are_left_out_while_they_are_few(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    path = tmp_path / "rows.csv"
    good = "".join(f"文本{n},low\n" for n in range(38))
    path.write_text(f"text,level\n{good},low\n文本,lwo\n没有标签,\n", "utf-8")
    assert len(_records(path)) == 38
    assert "38 rows used" in caplog.text
    assert "1 left out (blank text)" in caplog.text and "1 left out (no label)" in caplog.text
    assert "rows.csv:41: level: unknown label 'lwo'; did you mean 'low'?" in caplog.text
    assert "文本" not in caplog.text
    path.write_text(f"text,level\n{good}文本,lwo\n文本,lwo\n文本,lwo\n", "utf-8")
    with pytest.raises(DataError, match=r"3 of 41 rows are wrong, more than 5%.* first rows\.csv:40: .*'lwo'"):
        _records(path)
    path.write_text(f"text,level\n{good}文本,lwo\n", "utf-8")
    file = read_labelled(path)
    with pytest.raises(DataError, match="--strict"):
        usable_records(file, LabelReader(TAXONOMY, "my.toml"), strict=True)


def test_unusable_files_say_why(tmp_path: Path) -> None:
    def write(name: str, text: str) -> Path:
        (tmp_path / name).write_text(text, "utf-8")
        return tmp_path / name

    with pytest.raises(DataError, match=r"no column is named like a head of my.toml \(topics, level, leaves\).* 类目"):
        _records(write("a.csv", "内容,类目\n好,x\n"))
    with pytest.raises(DataError, match="--text-column"):
        read_labelled(write("b.csv", "a1,b1,c1\n好,x,y\n"))
    with pytest.raises(DataError, match=r"no column '正文'; the columns there are: 内容"):
        read_labelled(tmp_path / "a.csv", ImportOptions(text_column="正文"))
    with pytest.raises(DataError, match="no known format"):
        read_labelled(write("rows.docx", "x"))
    with pytest.raises(DataError, match="not JSON that can be read"):
        read_labelled(write("rows.json", "[{"))
    with pytest.raises(DataError, match="every row has the label 'x'"):
        prepare(DataOptions(data=(write("one.tsv", "x\t好\nx\t很好\n"),)))


def _write_rows(path: Path, header: str, lines: list[str]) -> Path:
    path.write_text("\n".join([header, *lines]) + "\n", "utf-8")
    return path


def test_one_column_of_labels_needs_no_taxonomy(tmp_path: Path) -> None:
    path = _write_rows(
        tmp_path / "rows.csv", "id,内容,类别", [f"{n},文本第{n}条,{'退款' if n % 3 else '登录'}" for n in range(120)]
    )
    prepared = prepare(DataOptions(data=(path,)))
    (head,) = prepared.taxonomy.heads
    assert (head.name, head.kind, head.names) == ("类别", "single_label", ("登录", "退款"))
    parts = prepared.parts
    assert len(parts.train) + len(parts.validation) + len(parts.test) == 120 and parts.test and parts.validation
    assert prepared.details["files"][0]["rows"] == 120 and len(prepared.details["files"][0]["sha256"]) == 64
    assert list(prepared.tests) == ["test split"]


def test_several_columns_need_a_taxonomy_which_can_be_drafted(tmp_path: Path) -> None:
    lines = [f"{n},文本第{n}条,{('低', '中', '高')[n % 3]},{('支付', '支付|登录')[n % 2]},{n % 2}" for n in range(30)]
    path = _write_rows(tmp_path / "tickets.csv", "id,内容,紧急程度,模块,流失", lines)
    with pytest.raises(DataError, match=r"several columns .*紧急程度, 模块, 流失.*--write-taxonomy my\.toml"):
        prepare(DataOptions(data=(path,)))
    toml = tmp_path / "my.toml"
    draft(DataOptions(data=(path,)), toml)
    heads = {head.name: (head.kind, head.names) for head in Taxonomy.from_toml(toml).heads}
    assert heads == {
        "紧急程度": ("ordinal", ("低", "中", "高")),
        "模块": ("multi_label", ("支付", "登录")),
        "流失": ("binary", ("流失",)),
    }
    assert '{name = "流失"},  # 15 rows' in toml.read_text("utf-8")
    prepared = prepare(DataOptions(data=(path,), taxonomy=toml))
    assert {"紧急程度", "模块", "流失"} <= prepared.parts.train[0].keys()
    with pytest.raises(DataError, match="is there already"):
        draft(DataOptions(data=(path,)), toml)
    (head,) = prepare(DataOptions(data=(path,), label_column="紧急程度")).taxonomy.heads
    assert head.names == ("中", "低", "高")
