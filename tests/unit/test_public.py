"""Public real texts: made files of the form of the real ones, joined by hash."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from data.commands import data
from data.corpus import corpus_folder, read_lines, record_id
from data.errors import TableError
from data.public import LABEL_COLUMNS, LABELS_FILE, joined, masked, raw_texts, read_folder, read_labels, write_labels

REVIEWS = {
    "kefe": ["转账  老是失败\u3000急", "联系我 someone@mail.example 或 13812345678", "挺顺手"],
    "dmlc": ["照片存不下来", '"滤镜好看","就是慢"'],
}


def label(source: str, text: str, topics: list[str]) -> dict[str, object]:
    return {
        "id": record_id(masked(text)),
        "source": source,
        "topics": topics,
        "urgency": "low",
        "handling": "immediate",
        "sentiment": "neutral",
        "churn_risk": source == "dmlc",
    }


@pytest.fixture
def labels() -> list[dict[str, object]]:
    both = ["ui", "payment_failure"]
    return [label(source, text, both if "转账" in text else []) for source, texts in REVIEWS.items() for text in texts]


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """A folder with files like the two public ones."""
    folder = tmp_path / "raw"
    folder.mkdir()
    lines = [f"{text}-*-2014-06-12 06:38-*-1\n" for text in (*REVIEWS["kefe"], "没有标注的一条")]
    (folder / "alipay_reviews.txt").write_text("".join(lines), "utf-8")
    with zipfile.ZipFile(folder / "chinese_text.zip", "w") as archive:
        archive.writestr("chinese_text/neg.txt", f"{REVIEWS['dmlc'][0]}\n\n".encode())
        archive.writestr("chinese_text/pos.txt", f"\ufeff{REVIEWS['dmlc'][1]}\n".encode())
        archive.writestr("__MACOSX/chinese_text/neg.txt", b"\x00\x05\x16\x07\xff")
    return folder


@pytest.fixture
def corpus(tmp_path: Path, labels: list[dict[str, object]]) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    write_labels(folder / LABELS_FILE, labels)
    return folder


def test_masking_drops_addresses_and_long_numbers_and_collapses_space() -> None:
    assert masked(" 联系 a.b+c@mail.example.com 或\t13812345678\u3000谢谢 ") == "联系 或 谢谢"
    assert masked("订单123456没到") == "订单123456没到"


def test_labels_survive_writing_and_reading(corpus: Path, labels: list[dict[str, object]]) -> None:
    assert read_labels(corpus / LABELS_FILE) == sorted(labels, key=lambda row: str(row["id"]))


def test_the_command_joins_all_texts_from_a_folder(
    corpus: Path, raw: Path, labels: list[dict[str, object]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert data(["fetch-public", "--folder", str(corpus), "--from", str(raw)]) == 0
    assert "5 of 5 labelled texts found" in capsys.readouterr().err
    rows = [row for _, row in read_lines(corpus / "public.jsonl")]
    assert {row["text"] for row in rows} == {masked(text) for texts in REVIEWS.values() for text in texts}
    by_id = {row["id"]: {name: value for name, value in row.items() if name != "text"} for row in rows}
    assert by_id == {row["id"]: row for row in labels}


def test_unpacked_members_serve_as_well_as_the_zip(raw: Path) -> None:
    texts = list(raw_texts(read_folder(raw)))
    with zipfile.ZipFile(raw / "chinese_text.zip") as archive:
        for name in ("neg.txt", "pos.txt"):
            (raw / name).write_bytes(archive.read(f"chinese_text/{name}"))
    (raw / "chinese_text.zip").unlink()
    assert list(raw_texts(read_folder(raw))) == texts
    assert len(texts) == 7


def test_other_texts_than_those_that_were_labelled_are_refused(corpus: Path, raw: Path) -> None:
    content = (raw / "alipay_reviews.txt").read_text("utf-8")
    (raw / "alipay_reviews.txt").write_text(content.replace("挺顺手", "挺顺手的"), "utf-8")
    with pytest.raises(TableError, match="only 4 of 5 labelled texts"):
        data(["fetch-public", "--folder", str(corpus), "--from", str(raw)])
    assert not (corpus / "public.jsonl").exists()


def test_a_missing_raw_file_is_named_with_its_address(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"no alipay_reviews\.txt.*https://"):
        data(["fetch-public", "--folder", str(corpus), "--from", str(tmp_path)])


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("chinese_text.zip", b"no zip", "chinese_text.zip is not a ZIP file"),
        ("alipay_reviews.txt", "付款".encode("gbk"), "alipay_reviews.txt is not UTF-8"),
    ],
)
def test_a_damaged_raw_file_is_named(raw: Path, file: str, content: bytes, message: str) -> None:
    (raw / file).write_bytes(content)
    with pytest.raises(TableError, match=message):
        list(raw_texts(read_folder(raw)))


def test_a_zip_without_its_members_is_named(raw: Path) -> None:
    with zipfile.ZipFile(raw / "chinese_text.zip", "w") as archive:
        archive.writestr("neg.txt", b"")
    with pytest.raises(TableError, match=r"lacks pos\.txt"):
        list(raw_texts(read_folder(raw)))


def test_a_file_that_is_no_label_table_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.tsv").write_text("id\ttext\n1\t好\n", "utf-8")
    with pytest.raises(TableError, match="columns must be id, source, topics"):
        read_labels(tmp_path / "x.tsv")


def test_without_internet_one_line_says_so_and_the_code_is_3(corpus: Path) -> None:
    """A real process whose proxy refuses connections is as offline as one without a network."""
    command = [sys.executable, "-m", "fankui", "data", "fetch-public", "--folder", str(corpus)]
    offline = {"PATH": "", "HTTPS_PROXY": "http://127.0.0.1:9", "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, capture_output=True, text=True, env=offline, check=False, timeout=60)
    assert done.returncode == 3
    assert done.stdout == ""
    assert len(done.stderr.strip().split("\n")) == 1
    assert "cannot download" in done.stderr
    assert "--from" in done.stderr


def test_labels_without_a_text_are_left_out(labels: list[dict[str, object]]) -> None:
    assert [row["source"] for row in joined(labels, REVIEWS["dmlc"])] == ["dmlc", "dmlc"]


def test_the_shipped_labels_hold_no_texts_and_fit_the_taxonomy() -> None:
    from data.feedback import labels_of
    from data.taxonomy import Taxonomy

    shipped = read_labels(corpus_folder() / LABELS_FILE)
    assert len(shipped) == 2240
    assert len({row["id"] for row in shipped}) == 2240
    assert {row["source"] for row in shipped} == {"kefe", "dmlc"}
    for row in shipped:
        assert set(row) == set(LABEL_COLUMNS)
        assert labels_of(row, Taxonomy.default())["issues"] is None
    assert json.dumps(shipped).isascii()
