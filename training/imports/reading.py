"""Which reader a labelled file is for."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from data.errors import FormatUnknown
from data.tables import FileFormat, format_of
from data.tables.formats import damage_named
from training.errors import DataError
from training.imports.label_studio import read_json
from training.imports.plain import is_plain, read_lines, read_plain
from training.imports.rows import ImportOptions, LabelledFile
from training.imports.tables import read_table

_JSON: Final = (".json", ".jsonl", ".ndjson")
_TEXT: Final = (".txt", ".text")
FORMATS: Final = ".csv, .tsv, .txt, .xlsx, .jsonl, .json, .parquet"


def read_labelled(path: Path, options: ImportOptions = ImportOptions()) -> LabelledFile:
    """Read a labelled file as it stands.

    Args:
        path: CSV, TSV, XLSX, Parquet, JSONL; ``label⇥text`` without column names (``.tsv``, ``.txt``); Label Studio's
            JSON and JSON_MIN; doccano's JSONL.
        options: what is said about it.

    Raises:
        TableError: the file is missing, damaged or in no known format.
        DataError: it holds nothing to learn from, or nobody can say which column is the text.
    """
    suffix = path.suffix.lower()
    if suffix in _JSON:
        if _begins_with_array(path):
            return read_json(path, options)
        return _filled(read_table(path, FileFormat("jsonl"), options))
    if suffix in _TEXT:
        return read_plain(path, options) if is_plain(path, options) else _headed_text(path, options)
    form = _form_of(path, "labelled data")
    if form.kind == "tsv" and is_plain(path, options):
        return read_plain(path, options)
    return _filled(read_table(path, form, options))


def read_texts(path: Path, options: ImportOptions = ImportOptions()) -> LabelledFile:
    """Read a file for its texts alone.

    Args:
        path: a table, as for `read_labelled`, or ``.txt`` with a text in every line.
        options: what is said about it.

    Raises:
        TableError: the file is missing, damaged or in no known format.
        DataError: nobody can say which column is the text.
    """
    suffix = path.suffix.lower()
    if suffix in _TEXT:
        return read_lines(path, options)
    if suffix in _JSON:
        return read_json(path, options) if _begins_with_array(path) else read_table(path, FileFormat("jsonl"), options)
    return read_table(path, _form_of(path, "texts"), options)


def _form_of(path: Path, what: str) -> FileFormat:
    try:
        return format_of(path)
    except FormatUnknown as error:
        raise DataError(f"{path.name}: no known format of {what}; the name must end in {FORMATS}") from error


def _headed_text(path: Path, options: ImportOptions) -> LabelledFile:
    return _filled(read_table(path, FileFormat("tsv"), options))


def _filled(result: LabelledFile) -> LabelledFile:
    if not result.columns:
        raise DataError(f"{result.path.name} has texts but no column of labels")
    return result


def _begins_with_array(path: Path) -> bool:
    with damage_named(path), path.open("rb") as file:
        head = file.read(1024)
    return head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"["
