"""Counts of the corpus and the pages that carry them."""

from pathlib import Path
from typing import Any

import pytest

from data.commands import data
from data.corpus import CORPUS_SPLITS, CorpusRecord, record_id, write_lines
from data.corpus_stats import COUNTED_BEGIN, COUNTED_END, label_tables, text_table, with_counted
from data.coverage import recounted, shortfalls
from data.errors import TableError
from data.taxonomy import Taxonomy


def record(text: str, *issues: str, **labels: Any) -> CorpusRecord:
    rest = {"urgency": "low", "handling": "immediate", "sentiment": "neutral", "churn_risk": False}
    topics = tuple(sorted({issue.split(".")[0] for issue in issues}))
    values = {**rest, "channel": "chat", "enriched": False, **labels}
    return CorpusRecord(id=record_id(text), text=text, topics=topics, issues=issues, **values)


SPLITS = {
    "train": [
        record("轉賬唔到", "payment_failure.transfer", urgency="high"),
        record("好"),
        record("卸了", churn_risk=True),
    ],
    "validation": [record("图标丑", "ui.display", channel="in_app")],
    "test": [record("盗刷三千", "security.unauthorised_payment", urgency="critical", enriched=True)],
}
RECORDS = [row for rows in SPLITS.values() for row in rows]


def cells(title: str, label: str, real: list[dict[str, Any]] | None = None) -> dict[str, str]:
    tables = {table.title: table for table in label_tables(SPLITS, Taxonomy.default(), real or [])}
    row = next(row for row in tables[title].rows if row[0] == label)
    return dict(zip(tables[title].header, row, strict=True))


def test_labels_are_counted_by_split() -> None:
    assert cells("topics", "ui") == {
        "topics": "ui",
        "train": "0",
        "validation": "1",
        "test": "0",
        "all": "1",
        "share": "20.0 %",
        "share, not enriched": "25.0 %",
    }
    assert cells("topics", "other")["train"] == "2"
    assert cells("issues", "none")["all"] == "2"
    assert cells("urgency", "critical")["share, not enriched"] == "0.0 %"
    assert cells("churn_risk", "true")["train"] == "1"
    assert cells("channel", "in_app")["validation"] == "1"
    assert cells("enriched", "true")["test"] == "1"


def test_real_labels_stand_beside_and_a_head_they_lack_shows_a_dash() -> None:
    real = [{"topics": ["ui"], "urgency": "low"}, {"topics": [], "urgency": "high"}]
    assert cells("topics", "ui", real)["share, real"] == "50.0 %"
    assert cells("topics", "other", real)["share, real"] == "50.0 %"
    assert cells("issues", "ui.crash", real)["share, real"] == "–"


def test_lengths_and_variety() -> None:
    table = text_table({"a": ["一二三四", "一二三四", "一二"], "b": ["甲"]})
    rows = {row[0]: row[1:] for row in table.rows}
    assert rows["texts"] == ("3", "1")
    assert rows["length, 50 %"] == ("4", "1")
    assert rows["length, longest"] == ("4", "1")
    assert rows["distinct-1"] == (f"{4 / 10:.3f}", "1.000")
    assert rows["distinct-2"] == (f"{3 / 7:.3f}", "0.000")
    assert rows["most common opening"] == ("66.7 %", "100.0 %")


def test_tables_line_up_where_characters_are_wide() -> None:
    table = text_table({"中文": ["甲"], "x": ["乙"]})
    title, header, first, *_ = table.plain().split("\n")
    assert title == "Texts"
    # The Chinese heading is two characters but four columns wide.
    assert len(header) + 2 == len(first)
    assert table.markdown().split("\n")[:2] == ["| texts | 中文 | x |", "| --- | --- | --- |"]


def test_only_the_counted_block_of_a_page_changes() -> None:
    page = f"before\n{COUNTED_BEGIN}\nold\n{COUNTED_END}\nafter"
    counted = with_counted(page, [text_table({"a": ["甲"]})])
    assert counted.startswith(f"before\n{COUNTED_BEGIN}\n\n**Texts**")
    assert counted.endswith(f"{COUNTED_END}\nafter")
    assert "old" not in counted
    assert with_counted("no block", []) == "no block"


