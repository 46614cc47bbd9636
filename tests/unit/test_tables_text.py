from __future__ import annotations

import gzip
import io
from pathlib import Path

import pytest

from data.errors import ColumnMissing, FormatUnknown, TableDamaged, TableError, TextColumnUnknown
from data.tables import ReadOptions, Reject, Row, choose_text_columns, format_of, open_table, text_of
from data.tables.columns import unique_names
from data.tables.encoding import detect_encoding

PROSE = "转账一直失败，钱扣了对方没收到，客服也不理人"


def rows_of(path: Path, **options: object) -> list[Row | Reject]:
    return list(open_table(path, options=ReadOptions(**options)).rows())  # type: ignore[arg-type]


def cells_of(path: Path, **options: object) -> list[dict[str, object]]:
    rows = rows_of(path, **options)
    assert all(isinstance(row, Row) for row in rows), rows
    return [row.cells for row in rows if isinstance(row, Row)]


@pytest.mark.parametrize(
    ("codec", "found"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8-sig"),
        ("gbk", "gb18030"),
        ("gb18030", "gb18030"),
        ("utf-16", "utf-16"),
        ("utf-32", "utf-32"),
    ],
)
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_codec_is_found_and_text_is_whole(tmp_path: Path, codec: str, found: str, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    content = f"编号,内容\n1,{PROSE}\n" if kind == "csv" else f'{{"编号": "1", "内容": "{PROSE}"}}\n'
    path.write_bytes(content.encode(codec))
    table = open_table(path)
    assert table.columns == ("编号", "内容")
    assert [row.cells for row in table.rows() if isinstance(row, Row)] == [{"编号": "1", "内容": PROSE}]
    assert (table.report.encoding, table.report.replaced) == (found, 0)


def test_gb18030_reads_what_gbk_cannot_say(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("text\n䶮姓用户😀€\n".encode("gb18030"))
    assert cells_of(path) == [{"text": "䶮姓用户😀€"}]


def test_bad_bytes_in_gbk_are_counted_and_cost_one_character_each(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("编号,内容\n".encode("gbk") + b"1,\xff" + PROSE.encode("gbk") + b"\x80\n2,\x81,\n")
    table = open_table(path)
    rows = list(table.rows())
    assert rows == [
        Row(2, {"编号": "1", "内容": f"\ufffd{PROSE}\ufffd"}),
        Row(3, {"编号": "2", "内容": "\ufffd"}),
    ]
    assert (table.report.encoding, table.report.replaced) == ("gb18030", 3)


def test_one_bad_byte_does_not_turn_a_utf8_file_into_mojibake(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(f"内容\n{PROSE}\n".encode() + b"\xe5\xa5\n")
    table = open_table(path)
    assert [row.cells["内容"] for row in table.rows() if isinstance(row, Row)] == [PROSE, "\ufffd\ufffd"]
    assert (table.report.encoding, table.report.replaced) == ("utf-8", 2)
    assert table.report.encoding_reason is not None and "2 bytes" in table.report.encoding_reason


def test_encoding_can_be_forced_and_an_unknown_one_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("內容\n轉數快收唔到錢\n".encode("big5"))
    assert cells_of(path, encoding="big5") == [{"內容": "轉數快收唔到錢"}]
    with pytest.raises(TableError, match="no text encoding 'martian'"):
        open_table(path, options=ReadOptions(encoding="martian"))
    with pytest.raises(TableError, match="no text encoding 'base64'"):
        open_table(path, options=ReadOptions(encoding="base64"))


def test_embedded_line_ends_quotes_and_nul_survive(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes('id,text\r\n1,"a\r\nb\nc"\r\n2,"他说""好"""\r\n3,x\x00y\r\n'.encode())
    assert rows_of(path) == [
        Row(2, {"id": "1", "text": "a\r\nb\nc"}),
        Row(5, {"id": "2", "text": '他说"好"'}),
        Row(6, {"id": "3", "text": "x\x00y"}),
    ]


def test_ragged_rows_are_filled_up_or_rejected_never_shifted(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id,text,note\n1,好\n2,不,好,的\n\n3,行,,,\n", "utf-8")
    table = open_table(path)
    assert list(table.rows()) == [
        Row(2, {"id": "1", "text": "好", "note": ""}),
        Reject(3, "4 cells under 3 column names", "2,不,好,的"),
        Row(5, {"id": "3", "text": "行", "note": ""}),
    ]
    assert table.report.blank_lines == 1


@pytest.mark.parametrize("after", [2, 40_000])
def test_a_quote_that_never_closes_costs_one_line(tmp_path: Path, after: int) -> None:
    path = tmp_path / "a.csv"
    following = [f"{number},挺好用的，支持一下老牌子，希望越来越好" for number in range(after)]
    path.write_text("\n".join(["id,text", '0,"没写完', *following, ""]), "utf-8")
    rows = rows_of(path)
    assert rows[0] == Reject(2, "a quote that opens here is never closed", '0,"没写完')
    assert len(rows) == after + 1 and all(isinstance(row, Row) for row in rows[1:])
    assert rows[-1] == Row(after + 2, {"id": str(after - 1), "text": following[-1].split(",")[1]})


def test_rejects_show_the_bytes_that_were_there(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(f'{{"text": "{PROSE}"}}\n'.encode() + b'{"text": "\xff\n')
    table = open_table(path)
    reject = list(table.rows())[1]
    assert isinstance(reject, Reject) and reject.line == 2 and reject.raw == '{"text": "\\xff'
    assert table.report.replaced == 0


def test_jsonl_keeps_types_and_rejects_what_is_no_object(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(
        '{"text": "好", "n": 12345678901234567890, "x": 1.5, "l": [1, {"a": null}], "nan": NaN}\n'
        '{"text": "坏", }\n[1, 2]\n"好"\n\n{"text": "a\u2028b"}\r\n' + "[" * 100_000 + "\n",
        "utf-8",
    )
    rows = rows_of(path)
    assert rows[0] == Row(1, {"text": "好", "n": 12345678901234567890, "x": 1.5, "l": [1, {"a": None}], "nan": None})
    assert [(row.line, type(row)) for row in rows[1:]] == [(2, Reject), (3, Reject), (4, Reject), (6, Row), (7, Reject)]
    assert isinstance(rows[4], Row) and rows[4].cells == {"text": "a\u2028b"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "empty: it has no byte"),
        ("\n  \n", "no column names"),
    ],
)
def test_a_csv_of_nothing_is_refused(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(content)
    with pytest.raises(TableError, match=said):
        open_table(path)


def test_a_json_array_gets_advice(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('[\n{"text": "好"},\n{"text": "坏"}\n]\n')
    with pytest.raises(TableError, match=r"jq -c '\.\[\]'"):
        open_table(path)


def test_truncated_gzip_and_zstd_are_damage_not_an_end(tmp_path: Path) -> None:
    zstandard = pytest.importorskip("zstandard")
    content = b"id,text\n" + b"".join(b"%d,%d\n" % (number, number * 7919 % 10007) for number in range(5000))
    for name, packed in (("a.csv.gz", gzip.compress(content)), ("a.csv.zst", zstandard.compress(content))):
        whole, cut = tmp_path / name, tmp_path / f"cut-{name}"
        whole.write_bytes(packed)
        cut.write_bytes(packed[: len(packed) // 2])
        assert len(rows_of(whole)) == 5000
        with pytest.raises(TableDamaged, match=f"cut-{name}"):
            rows_of(cut)
    two_frames = tmp_path / "b.csv.zst"
    two_frames.write_bytes(zstandard.compress(content) + zstandard.compress(b"last,one\n"))
    assert len(rows_of(two_frames)) == 5001


def test_missing_file_folder_and_unknown_name(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="no file"):
        open_table(tmp_path / "none.csv")
    with pytest.raises(TableError, match="folder"):
        open_table(tmp_path)
    with pytest.raises(FormatUnknown, match=r"\.jsonl"):
        open_table(tmp_path / "a.doc")
    with pytest.raises(FormatUnknown, match="its own compression"):
        format_of(tmp_path / "a.parquet.gz")


@pytest.mark.parametrize(
    ("content", "delimiter"), [("a;b,c\n1;2\n", ";"), ("a\tb\n1\t2\n", "\t"), ('"x;y;z",b\n1,2\n', ",")]
)
def test_delimiter_is_found(tmp_path: Path, content: str, delimiter: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(content, "utf-8")
    first = content.splitlines()[0].replace('"', "").split(delimiter)
    assert list(open_table(path).columns) == (["x;y;z", "b"] if "x;y;z" in content else first)
    assert cells_of(path, delimiter=delimiter)[0] == dict(zip(open_table(path).columns, "12", strict=True))


def test_header_under_a_title_is_found_or_named(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("2025年反馈导出,,\n\n编号,反馈内容,时间\n1,好,x\n", "utf-8")
    table = open_table(path)
    assert table.columns == ("编号", "反馈内容", "时间") and "line 3" in table.report.notices[0]
    assert list(table.rows()) == [Row(4, {"编号": "1", "反馈内容": "好", "时间": "x"})]
    path.write_text("标题,x\n列甲,列乙\n1,好\n", "utf-8")
    assert open_table(path).columns == ("标题", "x")
    assert open_table(path, options=ReadOptions(wanted=("列乙",))).columns == ("列甲", "列乙")
    assert cells_of(path, header_row=2) == [{"列甲": "1", "列乙": "好"}]
    with pytest.raises(TableError, match="line 9"):
        open_table(path, options=ReadOptions(header_row=9))


def test_column_names_become_unique() -> None:
    assert unique_names(["a", "", " a ", None, "a", "\ufeffb"]) == ("a", "column_2", "a_2", "column_4", "a_3", "b")


def test_text_column_is_guessed_named_or_joined() -> None:
    assert choose_text_columns(None, ["id", "标题", "反馈内容"]) == ("反馈内容",)
    assert choose_text_columns(None, ["内容类型", "text"]) == ("text",)
    assert choose_text_columns(None, ["编号", "用户填写内容（必填）"]) == ("用户填写内容（必填）",)
    assert choose_text_columns(None, ["whatever"]) == ("whatever",)
    assert choose_text_columns("标题+内容", ["标题", "内容"]) == ("标题", "内容")
    assert choose_text_columns("a+b", ["a", "b", "a+b"]) == ("a+b",)
    with pytest.raises(TextColumnUnknown, match="--text-column; the columns there are: x, y"):
        choose_text_columns(None, ["x", "y"])
    with pytest.raises(ColumnMissing, match="no column '正文'; the columns there are: 标题, 内容"):
        choose_text_columns("标题+正文", ["标题", "内容"])


def test_text_of_joins_what_is_there() -> None:
    assert text_of({"a": "转账失败", "b": " ", "c": 5.0, "d": None}, ("a", "b", "c", "d")) == "转账失败\n5"
    assert text_of({}, ("a",)) == ""


def test_gbk_that_happens_to_form_two_byte_letters_is_not_taken_for_broken_utf8() -> None:
    """好好好… in GBK is C3 BA C3 BA… but for its ends: valid UTF-8 for úúú…"""
    found = detect_encoding(io.BytesIO(("编号,内容\n1," + "好" * 5000 + "\n").encode("gb18030")))
    assert found.name == "gb18030"


@pytest.mark.parametrize(
    ("name", "head", "said"),
    [
        ("a.csv", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", r"an \.xls workbook or one with a password"),
        ("a.xlsx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", r"save it as \.xlsx without a password"),
        ("a.csv", b"PK\x03\x04 and so on", "is xlsx, not csv"),
        ("a.tsv", gzip.compress(b"text\n1\n"), "is gzip, not tsv"),
        ("a.jsonl", b"PAR1 and so on", "is parquet, not jsonl"),
        ("a.csv.gz", b"\x28\xb5\x2f\xfd and so on", "is zstd, not gzip"),
    ],
)
def test_what_is_plainly_something_else_is_not_read_as_rows_of_nonsense(
    tmp_path: Path, name: str, head: bytes, said: str
) -> None:
    path = tmp_path / name
    path.write_bytes(head * 9)
    with pytest.raises(TableError, match=said):
        open_table(path)


def test_an_old_workbook_gets_advice_and_a_packed_one_too() -> None:
    with pytest.raises(FormatUnknown, match=r"save it as \.xlsx in Excel, or: soffice --headless"):
        format_of(Path("2009年工单.XLS"))
    with pytest.raises(FormatUnknown, match=r"its own compression: leave \.gz away"):
        format_of(Path("a.xlsx.gz"))


def test_bad_bytes_in_a_column_name_are_counted_and_harm_nobody(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("编号,反馈".encode("gbk") + b"\xff" + f"内容\n1,{PROSE}\n".encode("gbk"))
    table = open_table(path)
    assert table.columns == ("编号", "反馈\ufffd内容")
    assert list(table.rows()) == [Row(2, {"编号": "1", "反馈\ufffd内容": PROSE})]
    assert table.report.replaced == 1
