from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from model.bundle import default_folder

if TYPE_CHECKING:
    from tests.conftest import RunFankui

STOLEN = "昨晚有人在外地用我的账户刷了三笔，一共8600，我没有操作过"
FAILED = "转账一直失败，钱扣了对方没收到"


def test_table_for_people(run_fankui: RunFankui) -> None:
    done = run_fankui("classify", STOLEN, FAILED)
    assert done.returncode == 0 and done.stderr == ""
    assert STOLEN in done.stdout and "urgency       critical" in done.stdout and "payment_failure" in done.stdout


def test_json_for_programs_from_standard_input(run_fankui: RunFankui) -> None:
    done = run_fankui("classify", "-", "--json", stdin=f"{STOLEN}\n\n{FAILED}\r\n")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0 and [row["label_error"] for row in rows] == [None, "blank_text", None]
    assert rows[0]["urgency"] == "critical" and "security" in rows[0]["topics"]
    assert rows[2]["text"] == FAILED and "payment_failure" in rows[2]["topics"]
    assert all(0 <= score <= 1 for score in rows[0]["topics_scores"].values())


@pytest.mark.parametrize(
    ("arguments", "code", "named"),
    [
        (["classify", " "], 3, "blank"),
        (["classify", "好", "--bundle", "no/such/folder"], 3, "no/such/folder"),
        (["classfy", "好"], 2, "classfy"),
        (["classify"], 2, "TEXT"),
        ([], 2, "usage: fankui"),
    ],
)
def test_bad_input_gets_one_line(run_fankui: RunFankui, arguments: list[str], code: int, named: str) -> None:
    done = run_fankui(*arguments)
    assert done.returncode == code
    assert named in done.stdout + done.stderr and "Traceback" not in done.stderr


def test_a_text_above_the_limit_is_named(run_fankui: RunFankui) -> None:
    done = run_fankui("classify", "-", stdin="好" * 70_000 + "\n挺好的\n")
    assert done.returncode == 0 and "70,000 characters, the limit is 65,536" in done.stdout and "挺好的" in done.stdout


def test_tampered_bundle_is_refused(run_fankui: RunFankui, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(default_folder(), tmp_path / "b"))
    with (copy / "onnx" / "model_int8.onnx").open("r+b") as file:
        file.seek(1000)
        file.write(b"\x00\x01\x02")
    done = run_fankui("classify", "好", "--bundle", str(copy))
    assert done.returncode == 3 and "SHA-256 differs" in done.stderr and len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("command", ["classify", "label", "serve", "train", "evaluate", "pretrain", "data"])
def test_every_help_ends_with_an_example(run_fankui: RunFankui, command: str) -> None:
    done = run_fankui(command, "--help")
    assert done.returncode == 0
    assert f"fankui {command}" in done.stdout[done.stdout.rindex("example") :]


def test_shadowed_rooms_are_named(run_fankui: RunFankui, tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text("x = 1\n", "utf-8")
    done = run_fankui("classify", "好", cwd=tmp_path)
    assert done.returncode == 3 and "model.py" in done.stderr and "python -P" in done.stderr
