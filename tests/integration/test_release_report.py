"""`fankui evaluate` as a user runs it: page and figures from a file, another bundle beside it, behaviour over texts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from data.corpus import read_split
from model.bundle import default_folder

if TYPE_CHECKING:
    from tests.conftest import RunFankui


def test_a_page_and_figures_from_labelled_records(run_fankui: RunFankui, tmp_path: Path) -> None:
    rows = [record.to_dict() for record in read_split("validation")[:60]]
    marked = "<b>转账</b>失败 & 没到账"
    rows.append({"id": "mine", "text": marked, "topics": ["ui"], "urgency": "critical", "channel": "sms"})
    data, page, figures = tmp_path / "rows.jsonl", tmp_path / "out.html", tmp_path / "out.json"
    data.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), "utf-8")
    suite = tmp_path / "suite.jsonl"
    case = {"id": "c1", "kind": "invariance", "capability": "emoji", "perturbation": "emoji", "text": "好"}
    suite.write_text(json.dumps({**case, "changed": "好🙏"}, ensure_ascii=False), "utf-8")
    done = run_fankui(
        "evaluate", "--data", str(data), "--against", str(default_folder()), "--behaviour", "--suite", str(suite),
        "--report", str(page), "--json", str(figures),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "topics: fankui minus against +0.000 [+0.000, +0.000], p 1.000" in done.stdout  # held against itself
    assert "flip rates over rows" in done.stdout and "full_width" in done.stdout
    written = json.loads(figures.read_text("utf-8"))
    (result,) = written["sets"].values()
    assert result["fankui"]["n"] == 61 and set(written["behaviour"]["rates"]) == {"invariance", "invariance/emoji"}
    assert written["against"]["model_version"] == written["model_version"]
    assert {row["dimension"] for row in result["slices"]} >= {"channel", "characters", "number of topics"}
    html = page.read_text("utf-8")
    assert html.startswith("<!doctype html>") and html.rstrip().endswith("</html>")
    assert marked not in html and "&lt;b&gt;转账&lt;/b&gt;失败 &amp; 没到账" in html

    done = run_fankui(
        "evaluate", str(data), "--no-baseline", "--no-texts", "--report", str(page), "--json", str(figures)
    )
    assert done.returncode == 0, done.stderr
    for path in (page, figures):
        text = path.read_text("utf-8")
        assert "没到账" not in text and all(str(row["text"])[:12] not in text for row in rows if len(row["text"]) > 12)
        assert "mine" in text  # by its id the row can still be found


def test_what_cannot_be_evaluated_is_named_in_one_line(run_fankui: RunFankui, tmp_path: Path) -> None:
    table = tmp_path / "rows.csv"
    table.write_text("text,topics,urgency\n" + "打不开了,ui,high\n挺好,,low\n密码忘了,security,normal\n" * 4, "utf-8")
    figures = tmp_path / "t.json"
    done = run_fankui("evaluate", "--data", str(table), "--no-baseline", "--json", str(figures))
    assert done.returncode == 0, done.stderr
    (result,) = json.loads(figures.read_text("utf-8"))["sets"].values()
    assert result["fankui"]["heads"]["urgency"]["n"] == 12
    for arguments, named in (
        (["--report", str(tmp_path / "nowhere" / "out.html")], "there is no folder"),
        (["--data", str(table), "--fold", "select"], "no records in the select fold"),
        (["--behaviour", "--suite", str(tmp_path / "none.jsonl")], "no behavioural suite"),
    ):
        done = run_fankui("evaluate", "--no-baseline", *arguments)
        assert done.returncode == 3 and named in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr
