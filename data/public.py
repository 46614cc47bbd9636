"""Real reviews beside the authored corpus: public texts, fetched by their user, joined with labels kept here.

`data/corpus/public_labels.tsv` holds labels without texts, keyed by id: the first 10 hex digits of the SHA-1 of
the masked text. A text is therefore verified by being found at all.
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from data.corpus import record_id
from data.errors import TableError

LABELS_FILE: Final = "public_labels.tsv"
PUBLIC_FILE: Final = "public.jsonl"
LABEL_COLUMNS: Final = ("id", "source", "topics", "urgency", "handling", "sentiment", "churn_risk")

_LIST_SEPARATOR: Final = "|"
_TIMEOUT_S: Final = 60.0
_MAX_BYTES: Final = 64 * 1024 * 1024

_EMAIL: Final = re.compile(r"[\w.+-]+@[\w-]+\.[\w.]+")
_LONG_NUMBER: Final = re.compile(r"\d{7,}")
_SPACE: Final = re.compile(r"\s+")


@dataclass(frozen=True)
class PublicSource:
    """A public file with real reviews, one a line.

    Attributes:
        name: as it stands in the ``source`` column of the labels.
        repository: where it comes from, with commit and licence; for messages and documentation.
        url: where it can be downloaded.
        file: what it is called there.
        members: for a ZIP file, the files in it that hold reviews.
        separator: what ends the review in its line; the rest of the line is date and stars.
    """

    name: str
    repository: str
    url: str
    file: str
    members: tuple[str, ...] = ()
    separator: str | None = None


PUBLIC_SOURCES: Final = (
    PublicSource(
        name="kefe",
        repository="GIST-NJU/KEFE at 8927eab, Apache-2.0",
        url="https://raw.githubusercontent.com/GIST-NJU/KEFE/8927eab/example/alipay_reviews.txt",
        file="alipay_reviews.txt",
        separator="-*-",
    ),
    PublicSource(
        name="dmlc",
        repository="dmlc/web-data at 0818ee5, Apache-2.0",
        url="https://raw.githubusercontent.com/dmlc/web-data/0818ee5/mxnet/example/chinese_text.zip",
        file="chinese_text.zip",
        members=("neg.txt", "pos.txt"),
    ),
)


def masked(text: str) -> str:
    """A raw review without e-mail addresses and runs of 7 or more digits, white space collapsed."""
    return _SPACE.sub(" ", _LONG_NUMBER.sub("", _EMAIL.sub("", text))).strip()


def read_labels(path: Path) -> list[dict[str, Any]]:
    """Read the labels of public texts.

    Returns:
        Records without ``text``: id, source and the value of each head.

    Raises:
        TableError: the file is missing or is not such a table.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    except OSError as error:
        raise TableError(f"cannot read {path}: {error.strerror}") from error
    if not rows or tuple(rows[0]) != LABEL_COLUMNS:
        raise TableError(f"{path} is no table of labels: its columns must be {', '.join(LABEL_COLUMNS)}")
    return [
        {
            **row,
            "topics": [topic for topic in row["topics"].split(_LIST_SEPARATOR) if topic],
            "churn_risk": row["churn_risk"] == "true",
        }
        for row in rows
    ]


def write_labels(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Write labels as `read_labels` reads them, sorted by id; texts and all other fields are left out."""
    lines = ["\t".join(LABEL_COLUMNS)]
    for record in sorted(records, key=lambda r: str(r["id"])):
        topics = _LIST_SEPARATOR.join(record["topics"])
        plain = (record[name] for name in ("urgency", "handling", "sentiment"))
        lines.append("\t".join((record["id"], record["source"], topics, *plain, str(record["churn_risk"]).lower())))
    path.write_text("\n".join(lines) + "\n", "utf-8", newline="\n")


def read_folder(folder: Path) -> dict[str, bytes]:
    """The raw public files in a folder, by name; the members of a ZIP file may lie there unpacked.

    Raises:
        TableError: a file is not there.
    """
    files: dict[str, bytes] = {}
    for source in PUBLIC_SOURCES:
        unpacked = [folder / member for member in source.members]
        if (folder / source.file).is_file():
            files[source.file] = (folder / source.file).read_bytes()
        elif unpacked and all(path.is_file() for path in unpacked):
            files |= {path.name: path.read_bytes() for path in unpacked}
        else:
            raise TableError(f"{folder} has no {source.file} ({source.repository}); download {source.url} into it")
    return files


def download() -> dict[str, bytes]:
    """Fetch the raw public files.

    Returns:
        The bytes of each file, by name.

    Raises:
        TableError: a file cannot be had; the message is one line and says what to do instead.
    """
    import httpx

    files = {}
    with httpx.Client(timeout=_TIMEOUT_S, follow_redirects=True) as client:
        for source in PUBLIC_SOURCES:
            try:
                with client.stream("GET", source.url) as response:
                    response.raise_for_status()
                    files[source.file] = _limited(response.iter_bytes(), source.url)
            except httpx.HTTPError as error:
                reason = " ".join(str(error).split()) or type(error).__name__
                raise TableError(
                    f"cannot download {source.url} ({reason}); training goes on with the authored corpus alone, "
                    "or fetch the two files elsewhere and name their folder with --from"
                ) from error
    return files


def raw_texts(files: Mapping[str, bytes]) -> Iterator[str]:
    """The reviews in the raw files, as they were written.

    Args:
        files: as from `download` or `read_folder`.

    Raises:
        TableError: a ZIP file is broken, lacks a member or a text is not UTF-8.
    """
    for source in PUBLIC_SOURCES:
        if source.file in files and source.members:
            parts = _unpacked(files[source.file], source)
        else:
            parts = {name: files[name] for name in (source.members or (source.file,)) if name in files}
        for name, content in parts.items():
            try:
                lines = content.decode("utf-8-sig").splitlines()
            except UnicodeDecodeError as error:
                raise TableError(f"{name} is not UTF-8: {error.reason} at byte {error.start}") from error
            for line in lines:
                yield line.split(source.separator)[0] if source.separator else line


def joined(labels: Iterable[Mapping[str, Any]], texts: Iterable[str]) -> list[dict[str, Any]]:
    """Put texts to labels by id.

    Args:
        labels: as from `read_labels`.
        texts: raw texts; they are masked here.

    Returns:
        The labelled records with their texts, in the order of the labels; those without a text are left out.
    """
    by_id = {record_id(text): text for text in map(masked, texts) if text}
    return [{"id": r["id"], "text": by_id[r["id"]], **r} for r in labels if r["id"] in by_id]


def _limited(chunks: Iterable[bytes], url: str) -> bytes:
    content = io.BytesIO()
    for chunk in chunks:
        content.write(chunk)
        if content.tell() > _MAX_BYTES:
            raise TableError(f"{url} is larger than {_MAX_BYTES:,} bytes: it is not the file that was labelled")
    return content.getvalue()


def _unpacked(content: bytes, source: PublicSource) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for entry in archive.infolist():
                name = Path(entry.filename).name
                # Archives made on a Mac carry a shadow of every file under this name.
                if name not in source.members or entry.filename.startswith("__MACOSX/"):
                    continue
                if entry.file_size > _MAX_BYTES:
                    raise TableError(f"{name} in {source.file} unpacks to more than {_MAX_BYTES:,} bytes")
                found[name] = archive.read(entry)
    except zipfile.BadZipFile as error:
        raise TableError(f"{source.file} is not a ZIP file: {error}") from error
    missing = [name for name in source.members if name not in found]
    if missing:
        raise TableError(f"{source.file} lacks {', '.join(missing)}")
    return found
