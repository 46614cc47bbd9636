"""``fankui label --engine ray`` from one ``s3://`` folder to another, beside the local engine on the same files."""

from __future__ import annotations

import importlib.util
import io
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXTS = ("昨晚有人在外地用我的账户刷了三笔", "转账一直失败，钱扣了对方没收到", "闪退", " ", "挺好用的")
LIBRARIES = ("ray", "s3fs", "boto3", "moto", "flask")
MISSING = [name for name in LIBRARIES if importlib.util.find_spec(name) is None]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1500),
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}; pip install 'fankui[ray,dev]'"),
]


@pytest.fixture
def environment() -> Iterator[dict[str, str]]:
    """Of a process that finds a store by environment variables alone, as Ray's workers have to."""
    from moto.moto_server.threaded_moto_server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    own = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "FSSPEC_", "RAY_"))}
    yield own | {
        "AWS_ACCESS_KEY_ID": "desk",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_EC2_METADATA_DISABLED": "true",  # else credentials are looked for in a cloud that is not there
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "NO_PROXY": host,
        "PYTHONPATH": str(ROOT),
        "PYTHONUTF8": "1",
    }
    server.stop()


def client_of(environment: Mapping[str, str]) -> Any:
    """A client that shares no code with what is tested."""
    from boto3 import client

    return client(
        "s3",
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        region_name=environment["AWS_DEFAULT_REGION"],
    )


def run_fankui(environment: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line, with the patience that starting actors on a slow machine takes."""
    command = [sys.executable, "-m", "fankui", *arguments]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, encoding="utf-8", timeout=600, check=False
    )


def write_exports(folder: Path) -> None:
    """A GBK CSV with a blank and a row of too many cells, and a Parquet file deeper down."""
    from pyarrow import Table
    from pyarrow.parquet import write_table

    lines = ["编号,反馈内容", *(f"{row},{text}" for row, text in enumerate(TEXTS)), "9,多了,一格"]
    (folder / "more").mkdir(parents=True)
    (folder / "工单.csv").write_bytes("\r\n".join(lines).encode("gbk"))
    write_table(Table.from_pydict({"id": list(range(len(TEXTS))), "评论": TEXTS}), folder / "more" / "app.parquet")


def stored(s3: Any, prefix: str) -> dict[str, tuple[bytes, Any]]:
    """What lies below a prefix, with the times of writing; the records of the runs left out."""
    listed = s3.list_objects_v2(Bucket="desk", Prefix=prefix).get("Contents", [])
    keys = {item["Key"]: item["LastModified"] for item in listed if not item["Key"].endswith(".run.json")}
    return {
        key.removeprefix(prefix): (s3.get_object(Bucket="desk", Key=key)["Body"].read(), time)
        for key, time in keys.items()
    }


def test_a_folder_in_a_bucket_gets_what_the_local_engine_gives_it(environment: dict[str, str], tmp_path: Path) -> None:
    from pyarrow.parquet import read_table, write_table

    write_exports(tmp_path / "in")
    s3 = client_of(environment)
    s3.create_bucket(Bucket="desk")
    for path in (path for path in (tmp_path / "in").rglob("*") if path.is_file()):
        s3.put_object(Bucket="desk", Key=f"in/{path.relative_to(tmp_path / 'in')}", Body=path.read_bytes())
    local = run_fankui(environment, "label", str(tmp_path / "in"), "-o", f"{tmp_path / 'out'}/")
    assert local.returncode == 0, local.stderr
    wanted = {
        str(path.relative_to(tmp_path / "out")): path.read_bytes()
        for path in (tmp_path / "out").rglob("*")
        if path.is_file() and not path.name.endswith(".run.json")
    }

    label = ("label", "s3://desk/in", "-o", "s3://desk/out", "--engine", "ray")
    first = run_fankui(environment, *label)
    assert first.returncode == 0, first.stderr
    assert "2 files" in first.stdout and "2 labelled, 0 finished before" in first.stdout
    assert "rows in 11 = rows out 10 + rejects 1" in first.stdout and "2 blank_text" in first.stdout
    outputs = stored(s3, "out/")
    assert {name: content for name, (content, _) in outputs.items()} == wanted
    assert set(outputs) == {"工单.csv", "工单.csv.rejects.jsonl", "more/app.parquet"}
    labelled = read_table(io.BytesIO(outputs["more/app.parquet"][0]))
    assert labelled.column("评论").to_pylist() == list(TEXTS)
    assert labelled.column("label_error").to_pylist() == [None, None, None, "blank_text", None]
    assert all(labelled.column("topics").to_pylist()[:2])

    again = run_fankui(environment, *label)
    assert again.returncode == 0 and "0 labelled, 2 finished before" in again.stdout, again.stderr
    assert stored(s3, "out/") == outputs

    s3.delete_object(Bucket="desk", Key="out/工单.csv")  # is made again; an input that changed is refused
    write_table(labelled.select(["id", "评论"]).slice(1), tmp_path / "less.parquet")
    s3.put_object(Bucket="desk", Key="in/more/app.parquet", Body=(tmp_path / "less.parquet").read_bytes())
    third = run_fankui(environment, *label)
    assert third.returncode == 3 and "1 labelled, 0 finished before" in third.stdout, third.stderr
    assert "s3://desk/out/more/app.parquet was made from something else" in third.stderr
    assert "1 of 2 files failed" in third.stderr and "Traceback" not in third.stderr
    assert {name: content for name, (content, _) in stored(s3, "out/").items()} == wanted


@pytest.mark.parametrize(
    ("source", "output", "without", "named", "why"),
    [
        ("s3://nowhere/in", "s3://desk/out", "", "s3://nowhere/in", "there is no bucket nowhere"),
        ("s3://desk/in", "s3://nowhere/out", "", "s3://nowhere/out", "there is no bucket nowhere"),
        ("s3://desk/none", "s3://desk/out", "", "s3://desk/none", "there is no such file or folder"),
        ("s3://desk/in", "s3://desk/out", "AWS_ACCESS_KEY_ID", "s3://desk/out", "Unable to locate credentials"),
    ],
    ids=["no input bucket", "no output bucket", "no input folder", "no credentials"],
)
def test_what_is_missing_is_named(
    environment: dict[str, str], source: str, output: str, without: str, named: str, why: str
) -> None:
    s3 = client_of(environment)
    s3.create_bucket(Bucket="desk")
    s3.put_object(Bucket="desk", Key="in/a.csv", Body="text\r\n闪退".encode("gbk"))
    environment.pop(without, None)
    done = run_fankui(environment, "label", source, "-o", output, "--engine", "ray")
    assert done.returncode == 3 and f"{named} cannot be read or written: {why}" in done.stderr, done.stderr
    assert "Traceback" not in done.stderr and done.stdout == ""
    assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == ["desk"]  # none was made
