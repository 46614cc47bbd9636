"""``fankui label --engine ray`` on a local cluster of two nodes, beside the local engine on the same files."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXTS = (
    "昨晚有人在外地用我的账户刷了三笔",
    "转账一直失败，钱扣了对方没收到",
    "闪退",
    "希望出个深色模式",
    " ",
    "挺好用的",
)
# in a process of its own: the cluster's services live as long as it does
CLUSTER = """
import sys
from ray.cluster_utils import Cluster
for attempt in range(5):  # Ray gives a node half a minute to start, which a busy machine may not make
    try:
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        cluster.add_node(num_cpus=1)
        cluster.wait_for_nodes()
    except Exception as error:
        print(error, file=sys.stderr)
    else:
        print("address", cluster.address, flush=True)
        sys.stdin.read()
        cluster.shutdown()
        break
"""


def run_fankui(*arguments: str, program: Sequence[str] = ("-m", "fankui")) -> subprocess.CompletedProcess[str]:
    """The command line, with the patience that starting actors on a slow machine takes."""
    # Ray Data hands out nothing before all actors stand; else the first might do these small shards alone
    both = {"RAY_DATA_DEFAULT_WAIT_FOR_MIN_ACTORS_S": "600"}
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", **both}
    command = [sys.executable, *program, *arguments]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, encoding="utf-8", timeout=700, check=False
    )


needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="Ray is not installed; pip install 'fankui[ray]'"
)
pytestmark = [pytest.mark.slow, pytest.mark.timeout(2500)]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", "RAY_USAGE_STATS_ENABLED": "0"}
    with subprocess.Popen(
        [sys.executable, "-c", CLUSTER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None and process.stdin is not None
        lines = iter(process.stdout.readline, "")
        said = next((line.split()[1] for line in lines if line.startswith("address ")), None)
        assert said is not None, "Ray could not start two nodes here"
        yield said
        process.stdin.close()


@pytest.fixture
def exports(tmp_path: Path) -> Path:
    """Nine shards: GBK CSV, JSONL and, where pyarrow is there, Parquet; with blanks and rejects."""
    from pyarrow import Table
    from pyarrow.parquet import write_table

    folder = tmp_path / "in"
    (folder / "more").mkdir(parents=True)
    for number in range(3):
        texts = [f"{text}{number}".replace(f" {number}", " ") for text in TEXTS]
        lines = ["编号,反馈内容", *(f"{row},{text}" for row, text in enumerate(texts)), "9,多了,一格"]
        (folder / f"{number}.csv").write_bytes("\r\n".join(lines).encode("gbk"))
        rows = [json.dumps({"id": row, "text": text}, ensure_ascii=False) for row, text in enumerate(texts)]
        (folder / "more" / f"{number}.jsonl").write_text("\n".join([*rows, "{broken"]), "utf-8")
        write_table(Table.from_pydict({"id": list(range(6)), "content": texts}), folder / f"{number}.parquet")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(".run.json")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(files)}


def outcomes(summary: Path) -> list[dict[str, Any]]:
    files: list[dict[str, Any]] = json.loads(summary.read_text("utf-8"))["files"]
    return files


@needs_ray
@pytest.mark.parametrize("url", [False, True])
def test_two_nodes_give_every_row_what_one_machine_gives_it(
    address: str, exports: Path, tmp_path: Path, url: bool
) -> None:
    summary, out = tmp_path / "s.json", tmp_path / "out"
    assert run_fankui("label", str(exports), "-o", str(tmp_path / "local") + "/").returncode == 0
    places = [exports.as_uri(), "-o", out.as_uri()] if url else [str(exports), "-o", str(out)]
    label = ["label", *places, "--engine", "ray", "--ray-address", address, "--summary", str(summary)]
    first = run_fankui(*label)
    assert first.returncode == 0, first.stderr
    assert "9 files" in first.stdout and "9 labelled, 0 finished before" in first.stdout
    assert "rows in 60 = rows out 54 + rejects 6" in first.stdout and "9 blank_text" in first.stdout
    assert contents(out) == contents(tmp_path / "local")
    assert len({file["node"] for file in outcomes(summary)}) == 2
    again = run_fankui(*label)
    assert again.returncode == 0 and "0 labelled, 9 finished before" in again.stdout, again.stderr
    (out / "1.csv").unlink()
    (out / "1.csv.run.json").unlink()
    (exports / "2.parquet").write_bytes((exports / "1.parquet").read_bytes() + b"\0")
    third = run_fankui(*label)
    assert third.returncode == 3 and "1 labelled, 7 finished before" in third.stdout
    assert "1 of 9 files failed" in third.stderr and "2.parquet" in third.stderr and "Traceback" not in third.stderr
    (failed,) = [file for file in outcomes(summary) if "failed" in file]
    assert failed["input"].endswith("2.parquet")
    assert contents(out) == contents(tmp_path / "local")


@needs_ray
def test_another_bundle_or_option_is_refused(address: str, exports: Path, tmp_path: Path) -> None:
    label = ["label", str(exports / "*.csv"), "-o", str(tmp_path / "out"), "--engine", "ray", "--ray-address", address]
    assert run_fankui(*label, "--strict").returncode == 4
    refused = run_fankui(*label, "--privacy", "mask")
    assert refused.returncode == 3 and "privacy was 'keep', now 'mask'" in refused.stderr
    masked = run_fankui(*label, "--privacy", "mask", "--restart")
    assert masked.returncode == 0 and "3 labelled" in masked.stdout, masked.stderr
    nowhere = run_fankui(*label[:-1], "127.0.0.1:1")
    assert nowhere.returncode == 3 and "fankui: Ray: " in nowhere.stderr and "Traceback" not in nowhere.stderr


def test_without_ray_the_extra_is_named(exports: Path, tmp_path: Path) -> None:
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "ray.py").write_text("raise ModuleNotFoundError('no ray here', name='ray')")
    program = "import sys; sys.path.insert(0, sys.argv.pop(1)); import fankui; sys.exit(fankui.main())"
    label = ["label", str(exports), "-o", str(tmp_path / "out"), "--engine", "ray"]
    done = run_fankui(*label, program=("-c", program, str(tmp_path / "hidden")))
    assert done.returncode == 3 and "pip install 'fankui[ray]'" in done.stderr
