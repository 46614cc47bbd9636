"""Shards of a distributed run, without a cluster: what an actor does with each."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from data.errors import ColumnMissing
from serving.label_errors import JobDiffers, LabellingError, OutputInTheWay, StorageFailed
from serving.label_input import LabelInput
from serving.label_options import LabelOptions
from serving.label_progress import Progress
from serving.label_run import LabelRun
from serving.label_shards import finished, label_shard, plan_shards
from serving.label_totals import total

if TYPE_CHECKING:
    from model.classifier import Classifier

pytest.importorskip("fsspec", reason="fsspec comes with the extras ray and train")

GBK = "编号,反馈内容\r\n1,昨晚有人盗刷了我三笔\r\n2,转账失败了\r\n3,\r\n4,多了,一格\r\n"
JSONL = '{"id": 1, "text": "闪退"}\n{broken\n{"id": 2, "text": "转账失败了"}\n'


@pytest.fixture
def exports(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    (folder / "2025").mkdir(parents=True)
    (folder / "a.csv").write_bytes(GBK.encode("gbk"))
    (folder / "2025" / "b.jsonl").write_text(JSONL, "utf-8")
    (folder / "2025" / ".c.jsonl").write_text(JSONL, "utf-8")
    (folder / "notes.txt").write_text("no table")
    return folder


def place(path: Path, url: bool) -> str:
    return path.as_uri() if url else str(path)


def files_in(folder: Path) -> dict[str, bytes]:
    """Everything but the records, which hold times."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(".run.json"))
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def label_all(classifier: Classifier, exports: str, folder: str, **options: Any) -> list[Mapping[str, Any]]:
    return [
        label_shard(classifier, shard, LabelOptions(**options)) for shard in plan_shards([exports], folder, None, None)
    ]


@pytest.mark.parametrize(("from_url", "to_url"), [(False, False), (True, True), (True, False), (False, True)])
def test_a_shard_becomes_what_the_local_engine_makes_of_it(
    classifier: Classifier, exports: Path, tmp_path: Path, from_url: bool, to_url: bool
) -> None:
    for name in ("a.csv", "2025/b.jsonl"):
        output = tmp_path / "local" / name
        output.parent.mkdir(parents=True, exist_ok=True)
        options = LabelOptions()
        source = LabelInput(exports / name, None, options.read, None, None)
        (shard,) = plan_shards([str(exports / name)], str(tmp_path / "x"), None, None)
        LabelRun(classifier, source, shard.output_form, options, Progress(sys.stderr, quiet=True)).to_file(output)
    target = place(tmp_path / "out", to_url)
    summaries = label_all(classifier, place(exports, from_url), target)
    assert sorted((summary["rows_in"], summary["rejects"]) for summary in summaries) == [(3, 1), (4, 1)]
    assert files_in(tmp_path / "out") == files_in(tmp_path / "local")
    assert len(files_in(tmp_path / "out")) == 4
    again = plan_shards([place(exports, from_url)], target, None, None)
    kept = [finished(shard, LabelOptions(), classifier.model_version) for shard in again]
    assert [summary and summary["rows_in"] for summary in kept] == [summary["rows_in"] for summary in summaries]
    assert finished(again[0], LabelOptions(privacy="mask"), classifier.model_version) is None
    assert finished(again[0], LabelOptions(), "another version") is None


@pytest.mark.parametrize("url", [False, True])
def test_a_finished_shard_is_passed_over_and_anything_changed_is_refused(
    classifier: Classifier, exports: Path, tmp_path: Path, url: bool
) -> None:
    source, output = exports / "a.csv", tmp_path / "out" / "a.csv"
    (shard,) = plan_shards([place(source, url)], place(tmp_path / "out", url), None, None)
    first = label_shard(classifier, shard, LabelOptions())
    assert not first["already_done"]
    written = output.read_bytes()
    source.touch()  # another time, the same content: the quick look cannot know, the shard itself does
    assert finished(shard, LabelOptions(), classifier.model_version) is None
    again = label_shard(classifier, shard, LabelOptions())
    assert again["already_done"] and again["rows_in"] == first["rows_in"]
    assert finished(shard, LabelOptions(), classifier.model_version) is not None
    with pytest.raises(JobDiffers, match="privacy was 'keep', now 'mask'"):
        label_shard(classifier, shard, LabelOptions(privacy="mask"))
    source.write_bytes(GBK.encode("gbk") + b"5,x\r\n")
    with pytest.raises(JobDiffers, match="the input has changed"):
        label_shard(classifier, shard, LabelOptions())
    assert output.read_bytes() == written
    assert label_shard(classifier, shard, LabelOptions(restart=True))["rows_in"] == 5
    output.write_text("edited")
    with pytest.raises(OutputInTheWay, match="changed after it was written"):
        label_shard(classifier, shard, LabelOptions())
    Path(f"{output}.run.json").unlink()
    with pytest.raises(OutputInTheWay, match="not written by fankui"):
        label_shard(classifier, shard, LabelOptions())