MATRIX = """# Matrix
| what | planned | there |
|---|---|---|
| `urgency = critical` | 2 | 9 |
| `topics = other` | 2 |  |
| `length >= 4` | 1 |  |

| issue | planned | there | channels | chat | in_app |
|---|---|---|---|---|---|
| ui.display | 1 |  |  |  |  |
| none | 1 |  |  |  |  |

| scenario | words | planned | there |
|---|---|---|---|
| transfers | 转账、汇款 | 1 |  |

| another | table |
|---|---|
| stays | as it is |
"""


def test_the_matrix_is_counted_and_rows_below_their_floor_are_named() -> None:
    page = recounted(MATRIX, RECORDS)
    assert "| `urgency = critical` | 2 | 1 |" in page
    assert "| `topics = other` | 2 | 2 |" in page
    assert "| `length >= 4` | 1 | 2 |" in page
    assert "| ui.display | 1 | 1 | 1 | 0 | 1 |" in page
    assert "| none | 1 | 2 | 1 | 2 | 0 |" in page
    assert "| transfers | 转账、汇款 | 1 | 1 |" in page  # the text is in traditional characters
    assert "| stays | as it is |" in page
    assert recounted(page, RECORDS) == page
    short = shortfalls(page)
    assert [(row.number, row.reason) for row in short] == [(4, "what '`urgency = critical`': 1 records, planned 2")]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("| `mood = bad` | 1 |  |", "cannot count '`mood = bad`'"),
        ("| rubbish | 1 |  |", "write it as"),
        ("| x |", "1 cells"),
    ],
)
def test_a_row_that_cannot_be_counted_is_named(row: str, message: str) -> None:
    with pytest.raises(TableError, match=f"MATRIX.md:4: .*{message}"):
        recounted(MATRIX.replace("| `urgency = critical` | 2 | 9 |", row), RECORDS)


def corpus_with_pages(folder: Path) -> None:
    for split in CORPUS_SPLITS:
        rows = sorted((row.to_dict() for row in SPLITS[split]), key=lambda row: str(row["id"]))
        write_lines(folder / f"{split}.jsonl", rows)
    (folder / "MATRIX.md").write_text(MATRIX.replace("| 2 | 9 |", "| 1 | 9 |"), "utf-8")
    (folder / "DATASHEET.md").write_text(f"# Sheet\n{COUNTED_BEGIN}\n{COUNTED_END}\n", "utf-8")


def test_stats_prints_labels_texts_and_coverage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus_with_pages(tmp_path)
    before = (tmp_path / "MATRIX.md").read_text("utf-8")
    assert data(["stats", "--folder", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "0 rows below their floor" in said
    assert "critical" in said
    assert "real" not in said
    assert (tmp_path / "MATRIX.md").read_text("utf-8") == before
    write_lines(tmp_path / "public.jsonl", [{"text": "真话"}])
    data(["stats", "--folder", str(tmp_path)])
    assert "real" in capsys.readouterr().out


def test_pages_are_stale_until_they_are_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus_with_pages(tmp_path)
    text = tmp_path / "train.jsonl"
    # The made records break label rules that are not the matter here.
    text.write_text(
        text.read_text("utf-8").replace('"high", "handling": "immediate"', '"high", "handling": "investigate"'), "utf-8"
    )
    content = (tmp_path / "test.jsonl").read_text("utf-8").replace('"immediate"', '"investigate"')
    (tmp_path / "test.jsonl").write_text(content, "utf-8")
    assert data(["check", "--folder", str(tmp_path)]) == 1
    said = capsys.readouterr().out
    assert "MATRIX.md:4: [stale]" in said
    assert "DATASHEET.md:3: [stale]" in said
    data(["stats", "--write", "--folder", str(tmp_path)])
    capsys.readouterr()
    assert data(["check", "--folder", str(tmp_path)]) == 0, capsys.readouterr().out
    page = (tmp_path / "MATRIX.md").read_text("utf-8")
    (tmp_path / "MATRIX.md").write_text(page.replace("| none | 1 |", "| none | 3 |"), "utf-8")
    assert data(["check", "--folder", str(tmp_path)]) == 1
    assert "[coverage] issue 'none': 2 records, planned 3" in capsys.readouterr().out


@pytest.mark.parametrize("action", [[], ["check"], ["stats"], ["fetch-public"]])
def test_help_ends_with_an_example(action: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        data([*action, "--help"])
    assert left.value.code == 0
    assert capsys.readouterr().out.strip().split("\n")[-1].startswith("  fankui data")


def test_wrong_usage_leaves_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        data(["destroy"])
    assert left.value.code == 2
    assert "invalid choice" in capsys.readouterr().err
