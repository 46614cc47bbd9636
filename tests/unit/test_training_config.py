"""Configuration of ``fankui train``, splits by hash, and the folder of a run that may be killed."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import pytest

from data.taxonomy import Head, Label, Taxonomy
from training.errors import CheckpointError, ConfigError, DataError
from training.splits import Parts, notable, split, text_key
from training.train_config import build, parse_setting, read_toml, split_settings, suggested
from training.work_folder import checkpoints, open_work, work_folder

TAXONOMY = Taxonomy(
    "t",
    "1",
    (
        Head("kind", "single_label", (Label("a"), Label("b"), Label("rare"))),
        Head("tags", "multi_label", (Label("x"), Label("y")), empty_set="other"),
    ),
)


@dataclass(frozen=True)
class Tuning:
    epochs: int = 8
    learning_rate: float = 3e-4
    dropout: float | None = None
    bf16: bool = False
    report_to: str = "none"
    head_weights: dict[str, float] = field(default_factory=dict)


def test_paths_in_a_configuration_are_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "base").mkdir()
    path = tmp_path / "train.toml"
    path.write_text(
        'data = ["a.csv", "b.csv"]\nout = "runs/one"\ntaxonomy = "wallet"\nbase = "base"\nepochs = 3\n'
        "learning_rate = 1\n[head_weights]\nkind = 2\n",
        "utf-8",
    )
    options, rest = split_settings(read_toml(path))
    assert options.data == (tmp_path / "a.csv", tmp_path / "b.csv") and options.out == tmp_path / "runs" / "one"
    assert str(options.taxonomy) == "wallet" and options.base == str(tmp_path / "base")
    tuning = build(Tuning, rest)
    assert tuning == Tuning(epochs=3, learning_rate=1.0, head_weights={"kind": 2.0})


def test_wrong_settings_are_named() -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"learning_rte": 1e-4}, "unknown setting 'learning_rte'; did you mean 'learning_rate'"),
        ({"epochs": 2.5}, "epochs cannot be 2.5; it takes int"),
        ({"epochs": True}, "epochs cannot be True"),
        ({"epochs": 0}, "epochs cannot be 0; the least is 1"),
        ({"learning_rate": 0.0}, "learning_rate cannot be 0.0; the least is above 0"),
        ({"bf16": "yes"}, "bf16 cannot be 'yes'; it takes bool"),
        ({"head_weights": {"kind": "much"}}, "head_weights.kind cannot be 'much'"),
        ({"wholly_other": 1}, "known are .*epochs.*out"),
    ]
    for settings, message in cases:
        with pytest.raises(ConfigError, match=message):
            build(Tuning, settings)
    assert build(Tuning, {"dropout": 0}).dropout == 0.0
    with pytest.raises(ConfigError, match="no configuration file"):
        read_toml(Path("nowhere.toml"))


def test_set_takes_toml_values_and_bare_words() -> None:
    assert parse_setting("smoothing=0.1") == ("smoothing", 0.1)
    assert parse_setting("report-to=tensorboard") == ("report_to", "tensorboard")
    assert parse_setting("head_weights={kind = 2}") == ("head_weights", {"kind": 2})
    with pytest.raises(ConfigError, match="name=value"):
        parse_setting("smoothing")


def test_small_sets_take_more_epochs_and_large_bases_smaller_rates() -> None:
    assert suggested(256, 10_000, 32, 8) == {"learning_rate": 3e-4, "epochs": 8}
    assert suggested(768, 480, 32, 8) == {"learning_rate": 4e-5, "epochs": 20}
    assert suggested(1024, 20, 32, 8) == {"learning_rate": 2e-5, "epochs": 40}


def _records(n: int) -> list[dict[str, Any]]:
    return [{"text": f"文本第{n}条", "kind": "ab"[n % 2], "tags": ["x"] if n % 3 else []} for n in range(n)]


def test_a_split_depends_on_the_text_alone_and_keeps_copies_together() -> None:
    records = _records(1000)
    parts = split(records, TAXONOMY)
    assert [len(part) / 1000 for part in (parts.train, parts.validation, parts.test)] == pytest.approx(
        [0.8, 0.1, 0.1], abs=0.03
    )
    before = {text_key(record) for record in parts.test}
    copies = [{**record, "text": record["text"] + "！ "} for record in records] + [
        {**record, "text": " ２" + record["text"]} for record in records
    ]
    grown = split(records + copies, TAXONOMY)
    assert {text_key(r) for r in grown.test} >= before
    twice = split(records + [dict(record, text=f" {record['text']} ") for record in records], TAXONOMY)
    keys = [{text_key(r) for r in part} for part in (twice.train, twice.validation, twice.test)]
    assert not (keys[0] & keys[1] or keys[0] & keys[2] or keys[1] & keys[2])
    assert len(twice.train) + len(twice.validation) + len(twice.test) == 2000


def test_little_data_keeps_its_rare_labels_for_learning() -> None:
    for n in range(12, 60, 4):
        records = [*_records(n), {"text": "只有一条", "kind": "rare", "tags": ["y"]}]
        parts = split(records, TAXONOMY)
        assert records[-1] in parts.train and parts.validation and not parts.test
        assert {r["kind"] for r in parts.train} == {"a", "b", "rare"}
        assert 0.1 <= len(parts.validation) / len(records) <= 0.45
        assert any("no test set" in notice for notice in parts.notices)
    with pytest.raises(DataError, match="9 different texts are too few"):
        split(_records(9) * 5, TAXONOMY)


def test_what_a_person_should_know_is_said() -> None:
    train: list[Any] = [*_records(20), {"text": "文本第0条", "kind": "b"}]
    parts = Parts(
        train, [{"text": " 文本第3条", "kind": "a"}, {"text": "别的", "kind": "rare"}], [{"text": "别的", "kind": "a"}]
    )
    notices = "\n".join(notable(parts, TAXONOMY))
    assert "2 labels without a training example, cannot be learned: kind/rare, tags/y" in notices
    assert "1 text in train and in validation alike (50.0% of validation)" in notices
    assert "1 text in validation and in test alike (100.0% of test)" in notices
    assert "1 training text with different labels in different rows" in notices
    with pytest.raises(DataError, match="no training row has a label of the head 'tags'"):
        notable(Parts([{"text": "好", "kind": "a"}], [], []), TAXONOMY)


def _checkpoint(folder: Path, step: int, whole: bool = True) -> None:
    (folder / f"checkpoint-{step}").mkdir(parents=True)
    if whole:
        (folder / f"checkpoint-{step}" / "trainer_state.json").write_text("{}", "utf-8")


def test_a_stopped_run_is_neither_lost_nor_mixed_with_another(tmp_path: Path) -> None:
    folder = work_folder(tmp_path / "bundle")
    run = {"base": "encoder", "config": {"seed": 1}}
    assert open_work(folder, run, resume=True) == 0  # nothing there: begin
    assert open_work(folder, run, resume=False) == 0  # never got to a checkpoint: begin again
    _checkpoint(folder, 9)
    _checkpoint(folder, 10)
    _checkpoint(folder, 11, whole=False)
    with pytest.raises(CheckpointError, match="stopped at step 10; --resume goes on"):
        open_work(folder, run, resume=False)
    with pytest.raises(CheckpointError, match=r"config was \{'seed': 1\} and is \{'seed': 2\}"):
        open_work(folder, {**run, "config": {"seed": 2}}, resume=True)
    assert open_work(folder, run, resume=True) == 10
    assert [path.name for path in checkpoints(folder)] == ["checkpoint-9", "checkpoint-10"]
    assert not (folder / "checkpoint-11").exists()


def test_every_setting_is_documented() -> None:
    from training.finetune import FinetuneConfig
    from training.train_config import TrainOptions

    page = (Path(__file__).resolve().parents[2] / "docs" / "training.md").read_text("utf-8")
    names = [field.name for kind in (FinetuneConfig, TrainOptions) for field in fields(kind)]
    assert [name for name in names if f"`{name}`" not in page] == []
