"""``fankui label`` and ``fankui diff`` as processes, over real files."""

from __future__ import annotations

import csv
import json
import re
import resource
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from data.tables import Row, open_table
from serving.checkpoint import RunFiles

if TYPE_CHECKING:
    from tests.conftest import RunFankui

STOLEN = "昨晚有人在外地用我的账户刷了三笔，一共8600，我没有操作过"
FAILED = "转账一直失败，钱扣了对方没收到"
GBK_HEAD = "编号,反馈内容,备注\r\n".encode("gbk")


def read(path: Path) -> list[dict[str, Any]]:
    return [row.cells for row in open_table(path).rows() if isinstance(row, Row)]


def write_jsonl(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path


@pytest.fixture
def faulty_gbk(tmp_path: Path) -> Path:
    """A GBK export with everything in it that goes wrong in practice."""
    path = tmp_path / "export.csv"
    lines = [
        f'1,"{STOLEN}\r\n第二行",x'.encode("gbk"),
        f"2,{FAILED},=cmd|' /C calc'!A0".encode("gbk"),
        b"3,,blank",
        b"4,\xff" + "打不开".encode("gbk") + b"\x00\x80,bad bytes",
        b"5," + "长".encode("gbk") * 70_000 + b",too long",
        "6,多了,一格,的行".encode("gbk"),
        "7,少了".encode("gbk"),
        b"",
        "8,@提醒一下 登录 😀,emoji".encode("gb18030"),
        '9,"没写完,x'.encode("gbk"),
        f"10,{FAILED},-3.5".encode("gbk"),
    ]
    path.write_bytes(GBK_HEAD + b"\r\n".join(lines) + b"\r\n")
    return path


def test_a_faulty_gbk_export_loses_no_row(run_fankui: RunFankui, faulty_gbk: Path, tmp_path: Path) -> None:
    output, summary = tmp_path / "out.csv", tmp_path / "summary.json"
    done = run_fankui("label", str(faulty_gbk), "-o", str(output), "--summary", str(summary))
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert "rows in 10 = rows out 8 + rejects 2" in done.stdout and "1 blank_text, 1 text_too_long" in done.stdout
    assert "read as gb18030 (not UTF-8), 2 bytes" in done.stdout and "guessed: 反馈内容" in done.stdout
    assert output.read_bytes().startswith(b"\xef\xbb\xbf")
    with output.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[:4] == ["编号", "反馈内容", "备注", "topics"] and list(rows[0])[-1] == "model_version"
    assert [row["编号"] for row in rows] == ["1", "2", "3", "4", "5", "7", "8", "10"]
    assert [row["label_error"] for row in rows] == ["", "", "blank_text", "", "text_too_long", "", "", ""]
    by_id = {row["编号"]: row for row in rows}
    assert by_id["1"]["反馈内容"] == f"{STOLEN}\r\n第二行" and by_id["1"]["urgency"] == "critical"
    assert "security" in by_id["1"]["topics"].split("|") and json.loads(by_id["1"]["topics_scores"])["security"] > 0.5
    assert by_id["2"]["备注"] == "'=cmd|' /C calc'!A0" and by_id["8"]["反馈内容"] == "'@提醒一下 登录 😀"
    assert by_id["10"]["备注"] == "-3.5" and by_id["10"]["urgency"] == by_id["2"]["urgency"]
    assert by_id["4"]["反馈内容"] == "\ufffd打不开\x00\ufffd" and len(by_id["5"]["反馈内容"]) == 70_000
    assert by_id["3"]["urgency"] == "" and by_id["7"]["备注"] == "" and by_id["2"]["needs_review"] in ("true", "false")
    rejects = [json.loads(line) for line in Path(f"{output}.rejects.jsonl").read_text("utf-8").splitlines()]
    assert [(reject["line"], reject["raw"]) for reject in rejects] == [(8, "6,多了,一格,的行"), (12, '9,"没写完,x')]
    counts = json.loads(summary.read_text("utf-8"))
    assert (counts["rows_in"], counts["rows_out"], counts["rejects"], counts["duplicates"]) == (10, 8, 2, 1)
    assert counts["replaced_bytes"] == 2 and counts["encoding"] == "gb18030"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "export.csv",
        "out.csv",
        "out.csv.rejects.jsonl",
        "out.csv.run.json",
        "summary.json",
    ]


