"""Plain ``label⇥text`` lines without column names, as most public classification sets come."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Final, Literal

from data.errors import TableError
from data.tables.columns import guess_text_column
from data.tables.encoding import Encoding, detect_encoding, forced_encoding, open_text, replace_kept_bytes
from data.tables.formats import damage_named, open_plain
from training.errors import DataError
from training.imports.rows import FLAT_NAMES, ImportOptions, LabelledFile, Problem, RawRow

LABEL: Final = "label"
_HEADER_WORDS: Final = frozenset(
    (*FLAT_NAMES, "text", "文本", "句子", "sentence", "query", "情感", "sentiment", "topic", "topics", "主题", "id")
)
_COMPRESSIONS: Final[dict[str, Literal["gzip", "zstd"]]] = {".gz": "gzip", ".zst": "zstd"}
_HEAD: Final = 20


def _lines(path: Path, options: ImportOptions, limit: int | None = None) -> tuple[list[tuple[int, str]], Encoding]:
    """Lines that hold something, with their numbers, and the codec."""
    if path.is_dir():
        raise TableError(f"{path} is a folder, not a file")
    compression = _COMPRESSIONS.get(path.suffix.lower())
    with damage_named(path), path.open("rb") as raw:
        if options.encoding:
            encoding = forced_encoding(options.encoding)
        else:
            encoding = detect_encoding(open_plain(raw, compression))
            raw.seek(0)
        with open_text(open_plain(raw, compression), encoding, "\n") as text:
            numbered = [(number, line.strip("\r\n\ufeff")) for number, line in enumerate(islice(text, limit), start=1)]
    return [(number, replace_kept_bytes(line)[0]) for number, line in numbered if line.strip()], encoding


def is_plain(path: Path, options: ImportOptions) -> bool:
    """Whether a tab-separated file has no column names: two fields a line, and the first line names no column."""
    head, _ = _lines(path, options, _HEAD)
    if not head or head[0][1].count("\t") != 1:
        return False
    fields = [field.strip() for field in head[0][1].split("\t")]
    asked = [name for name in (options.text_column, options.label_column, *options.heads) if name]
    if any(field.lower() in _HEADER_WORDS or field in asked for field in fields):
        return False
    return guess_text_column(fields, exact=True) is None


def read_plain(path: Path, options: ImportOptions) -> LabelledFile:
    """Read ``label⇥text``; where the second field is the one that repeats, ``text⇥label``.

    A quote is a character like any other, and a further tab belongs to the text.

    Raises:
        DataError: the file is empty, or neither field looks like a label.
    """
    lines, encoding = _lines(path, options)
    if not lines:
        raise DataError(f"{path} is empty; a plain file has a label, a tab and a text in every line")
    label_first = _label_first(path, [line for _, line in lines])
    order = "label⇥text" if label_first else "text⇥label"
    form = f"{order} without column names, {encoding.name} ({encoding.reason})"
    result = LabelledFile(path, form, columns=(LABEL,))
    for number, line in lines:
        where = f"{path.name}:{number}"
        before, tab, after = line.partition("\t") if label_first else line.rpartition("\t")
        if not tab:
            result.problems.append(Problem(where, "unreadable", "no tab between label and text"))
            continue
        label, text = (before, after) if label_first else (after, before)
        result.add(RawRow(where, text, {LABEL: label}))
    return result


def read_lines(path: Path, options: ImportOptions) -> LabelledFile:
    """Read a text a line."""
    lines, encoding = _lines(path, options)
    result = LabelledFile(path, f"a text a line, {encoding.name} ({encoding.reason})")
    for number, line in lines:
        result.add(RawRow(f"{path.name}:{number}", line, {}))
    return result


def _label_first(path: Path, lines: list[str]) -> bool:
    """Whether the first field is the one that repeats."""
    split = [line for line in lines if "\t" in line]
    first = len({line.partition("\t")[0] for line in split})
    last = len({line.rpartition("\t")[2] for line in split})
    if len(split) >= _HEAD and min(first, last) > len(split) / 2:
        raise DataError(
            f"{path} was read as label⇥text, but its {len(split):,} lines have {min(first, last):,} different labels; "
            "a file with other columns needs a first line that names them"
        )
    return first <= last
