from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from data.errors import TableDamaged, TableError
from data.tables import Column, FileFormat, ReadOptions, Reject, Row, format_of, open_table, open_writer
from data.tables.sheet_writing import MAX_CELL

COLUMNS = (Column("id"), Column("text"), Column("labels", "list"), Column("score", "number"), Column("ok", "boolean"))
ROWS: list[dict[str, Any]] = [
    {"id": "0012345678901234567", "text": "=cmd|' /C calc'!A0", "labels": ["a", "b"], "score": 0.97, "ok": True},
    {"id": "-5", "text": "@SUM(1)\n第二行", "labels": [], "score": 0.0001, "ok": False},
    {"id": "", "text": "+1 求加\r深色模式", "labels": None, "score": None, "ok": None},
]


def write(
    path: Path, rows: Sequence[Mapping[str, Any]], columns: Sequence[Column] = COLUMNS, **options: Any
) -> list[str]:
    with path.open("wb") as stream:
        writer = open_writer(stream, format_of(path), {"": columns}, **options)
        for row in rows:
            writer.write(row)
        writer.close()
    return writer.notices()


def read(path: Path) -> list[dict[str, Any]]:
    return [row.cells for row in open_table(path).rows() if isinstance(row, Row)]


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.tsv", "a.csv.zst"])
def test_cells_that_excel_would_run_are_harmless_and_numbers_stay(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    notices = write(path, ROWS)
    assert read(path) == [
        {"id": "0012345678901234567", "text": "'=cmd|' /C calc'!A0", "labels": "a|b", "score": "0.97", "ok": "true"},
        {"id": "-5", "text": "'@SUM(1)\n第二行", "labels": "", "score": "0.0001", "ok": "false"},
        {"id": "", "text": "'+1 求加\r深色模式", "labels": "", "score": "", "ok": ""},
    ]
    assert notices == ["3 cells begin like a formula; written with ' before them"]


def test_csv_for_chinese_excel_has_a_byte_order_mark_or_is_gb18030(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    write(path, ROWS[:1], encoding="utf-8-sig")
    assert path.read_bytes().startswith(b"\xef\xbb\xbfid,")
    write(path, [{"text": "付款码😀"}], encoding="gb18030")
    assert "付款码😀".encode("gb18030") in path.read_bytes()
    assert next(csv.reader(io.StringIO(path.read_bytes().decode("gb18030"), newline=""))) == [c.name for c in COLUMNS]


def test_same_rows_give_the_same_compressed_bytes(tmp_path: Path) -> None:
    for name in ("a.jsonl.gz", "a.csv.zst"):
        write(tmp_path / name, ROWS)
        write(tmp_path / f"other-{name}", ROWS)
        assert (tmp_path / name).read_bytes() == (tmp_path / f"other-{name}").read_bytes()


def test_jsonl_says_values_that_json_does_not_know(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    write(path, [{"half": "\ud83d", "d": Decimal("1.10"), "b": b"\xffx", "text": "好"}])
    raw = path.read_bytes()
    assert raw.isascii() and json.loads(raw) == {"half": "\ud83d", "d": "1.10", "b": "\\xffx", "text": "好"}
    write(path, [{"text": "好"}])
    assert path.read_bytes() == '{"text": "好"}\n'.encode()


def test_workbook_has_no_formula_and_keeps_numbers(tmp_path: Path) -> None:
    from openpyxl import load_workbook

    path = tmp_path / "a.xlsx"
    long = "长" * 40_000
    notices = write(path, [*ROWS, {"id": 12345678901234567, "text": "a\x00b", "score": 1}, {"text": long}])
    sheet = load_workbook(path).active
    assert sheet is not None and sheet.freeze_panes == "A2" and sheet.auto_filter.ref == "A1:E6"
    types = {(cell.row, cell.column_letter): cell.data_type for row in sheet.iter_rows(min_row=2) for cell in row}
    assert "f" not in types.values() and types[2, "D"] == "n" and types[2, "A"] == "s" and types[5, "A"] == "s"
    assert [cell.value for cell in sheet[2]] == ["0012345678901234567", "=cmd|' /C calc'!A0", "a|b", 0.97, "true"]
    assert [cell.value for cell in sheet[5]][:2] == ["12345678901234567", "a\ufffdb"]
    assert sheet["B6"].value == long[:MAX_CELL]
    assert len(notices) == 2 and "1 cells cut" in notices[0]


def test_workbook_colours(tmp_path: Path) -> None:
    from openpyxl import load_workbook

    path = tmp_path / "a.xlsx"
    columns = (Column("text"), Column("urgency"))
    rows = [{"text": "critical", "urgency": "critical"}, {"text": "好", "urgency": "low"}]
    write(path, rows, columns, colours={"urgency": {"critical": "FF9999"}})
    sheet = load_workbook(path).active
    assert sheet is not None and sheet["B2"].fill.start_color.rgb == "00FF9999"
    assert sheet["A2"].fill.fill_type is None and sheet["B3"].fill.fill_type is None


def test_workbook_in_keeps_sheets_types_and_lines(tmp_path: Path) -> None:
    import datetime

    from openpyxl import Workbook

    book = Workbook()
    first = book.active
    assert first is not None
    first.title = "一月"
    for row in (["导出"], ["编号", "内容", "时间"], [1, "好", datetime.datetime(2025, 1, 2, 3, 4)], [], [2.5, "=1+1"]):
        first.append(row)
    second = book.create_sheet("二月")
    second.append(["内容", "备注"])
    second.append(["差", None, "多"])
    book.create_sheet("空")
    path = tmp_path / "a.xlsx"
    book.save(path)
    table = open_table(path)
    assert table.sheets == {"一月": ("编号", "内容", "时间"), "二月": ("内容", "备注")}
    rows = list(table.rows())
    assert rows[0] == Row(3, {"编号": 1, "内容": "好", "时间": "2025-01-02 03:04:00"}, "一月")
    assert rows[1] == Row(5, {"编号": 2.5, "内容": None, "时间": None}, "一月")  # a formula nobody has calculated
    assert isinstance(rows[2], Reject) and rows[2].line == 2 and table.report.blank_lines == 1
    assert open_table(path, options=ReadOptions(sheet="二月")).columns == ("内容", "备注")
    with pytest.raises(TableError, match="its sheets are 一月, 二月, 空"):
        open_table(path, options=ReadOptions(sheet="三月"))
    kinds = {column.name: column.kind for column in table.typed_columns()["一月"]}
    assert kinds == {"编号": "number", "内容": "text", "时间": "text"}


def test_what_only_says_it_is_a_workbook_is_damage(tmp_path: Path) -> None:
    for name in ("a.xlsx", "a.parquet"):
        path = tmp_path / name
        path.write_bytes(b"not really" * 100)
        with pytest.raises(TableDamaged, match=name):
            open_table(path)


def test_parquet_keeps_types(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    columns = (*COLUMNS, Column("scores", "scores", ("a", "b")), Column("n", "integer"))
    rows = [{**row, "scores": {"a": 0.5, "b": 0.25}, "n": 3} for row in ROWS[:2]] + [dict(ROWS[2])]
    path = tmp_path / "a.parquet"
    write(path, rows, columns)
    assert read(path) == [{**row, "scores": row.get("scores"), "n": row.get("n")} for row in rows]
    types = {column.name: column.arrow for column in open_table(path).typed_columns()[""]}
    assert types["labels"] == pyarrow.list_(pyarrow.string()) and types["n"] == pyarrow.int64()
    write(tmp_path / "b.parquet", read(path), open_table(path).typed_columns()[""])
    assert read(tmp_path / "b.parquet") == read(path)


def test_jsonl_columns_have_the_kind_that_their_values_share(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    lines = [{"a": 1, "b": 1, "c": True, "d": "x", "e": None}, {"a": 2, "b": 2.5, "c": 1, "f": 2**70, "g": [1]}]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    kinds = {column.name: column.kind for column in open_table(path).typed_columns()[""]}
    assert kinds == {"a": "integer", "b": "number", "c": "text", "d": "text", "e": "text", "f": "text", "g": "text"}


def test_compression_needs_a_text_format() -> None:
    assert format_of(Path("a.JSONL.GZ")) == FileFormat("jsonl", "gzip")
    assert format_of(Path("what.ever"), "csv") == FileFormat("csv")