def test_a_broken_json_line_is_put_aside_and_the_rest_goes_on(run_fankui: RunFankui, tmp_path: Path) -> None:
    source = tmp_path / "a.jsonl"
    good = {"id": "甲", "text": STOLEN, "amount": 8600.5, "tags": ["x"], "created_at": None}
    source.write_text(json.dumps(good) + '\n{"text": "没写完\n' + json.dumps({"text": " ", "n": 1}) + "\n", "utf-8")
    output = tmp_path / "out.jsonl"
    done = run_fankui("label", str(source), "-o", str(output), "--text-column", "text", "--strict")
    assert done.returncode == 4 and "rows in 3 = rows out 2 + rejects 1" in done.stdout
    first, second = [json.loads(line) for line in output.read_text("utf-8").splitlines()]
    assert list(first)[:6] == ["id", "text", "amount", "tags", "created_at", "topics"]
    assert {name: first[name] for name in good} == good and "security" in first["topics"]
    assert first["label_error"] is None and first["needs_review"] in (True, False) and len(first["model_version"]) == 12
    assert second["label_error"] == "blank_text" and second["topics"] is None and second["n"] == 1
    reject = json.loads(Path(f"{output}.rejects.jsonl").read_text("utf-8"))
    assert reject["line"] == 2 and "not JSON" in reject["reason"] and reject["raw"] == '{"text": "没写完'


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["a.jsonl", "-o", "o.csv", "--text-column", "正文"], 3, "no column '正文'; the columns there are: id, text"),
        (["a.jsonl", "-o", "o.csv", "--id-column", "nr"], 3, "no column 'nr'"),
        (["none.csv", "-o", "o.csv"], 3, "no file none.csv"),
        (["a.jsonl", "-o", "o.doc"], 3, "o.doc: no known table format"),
        (["a.jsonl", "-o", "a.jsonl"], 3, "cannot be the output"),
        (["a.jsonl", "-o", "no/o.csv"], 3, "no folder no"),
        (["a.jsonl", "a.jsonl", "-o", "o.csv"], 3, "-o o.csv/"),
        (["*.none", "-o", "o.csv"], 3, "no tables in *.none"),
        (["a.jsonl", "-o", "o.csv", "--bundle", "nowhere"], 3, "no bundle in nowhere"),
        (["a.jsonl", "-o", "o.csv", "--encoding", "klingon"], 3, "no text encoding 'klingon'"),
        (["s3://desk/a.jsonl", "-o", "o.csv"], 3, "s3://desk/a.jsonl is a URL; --engine ray"),
        (["a.jsonl", "-o", "s3://desk/o.csv"], 3, "s3://desk/o.csv is a URL; --engine ray"),
        (["a.jsonl", "-o", "a.jsonl/out/"], 3, "a.jsonl/out: Not a directory"),
        (["a.jsonl", "-o", "o.csv", "--summary", "no/s.json"], 3, "cannot write the summary no/s.json"),
        (["a.jsonl", "b.jsonl", "-o", "-"], 3, "standard output takes one input, here are 2"),
        (["a.jsonl"], 2, "-o OUT"),
        (["a.jsonl", "-o", "o.csv", "--actors", "2"], 2, "go with --engine ray"),
        (["-", "-o", "o/", "--engine", "ray"], 2, "no standard input or output"),
        (["a.jsonl", "-o", "o.csv", "--threads", "-1"], 2, "must be 0 or more"),
        (["a.jsonl", "-", "-o", "o.csv"], 2, "goes alone"),
        (["a.jsonl", "-o", "o.csv", "--window-rows", "0"], 2, "must be 1 or more"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(
    run_fankui: RunFankui, tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    write_jsonl(tmp_path / "a.jsonl", [{"id": "1", "text": "好"}])
    done = run_fankui("label", *arguments, cwd=tmp_path)
    assert done.returncode == code and said in done.stderr and "Traceback" not in done.stderr
    assert not list(tmp_path.glob("o.*"))


def test_help_ends_with_examples(run_fankui: RunFankui) -> None:
    for command in ("label", "diff"):
        done = run_fankui(command, "--help")
        assert done.returncode == 0 and done.stdout.rstrip().splitlines()[-1].startswith("  ")
        assert "example:" in done.stdout


def test_again_does_nothing_and_anything_changed_is_refused(run_fankui: RunFankui, tmp_path: Path) -> None:
    source, output = write_jsonl(tmp_path / "a.jsonl", [{"text": FAILED}, {"text": "挺好用的"}]), tmp_path / "out.csv"
    label = ["label", str(source), "-o", str(output)]
    assert run_fankui(*label).returncode == 0
    before = (output.read_bytes(), output.stat().st_mtime_ns)
    again = run_fankui(*label)
    assert again.returncode == 0 and "nothing to do" in again.stdout
    assert (output.read_bytes(), output.stat().st_mtime_ns) == before
    other = run_fankui(*label, "--output-encoding", "gb18030")
    assert other.returncode == 3 and "output encoding was 'utf-8-sig', now 'gb18030'" in other.stderr
    with source.open("a", encoding="utf-8") as file:
        file.write('{"text": "又来一条"}\n')
    changed = run_fankui(*label)
    assert changed.returncode == 3 and "the input has changed" in changed.stderr and "--restart" in changed.stderr
    assert output.read_bytes() == before[0]
    anew = run_fankui(*label, "--restart")
    assert anew.returncode == 0 and len(read(output)) == 3
    output.write_text("手改的", "utf-8")
    edited = run_fankui(*label)
    assert edited.returncode == 3 and "changed after it was written" in edited.stderr
    assert output.read_text("utf-8") == "手改的"


def test_one_output_has_one_writer(run_fankui: RunFankui, tmp_path: Path) -> None:
    source, output = write_jsonl(tmp_path / "a.jsonl", [{"text": FAILED}]), tmp_path / "out.jsonl"
    with RunFiles(output).locked():
        done = run_fankui("label", str(source), "-o", str(output))
    assert done.returncode == 3 and "another fankui label is writing" in done.stderr
    assert run_fankui("label", str(source), "-o", str(output)).returncode == 0


def test_columns_that_look_like_labels_are_kept(run_fankui: RunFankui, tmp_path: Path) -> None:
    source = write_jsonl(tmp_path / "gold.jsonl", [{"text": FAILED, "topics": ["ui"], "urgency": "low"}])
    done = run_fankui("label", str(source), "-o", str(tmp_path / "out.jsonl"))
    (row,) = read(tmp_path / "out.jsonl")
    assert done.returncode == 0 and "kept as input_…: topics, urgency" in done.stdout
    assert row["input_topics"] == ["ui"] and row["input_urgency"] == "low" and "payment_failure" in row["topics"]


def test_pipes(run_fankui: RunFankui) -> None:
    source = json.dumps({"id": 7, "text": STOLEN}, ensure_ascii=False) + "\n{broken\n"
    done = run_fankui("label", "-", "-o", "-", stdin=source)
    (row,) = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0 and row["id"] == 7 and "security" in row["topics"]
    assert json.loads(done.stderr.splitlines()[0])["raw"] == "{broken" and "rejects 1" in done.stderr
    as_csv = run_fankui("label", "-", "-o", "-", "--output-format", "csv", stdin=source)
    assert as_csv.stdout.startswith("id,text,topics,")


def test_standard_input_into_a_file_is_the_same_job_again(run_fankui: RunFankui, tmp_path: Path) -> None:
    content = f"内容,n\n{FAILED},1\n"
    label = ["label", "-", "-o", str(tmp_path / "out.csv")]
    assert run_fankui(*label, stdin=content).returncode == 0
    assert "nothing to do" in run_fankui(*label, stdin=content).stdout
    assert "the input has changed" in run_fankui(*label, stdin=content + "好,2\n").stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.csv", "out.csv.run.json"]


def test_a_folder_into_a_folder(run_fankui: RunFankui, tmp_path: Path) -> None:
    source = tmp_path / "exports"
    (source / "2025").mkdir(parents=True)
    (source / "a.csv").write_bytes(GBK_HEAD + f"1,{FAILED},x\r\n".encode("gbk"))
    write_jsonl(source / "2025" / "b.jsonl", [{"text": STOLEN}])
    write_jsonl(source / "a.csv.rejects.jsonl", [{"line": 1, "reason": "", "raw": ""}])
    (source / "notes.txt").write_text("no table")
    label = ["label", str(source), "-o", str(tmp_path / "out") + "/", "--output-format", "jsonl"]
    done = run_fankui(*label, "--summary", str(tmp_path / "s.json"))
    assert done.returncode == 0, done.stderr
    files = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.jsonl"))
    assert files == ["2025/b.jsonl", "a.jsonl"]
    assert "payment_failure" in read(tmp_path / "out" / "a.jsonl")[0]["topics"]
    assert [file["rows_in"] for file in json.loads((tmp_path / "s.json").read_text())["files"]] == [1, 1]
    assert run_fankui(*label).stdout.count("nothing to do") == 2
    globbed = run_fankui("label", str(source / "**" / "*.jsonl"), "-o", str(tmp_path / "globbed") + "/")
    assert globbed.returncode == 0 and [path.name for path in (tmp_path / "globbed").glob("*.jsonl")] == ["b.jsonl"]


def test_one_broken_file_does_not_keep_its_neighbours_from_being_labelled(
    run_fankui: RunFankui, tmp_path: Path
) -> None:
    source, summary = tmp_path / "in", tmp_path / "s.json"
    source.mkdir()
    (source / "a.csv").write_text("x,y\n1,2\n")
    (source / "c.csv").write_bytes(b"\xd0\xcf\x11\xe0" * 9)
    write_jsonl(source / "b.jsonl", [{"text": FAILED}])
    (source / "old.xls").write_bytes(b"\xd0\xcf\x11\xe0")
    done = run_fankui("label", str(source), "-o", str(tmp_path / "out") + "/", "--summary", str(summary))
    assert done.returncode == 3 and "2 of 3 files could not be labelled" in done.stderr
    assert f"{source / 'a.csv'}: which column holds the text?" in done.stderr
    assert f"passed over, no tables by their names: {source / 'old.xls'}" in done.stderr
    assert [row["label_error"] for row in read(tmp_path / "out" / "b.jsonl")] == [None]
    assert ["failed" in file for file in json.loads(summary.read_text("utf-8"))["files"]] == [True, False, True]


def test_outputs_inside_the_folder_of_the_inputs_are_no_inputs_next_time(run_fankui: RunFankui, tmp_path: Path) -> None:
    write_jsonl(tmp_path / "a.jsonl", [{"text": FAILED}])
    for given in (str(tmp_path), str(tmp_path / "**" / "*.jsonl")):
        label = ["label", given, "-o", str(tmp_path / "labelled") + "/"]
        for _ in range(2):
            assert run_fankui(*label).returncode == 0
        assert sorted(path.name for path in tmp_path.rglob("*.jsonl")) == ["a.jsonl", "a.jsonl"]


def test_a_list_without_column_names_is_pointed_out(run_fankui: RunFankui, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"{FAILED}\n{STOLEN}\n", "utf-8")
    done = run_fankui("label", str(tmp_path / "a.csv"), "-o", str(tmp_path / "o.csv"))
    assert done.returncode == 0 and f"its name is '{FAILED}': if that is a text" in done.stdout
    empty = run_fankui("label", "-", "-o", str(tmp_path / "p.csv"), stdin="")
    assert empty.returncode == 3 and "standard input is empty" in empty.stderr


def test_half_a_surrogate_pair_anywhere_loses_nothing(run_fankui: RunFankui, tmp_path: Path) -> None:
    source = tmp_path / "a.jsonl"
    source.write_text('{"text\\ud83d": "转账失败", "note": "x\\ud83d"}\n', "utf-8")
    for name in ("o.jsonl", "o.csv", "o.xlsx", "o.parquet"):
        done = run_fankui("label", str(source), "-o", str(tmp_path / name), "--summary", str(tmp_path / "s.json"))
        assert done.returncode == 0, done.stderr
        assert len(read(tmp_path / name)) == 1


def test_workbook_round_trip(run_fankui: RunFankui, tmp_path: Path) -> None:
    from openpyxl import Workbook, load_workbook

    book = Workbook()
    first = book.active
    assert first is not None
    first.title = "一月"
    for row in (["一月工单"], ["编号", "标题", "内容"], [1, "被盗", STOLEN], [2, None, "=SUM(A1)"], [3, "空", None]):
        first.append(row)
    first["C4"].data_type = "s"
    book.create_sheet("说明").append(["备注"])
    second = book.create_sheet("二月")
    second.append(["内容", "金额", "标题"])
    second.append([FAILED, 12.5, None])
    source, output = tmp_path / "in.xlsx", tmp_path / "out.xlsx"
    book.save(source)
    done = run_fankui("label", str(source), "-o", str(output), "--text-column", "标题+内容")
    assert done.returncode == 0, done.stderr
    assert "sheet '说明' has no such column: left out" in done.stdout and "found in row 2" in done.stdout
    result = load_workbook(output)
    assert result.sheetnames == ["一月", "二月"]
    sheet = result["一月"]
    assert [cell.value for cell in sheet[1]][:4] == ["编号", "标题", "内容", "topics"]
    assert sheet.freeze_panes == "A2" and sheet.auto_filter.ref.endswith("4")
    assert all(cell.data_type in ("s", "n") for row in sheet.iter_rows() for cell in row)
    columns = {cell.value: cell.column_letter for cell in sheet[1]}
    assert sheet["A2"].value == 1 and sheet["C3"].value == "=SUM(A1)" and sheet["C4"].value is None
    urgency = sheet[f"{columns['urgency']}2"]
    assert urgency.value == "critical" and urgency.fill.start_color.rgb == "00FF9999"
    assert isinstance(sheet[f"{columns['urgency_score']}2"].value, float)
    assert result["二月"]["B2"].value == 12.5
    flat = run_fankui("label", str(source), "-o", str(tmp_path / "o.csv"), "--text-column", "内容")
    rows = read(tmp_path / "o.csv")
    assert flat.returncode == 0 and [row["sheet"] for row in rows] == ["一月"] * 3 + ["二月"]
    assert list(rows[0])[:5] == ["编号", "标题", "内容", "金额", "sheet"] and rows[3]["金额"] == "12.5"


def test_parquet_in_and_out(run_fankui: RunFankui, tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    types = {
        "id": pyarrow.int32(),
        "content": pyarrow.string(),
        "at": pyarrow.timestamp("ms"),
        "t": pyarrow.list_(pyarrow.int8()),
    }
    values = {"id": [1, 2], "content": [STOLEN, None], "at": [0, None], "t": [[1], []]}
    table = pyarrow.table({name: pyarrow.array(values[name], kind) for name, kind in types.items()})
    parquet.write_table(table, tmp_path / "a.parquet")
    done = run_fankui("label", str(tmp_path / "a.parquet"), "-o", str(tmp_path / "o.parquet"))
    assert done.returncode == 0, done.stderr
    result = parquet.read_table(tmp_path / "o.parquet")
    assert result.select(list(types)).equals(table)
    first, second = result.to_pylist()
    assert (
        "security" in first["topics"]
        and first["topics_scores"]["security"] > 0.5
        and isinstance(first["churn_risk"], bool)
    )
    assert second["label_error"] == "blank_text" and second["topics"] is None
    as_text = run_fankui("label", str(tmp_path / "a.parquet"), "-o", str(tmp_path / "o.jsonl.gz"))
    assert as_text.returncode == 0 and read(tmp_path / "o.jsonl.gz")[0]["at"] == "1970-01-01 00:00:00"


def test_a_truncated_file_is_said_and_nothing_half_is_left(run_fankui: RunFankui, tmp_path: Path) -> None:
    import gzip

    source = tmp_path / "a.jsonl.gz"
    source.write_bytes(gzip.compress(json.dumps({"text": FAILED}).encode() * 9000)[:60])
    done = run_fankui("label", str(source), "-o", str(tmp_path / "o.jsonl"))
    assert done.returncode == 3 and "a.jsonl.gz cannot be read" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "o.jsonl").exists()


def limit_file_size(size: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.parametrize("name", ["o.csv", "o.jsonl.gz", "o.tsv.zst", "o.parquet", "o.xlsx"])
def test_a_full_disk_is_said_and_the_work_goes_on_from_there(run_fankui: RunFankui, tmp_path: Path, name: str) -> None:
    rows = [{"id": number, "text": f"第{number}次{FAILED}"} for number in range(300)]
    source, output = write_jsonl(tmp_path / "a.jsonl", rows), tmp_path / name
    label = ["label", str(source), "-o", str(output), "--window-rows", "64"]
    full = run_fankui(*label, preexec_fn=limit_file_size(4_000))
    assert full.returncode == 3 and f"cannot write {output}" in full.stderr and not output.exists()
    assert "kept in" in full.stderr and len(full.stderr.strip().splitlines()) == 1, full.stderr
    done = run_fankui(*label)
    assert done.returncode == 0, done.stderr
    assert len(read(output)) == 300 and not RunFiles(output).work.exists()


def test_dry_run_shows_rows_and_writes_nothing(run_fankui: RunFankui, tmp_path: Path) -> None:
    rows = [{"nr": f"T-{number}", "text": STOLEN if number == 1 else " " * number} for number in range(40)]
    source = write_jsonl(tmp_path / "a.jsonl", rows)
    done = run_fankui("label", str(source), "--dry-run", "--id-column", "nr")
    assert done.returncode == 0 and "critical" in done.stdout and "T-19" in done.stdout and "T-20" not in done.stdout
    assert "blank_text" in done.stdout and [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]


def test_privacy_mask_writes_no_number_but_labels_the_text_as_it_came(run_fankui: RunFankui, tmp_path: Path) -> None:
    text = "昨晚有人盗刷我的卡，我手机13800138000，邮箱wang.xm@example.com，请尽快联系"
    source = tmp_path / "a.jsonl"
    source.write_text(json.dumps({"text": text}) + '\n{"text": "打13800138000\n', "utf-8")
    plain, masked = tmp_path / "plain.jsonl", tmp_path / "masked.jsonl"
    assert run_fankui("label", str(source), "-o", str(plain)).returncode == 0
    assert run_fankui("label", str(source), "-o", str(masked), "--privacy", "mask").returncode == 0
    (before,), (after,) = read(plain), read(masked)
    assert "13800138000" not in after["text"] and "wang.xm" not in after["text"] and "盗刷" in after["text"]
    assert {**before, "text": ""} == {**after, "text": ""}
    assert "13800138000" not in Path(f"{masked}.rejects.jsonl").read_text("utf-8")


def test_diff_of_two_files(run_fankui: RunFankui, tmp_path: Path) -> None:
    source = write_jsonl(tmp_path / "a.jsonl", [{"id": 1, "text": STOLEN}, {"id": 2, "text": "挺好用的"}])
    for name in ("old.jsonl", "old.csv"):
        assert run_fankui("label", str(source), "-o", str(tmp_path / name)).returncode == 0
    rows = read(tmp_path / "old.jsonl")
    rows[0]["urgency"] = "high"
    new = write_jsonl(tmp_path / "new.jsonl", rows)
    done = run_fankui("diff", str(tmp_path / "old.csv"), str(new))
    assert done.returncode == 0 and "critical → high: 1" in done.stdout and "2 rows in both, 1 changed" in done.stdout
    counted = json.loads(run_fankui("diff", str(tmp_path / "old.jsonl"), str(new), "--json").stdout)
    assert counted["columns"]["urgency"]["moves"][0]["examples"] == [STOLEN]
    assert run_fankui("diff", str(source), str(new)).returncode == 3


def test_every_option_is_documented(run_fankui: RunFankui) -> None:
    documented = (Path(__file__).resolve().parents[2] / "docs" / "batch.md").read_text("utf-8")
    for command in ("label", "diff"):
        options = set(re.findall(r"^ +(?:-\w \w+, )?(--[a-z-]+)", run_fankui(command, "--help").stdout, re.MULTILINE))
        assert len(options) > 3 and {option for option in options if option not in documented} == set()
    assert set(re.findall(r"--[a-z]+(?:-[a-z]+)*", documented)) <= options_of(run_fankui)


def options_of(run_fankui: RunFankui) -> set[str]:
    helps = "".join(run_fankui(command, "--help").stdout for command in ("label", "diff"))
    return set(re.findall(r"--[a-z]+(?:-[a-z]+)*", helps))
