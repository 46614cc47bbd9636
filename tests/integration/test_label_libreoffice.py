"""What LibreOffice sees in a workbook that ``fankui label`` wrote, a second opinion beside openpyxl's."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.conftest import RunFankui

SOFFICE = shutil.which("soffice")
ROWS: list[dict[str, Any]] = [
    {"编号": "00012", "内容": "昨晚有人在外地用我的账户刷了三笔", "金额": 8600.5, "备注": "=cmd|' /C calc'!A0"},
    {"编号": "6222021234567890123", "内容": '他说"打不开"，\n第二行', "金额": 12, "备注": "@SUM(1)"},
    {"编号": "3", "内容": "登录不上😀 a\x00b", "金额": None, "备注": "=1+1"},
    {"编号": "4", "内容": None, "金额": -3.5, "备注": "+86"},
]
UTF8_CSV = "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,false,false,false,false,-1"
"""Comma, double quotes, UTF-8, from line 1; cells as they are, not as they are shown; every sheet."""


@pytest.mark.slow
@pytest.mark.skipif(SOFFICE is None, reason="no soffice; on Debian: apt-get install libreoffice-calc-nogui")
def test_libreoffice_reads_every_cell_as_it_was_written(run_fankui: RunFankui, tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS), "utf-8")
    for suffix in ("xlsx", "jsonl"):
        assert run_fankui("label", str(source), "-o", str(tmp_path / f"out.{suffix}")).returncode == 0
    profile = f"-env:UserInstallation={(tmp_path / 'profile').as_uri()}"
    convert = ["--headless", "--convert-to", UTF8_CSV, "--outdir", str(tmp_path / "csv"), str(tmp_path / "out.xlsx")]
    done = subprocess.run([SOFFICE or "", profile, *convert], capture_output=True, timeout=280, text=True, check=False)
    (converted,) = (tmp_path / "csv").glob("*.csv")
    with converted.open(encoding="utf-8", newline="") as file:
        seen = list(csv.DictReader(file))
    written = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text("utf-8").splitlines()]
    assert done.returncode == 0 and list(seen[0]) == list(written[0])
    # a formula would have become 2, #NAME? or Err:508
    assert [row["备注"] for row in seen] == [row["备注"] for row in ROWS]
    assert [row["编号"] for row in seen] == [row["编号"] for row in ROWS]
    assert [row["内容"] for row in seen] == [str(row["内容"] or "").replace("\x00", "\ufffd") for row in ROWS]
    assert [row["金额"] for row in seen] == ["8600.5", "12", "", "-3.5"]
    for row, labels in zip(seen, written, strict=True):
        assert row["topics"] == "|".join(labels["topics"] or [])
        assert row["urgency"] == (labels["urgency"] or "") and row["label_error"] == (labels["label_error"] or "")
        assert (float(row["urgency_score"]) if row["urgency_score"] else None) == labels["urgency_score"]
        assert row["needs_review"].lower() == (
            "" if labels["needs_review"] is None else str(labels["needs_review"]).lower()
        )
