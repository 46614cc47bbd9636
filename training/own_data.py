"""A person's labelled files made ready for training: read, given a taxonomy, split, and looked over."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from data.taxonomy import Taxonomy
from model.bundle import sha256_of
from training.errors import DataError
from training.imports import ImportOptions, LabelledFile, LabelReader, read_labelled, usable_records
from training.splits import Parts, Record, notable, split
from training.taxonomy_draft import infer_taxonomy, write_draft

logger = logging.getLogger(__name__)

WALLET: Final = "wallet"
"""What ``--taxonomy`` calls the taxonomy that ships with the project."""


@dataclass(frozen=True)
class DataOptions:
    """Which files to learn from, and how to read them.

    Attributes:
        data: files to learn from.
        validation: files the best epoch is chosen on; split off ``data`` where empty.
        test: files that are only measured.
        taxonomy: a TOML file, ``wallet``, or None to infer one from a single column of labels.
        text_column: see `ImportOptions`.
        label_column: see `ImportOptions`.
        encoding: codec of text files.
        strict: whether one wrong row is one too many.
    """

    data: tuple[Path, ...] = ()
    validation: tuple[Path, ...] = ()
    test: tuple[Path, ...] = ()
    taxonomy: Path | None = None
    text_column: str | None = None
    label_column: str | None = None
    encoding: str | None = None
    strict: bool = False


@dataclass(frozen=True)
class PreparedData:
    """Records by what they are for.

    Attributes:
        parts: the records.
        taxonomy: given or inferred.
        tests: named sets that are only measured; the validation set where there is no other.
        details: files, hashes and counts, for provenance.
    """

    parts: Parts
    taxonomy: Taxonomy
    tests: dict[str, Sequence[Record]] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)


def read_taxonomy(path: Path | None) -> Taxonomy | None:
    """The taxonomy of a TOML file, the wallet's for ``wallet``, None for None.

    Raises:
        TaxonomyError: the file is missing or is no taxonomy.
    """
    if path is None:
        return None
    return Taxonomy.default() if str(path) == WALLET else Taxonomy.from_toml(path)


def read_files(paths: Sequence[Path], options: DataOptions, taxonomy: Taxonomy | None) -> list[LabelledFile]:
    """Read labelled files as they stand."""
    heads = () if taxonomy is None else tuple(head.name for head in taxonomy.heads)
    how = ImportOptions(options.text_column, options.label_column, heads, options.encoding)
    return [read_labelled(path, how) for path in paths]


def draft(options: DataOptions, path: Path) -> None:
    """Write a drafted taxonomy of the files to learn from.

    Raises:
        DataError: the file exists, or no column holds labels.
    """
    write_draft(read_files(options.data, options, None), path)


def prepare(options: DataOptions) -> PreparedData:
    """Read, check and split; what a person should know is logged.

    Raises:
        TableError: a file cannot be read.
        TaxonomyError: the taxonomy cannot be read.
        DataError: the files cannot be learned from.
    """
    taxonomy = read_taxonomy(options.taxonomy)
    groups = [read_files(paths, options, taxonomy) for paths in (options.data, options.validation, options.test)]
    if taxonomy is None:
        known = [head.name for head in Taxonomy.default().heads]
        taxonomy = infer_taxonomy([file for group in groups for file in group], options.label_column, known)
        _log_inferred(taxonomy)
    elif options.label_column and len(taxonomy.heads) > 1:
        raise DataError("--label-column goes with a taxonomy of one head; columns of several heads are named like them")
    source = "the data" if options.taxonomy is None else str(options.taxonomy)
    reader = LabelReader(taxonomy, source, options.label_column)
    train, validation, test = (
        [record for file in group for record in usable_records(file, reader, options.strict)] for group in groups
    )
    parts = _parts(train, validation, test, taxonomy)
    for notice in [*parts.notices, *notable(parts, taxonomy)]:
        logger.info("%s", notice)
    tests = _tests(parts, options)
    return PreparedData(parts, taxonomy, tests, _details(groups, parts, options))


def _parts(
    train: list[dict[str, Any]], validation: list[dict[str, Any]], test: list[dict[str, Any]], taxonomy: Taxonomy
) -> Parts:
    if validation:
        return Parts(list(train), list(validation), list(test))
    parts = split(train, taxonomy, test=not test)
    return Parts(parts.train, parts.validation, list(test) or parts.test, parts.notices)


def _tests(parts: Parts, options: DataOptions) -> dict[str, Sequence[Record]]:
    if parts.test:
        return {" + ".join(path.name for path in options.test) or "test split": parts.test}
    return {" + ".join(path.name for path in options.validation) or "validation split": parts.validation}


def _log_inferred(taxonomy: Taxonomy) -> None:
    (head,) = taxonomy.heads
    names = ", ".join(head.names[:12]) + (" …" if len(head.names) > 12 else "")
    logger.info("no --taxonomy: head %r, %s, %d labels: %s", head.name, head.kind, len(head.names), names)


def _details(groups: Sequence[Sequence[LabelledFile]], parts: Parts, options: DataOptions) -> dict[str, Any]:
    names = ("data", "validation", "test")
    return {
        "files": [
            {"for": name, "name": file.path.name, "sha256": sha256_of(file.path), "rows": file.total}
            for name, group in zip(names, groups, strict=True)
            for file in group
        ],
        "split": "as given" if options.validation else "by hash of the text",
        "test_rows": len(parts.test),
        "taxonomy": "inferred" if options.taxonomy is None else options.taxonomy.name,
    }