def test_a_run_killed_while_it_stored_a_shard_is_not_in_its_own_way(
    classifier: Classifier, exports: Path, tmp_path: Path
) -> None:
    (shard,) = plan_shards([(exports / "a.csv").as_uri()], (tmp_path / "out").as_uri(), None, None)
    label_shard(classifier, shard, LabelOptions())
    output, record = tmp_path / "out" / "a.csv", tmp_path / "out" / "a.csv.run.json"
    written, job = output.read_bytes(), json.loads(record.read_text("utf-8"))["job"]
    record.write_text(json.dumps({"job": job, "output_sha256": None}))
    output.write_bytes(written[:100])
    assert finished(shard, LabelOptions(), classifier.model_version) is None
    assert not label_shard(classifier, shard, LabelOptions())["already_done"]
    assert output.read_bytes() == written


def test_errors_name_the_places_a_person_knows(classifier: Classifier, exports: Path, tmp_path: Path) -> None:
    (exports / "d.csv.gz").write_bytes(b"\x1f\x8b\x08 no more of it")
    (shard,) = plan_shards([(exports / "d.csv.gz").as_uri()], str(tmp_path / "out"), None, None)
    with pytest.raises(Exception, match=r"file://.*d\.csv\.gz cannot be read"):
        label_shard(classifier, shard, LabelOptions())
    (shard,) = plan_shards([(exports / "a.csv").as_uri()], str(tmp_path / "out"), None, None)
    with pytest.raises(ColumnMissing, match="no column '正文'"):
        label_shard(classifier, shard, LabelOptions(text_column="正文"))
    with pytest.raises(StorageFailed, match=r"none\.csv.*there is no such file"):
        plan_shards([(exports / "none.csv").as_uri()], str(tmp_path / "out"), None, None)
    with pytest.raises(LabellingError, match="klingon://"):
        plan_shards(["klingon://desk/a.csv"], str(tmp_path / "out"), None, None)


def names(given: Sequence[str], folder: str, kind: str | None = None) -> list[tuple[str, str]]:
    shards = plan_shards(given, folder, None, kind)
    return [(shard.source.rpartition("/in/")[2], shard.output.rpartition("/out/")[2]) for shard in shards]


@pytest.mark.parametrize("url", [False, True])
def test_folders_patterns_and_files_become_shards(exports: Path, tmp_path: Path, url: bool) -> None:
    folder, out = place(exports, url), place(tmp_path / "out", url)
    both = [("2025/b.jsonl", "2025/b.jsonl"), ("a.csv", "a.csv")]
    assert names([folder], out) == both
    assert names([folder], out, "parquet") == [("2025/b.jsonl", "2025/b.parquet"), ("a.csv", "a.parquet")]
    assert names([f"{folder}/*.csv"], out) == [("a.csv", "a.csv")]
    assert names([f"{folder}/**/*.jsonl"], out) == [("2025/b.jsonl", "b.jsonl")]
    assert names([f"{folder}/a.csv", f"{folder}/2025"], out) == [("a.csv", "a.csv"), ("2025/b.jsonl", "b.jsonl")]
    (exports / "out").mkdir()
    (exports / "out" / "a.csv").write_text("text\n好\n", "utf-8")
    assert len(names([folder], f"{folder}/out")) == 2
    with pytest.raises(LabellingError, match="no tables in"):
        names([f"{folder}/*.none"], out)
    with pytest.raises(LabellingError, match="would be written over"):
        names([folder], folder)
    (exports / "2025" / "a.csv").write_text("text\n好\n", "utf-8")
    with pytest.raises(LabellingError, match="would both go to"):
        names([f"{folder}/a.csv", f"{folder}/2025/a.csv"], out)


def test_tables_of_an_object_store_are_found() -> None:
    fsspec = pytest.importorskip("fsspec")
    store = fsspec.filesystem("memory")
    for name in ("/desk/in/a.csv", "/desk/in/b/c.parquet", "/desk/in/_SUCCESS", "/desk/in/out/a.csv"):
        store.pipe(name, b"x" * 10)
    shards = plan_shards(["memory://desk/in"], "memory://desk/in/out", None, "jsonl")
    assert [(shard.source, shard.output, shard.bytes) for shard in shards] == [
        ("memory:///desk/in/a.csv", "memory:///desk/in/out/a.jsonl", 10),
        ("memory:///desk/in/b/c.parquet", "memory:///desk/in/out/b/c.jsonl", 10),
    ]


def test_totals_add_up_and_say_each_notice_once(classifier: Classifier, exports: Path, tmp_path: Path) -> None:
    summaries = label_all(classifier, str(exports), str(tmp_path / "out"))
    added = total(summaries, seconds=2.0, new_rows=7)
    assert (added["rows_in"], added["rows_out"], added["rejects"]) == (7, 5, 2)
    assert added["errors"] == {"blank_text": 1} and added["rows_per_second"] == 3.5
    assert added["topics_by_urgency"].keys() == summaries[0]["topics_by_urgency"].keys()
    assert sum(added["labels"]["urgency"].values()) == 4
    assert added["notices"][0] == "read as gb18030 (1 files), utf-8 (1 files)" or "utf-8 (1 files), gb18030" in str(
        added
    )
    assert total([], 0.0, 0)["rows_in"] == 0
