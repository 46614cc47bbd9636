from __future__ import annotations

import io
import shutil
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from data.tables import Reject, Row
from data.taxonomy import Taxonomy
from serving.checkpoint import Job, RunFiles, write_json
from serving.label_cells import label_columns, label_values, urgency_colours
from serving.label_errors import JobDiffers, JournalBroken, OutputInTheWay, RunInProgress
from serving.label_input import renamed_apart
from serving.label_journal import Journal
from serving.label_progress import Progress
from serving.label_summary import Summary, shortened, summary_text, width_of
from serving.labelling import Labeller, NoJournal

if TYPE_CHECKING:
    from data.errors import TextError
    from model.classifier import Classifier
    from model.decision import Prediction

TEXTS = ["昨晚有人盗刷了我三笔", "挺好用的", "转账失败扣了钱", " ", "挺好用的 ", "x" * 70_000, "希望出个深色模式"]


class CountingClassifier:
    """The shipped classifier, with a record of what it was asked."""

    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier
        self.taxonomy = classifier.taxonomy
        self.asked: list[str] = []

    def predict_each(self, texts: Sequence[str]) -> list[Prediction | TextError]:
        self.asked += texts
        return self._classifier.predict_each(texts)


def rows_with(texts: Iterable[str]) -> list[Row | Reject]:
    return [Row(number, {"text": text}) for number, text in enumerate(texts, start=2)]


def labelled(
    classifier: Classifier | CountingClassifier, rows: Iterable[Row | Reject], journal: Any = None, window: int = 2
) -> list[tuple[Row | Reject, list[Any] | None]]:
    labeller = Labeller(cast("Classifier", classifier), ["text"], window)
    pairs = labeller.label(rows, journal or NoJournal())
    return [(row, answer.values if answer else None) for row, answer in pairs]


def test_label_columns_are_what_a_prediction_says(classifier: Classifier) -> None:
    said = classifier.predict(["转账失败"])[0].to_dict()
    names = [column.name for column in label_columns(classifier.taxonomy)]
    assert names == [*said, "label_error", "model_version"]


def test_label_columns_follow_another_taxonomy() -> None:
    names = {"name": "wide"}, {"name": "narrow"}
    taxonomy = Taxonomy.from_dict(
        {
            "schema_version": 1,
            "name": "shoes",
            "version": "1",
            "heads": [
                {"name": "parts", "kind": "multi_label", "labels": list(names)},
                {"name": "fit", "kind": "ordinal", "labels": list(names)},
            ],
        }
    )
    columns = [column.name for column in label_columns(taxonomy)]
    assert columns[:4] == ["parts", "parts_scores", "fit", "fit_score"]
    assert urgency_colours(taxonomy) == {"fit": {"narrow": "FF9999"}}


def test_rows_come_back_in_order_and_equal_texts_are_labelled_once(classifier: Classifier) -> None:
    counting = CountingClassifier(classifier)
    rows = [*rows_with(TEXTS * 3), Reject(99, "broken", "{"), *rows_with(["最后一条"])]
    result = labelled(counting, rows)
    assert [row for row, _ in result] == rows
    assert sorted(counting.asked) == sorted({text.strip() for text in TEXTS[:3]} | {TEXTS[-1], "最后一条"})
    names = tuple(column.name for column in label_columns(classifier.taxonomy))
    for row, values in result:
        if isinstance(row, Row):
            assert values == label_values(classifier.predict_each([row.cells["text"]])[0], names)
        else:
            assert values is None
    error = names.index("label_error")
    assert [values[error] for _, values in result[3:6] if values] == ["blank_text", None, "text_too_long"]


def kept_in(path: Path) -> list[list[list[Any]]]:
    journal = Journal(path)
    journal.close()
    return list(journal.replay())


@pytest.mark.parametrize("kept", [0, 1, 3, 5])
def test_a_run_cut_short_goes_on_without_asking_again(classifier: Classifier, tmp_path: Path, kept: int) -> None:
    rows = rows_with([f"{text}{number // 2}" for number in range(4) for text in ("转账失败", "好", " ", "盗刷", "好")])
    whole = Journal(tmp_path / "whole")
    first = CountingClassifier(classifier)
    expected = labelled(first, rows, whole, window=4)
    whole.close()
    windows = kept_in(tmp_path / "whole")
    part = Journal(tmp_path / "part")
    for values in windows[:kept]:
        part.append(values)
    part.close()
    second, again = CountingClassifier(classifier), Journal(tmp_path / "part")
    assert again.windows == kept
    assert labelled(second, rows, again, window=4) == expected
    again.close()
    assert len(second.asked) == len(first.asked) - sum(map(len, windows[:kept]))
    assert (tmp_path / "part").read_bytes() == (tmp_path / "whole").read_bytes()


def test_a_journal_cut_anywhere_keeps_its_whole_windows(tmp_path: Path) -> None:
    windows: list[list[list[Any]]] = [[["a", 0.5, {"x": 1.0}]], [], [[None, True, ["甲", "乙"]], ["b", 1, {}]]]
    path = tmp_path / "journal"
    journal = Journal(path)
    sizes = [0]
    for window in windows:
        journal.append(window)
        sizes.append(path.stat().st_size)
    journal.close()
    content = path.read_bytes()
    for size in range(len(content) + 1):
        path.write_bytes(content[:size])
        cut = Journal(path)
        assert cut.windows == sum(end <= size for end in sizes[1:])
        assert list(cut.replay()) == windows[: cut.windows]
        for window in windows[cut.windows :]:
            cut.append(window)
        cut.close()
        assert path.read_bytes() == content
    path.write_bytes(content[:9] + b"\x00" + content[10:])
    damaged = Journal(path)
    assert damaged.windows == 0
    damaged.close()


def test_a_journal_of_other_rows_is_noticed(classifier: Classifier, tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    labelled(classifier, rows_with(["一", "二", "三"]), journal)
    journal.close()
    again = Journal(tmp_path / "journal")
    with pytest.raises(JournalBroken):
        labelled(classifier, rows_with(["一", "一", "三"]), again)
    again.close()


def test_a_job_says_what_differs() -> None:
    job = Job(10, "abc", "v1", {"encoding": None, "text columns": ("a",)})
    assert job.differences(job.to_dict()) == []
    other = Job(10, "abd", "v2", {"encoding": "gbk", "text columns": ("a",)}).to_dict()
    assert job.differences(other) == ["the input has changed", "bundle v2, now v1", "encoding was 'gbk', now None"]


def test_only_a_matching_output_counts_as_finished(tmp_path: Path) -> None:
    files, job = RunFiles(tmp_path / "out.csv"), Job(1, "a", "v", {})
    assert files.finished(job) is None
    files.output.touch()
    assert files.finished(job) is None  # what mktemp leaves is nobody's work
    with files.locked():
        write_json(files.work / "job.json", job.to_dict())
        (files.work / "output").write_text("labels")
        (files.work / "rejects.jsonl").write_text("{}\n")
        assert files.finished(job) is None
        with pytest.raises(JobDiffers, match="the input has changed"):
            files.finished(Job(1, "b", "v", {}))
        files.publish(job, {"rows_in": 3})
    assert files.output.read_text() == "labels" and files.rejects.read_text() == "{}\n" and not files.work.exists()
    finished = files.finished(job)
    assert finished is not None and finished["summary"] == {"rows_in": 3}
    with pytest.raises(JobDiffers, match="--restart"):
        files.finished(Job(1, "a", "w", {}))
    files.output.write_text("edited")
    with pytest.raises(OutputInTheWay, match="changed after it was written"):
        files.finished(job)
    files.record.unlink()
    with pytest.raises(OutputInTheWay, match="not written by fankui"):
        files.finished(job)


def test_two_runs_do_not_write_one_output(tmp_path: Path) -> None:
    files = RunFiles(tmp_path / "out.csv")
    with files.locked(), pytest.raises(RunInProgress), files.locked():
        pass
    with files.locked(), pytest.raises(RunInProgress):
        files.discard()
    files.discard()
    assert not files.work.exists()
    shutil.rmtree(tmp_path)


def test_columns_that_clash_are_kept_under_free_names() -> None:
    taken = frozenset({"topics", "urgency"})
    assert renamed_apart(["id", "topics", "input_topics"], taken) == ["id", "input_input_topics", "input_topics"]
    assert renamed_apart(["a", "b"], taken) == ["a", "b"]


def test_summary_counts_topics_by_urgency(classifier: Classifier) -> None:
    summary = Summary(classifier.taxonomy)
    names = [column.name for column in label_columns(classifier.taxonomy)]
    for row, values in labelled(classifier, rows_with(TEXTS)):
        assert isinstance(row, Row) and values is not None
        summary.add(dict(zip(names, values, strict=True)))
    from data.tables import ReadReport

    values_ = summary.to_dict(ReadReport("gb18030", "not UTF-8", 3), 1, 2.0)
    assert values_["rows_out"] == 7 and values_["errors"] == {"blank_text": 1, "text_too_long": 1}
    assert values_["topics_by_urgency"]["security"]["critical"] == 1
    assert sum(values_["labels"]["urgency"].values()) == 5
    text = summary_text(values_)
    assert "rows in 7 = rows out 7 + rejects 0" in text and "3 bytes that it cannot read" in text


def test_shortened_text_fits_its_width() -> None:
    assert shortened("转账\n失败 x", 20) == "转账 失败 x"
    assert shortened("转账失败了", 6) == "转账…" and width_of(shortened("a转账失败了", 6)) <= 6


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_a_bar_on_a_terminal_and_nothing_too_often_elsewhere() -> None:
    terminal, log = Terminal(), io.StringIO()
    bars = Progress(terminal), Progress(log), Progress(terminal, quiet=True)
    time.sleep(0.25)
    for bar in bars:
        bar.update(1500, 0.25)
        bar.update(1501, 0.25)
        bar.finish()
    assert terminal.getvalue().count("\r") == 2 and terminal.getvalue().endswith("\r\x1b[K")
    assert "[######..................]  25% 1,500 rows, " in terminal.getvalue() and "1 s left" in terminal.getvalue()
    assert log.getvalue() == ""
