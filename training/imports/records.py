"""From files to training records, with an account of the rows that could not be used."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from data.errors import LabelError
from training.errors import DataError
from training.imports.rows import HARMLESS, LabelledFile, Problem
from training.imports.values import LabelReader, UnknownLabel

logger = logging.getLogger(__name__)

MOST_WRONG: Final = 0.05
"""Share of wrong rows (blank and unlabelled ones not counted) from which a file is taken for read wrongly."""

_MOST_BLANK: Final = 0.5
_SHOWN: Final = 3


def read_records(file: LabelledFile, reader: LabelReader) -> tuple[list[dict[str, Any]], list[Problem]]:
    """Training records of a file, and the rows that could not be used.

    Raises:
        DataError: the file has no column for any head.
    """
    columns = reader.columns(file)
    records: list[dict[str, Any]] = []
    problems = list(file.problems)
    heads = {head.name for head in reader.taxonomy.heads}
    for row in file.rows:
        try:
            record = reader.record(row, columns)
        except UnknownLabel as error:
            problems.append(Problem(row.where, "unknown label", str(error)))
        except LabelError as error:
            problems.append(Problem(row.where, "wrong value", str(error)))
        else:
            if heads & record.keys():
                records.append(record)
            else:
                problems.append(Problem(row.where, "no label", "the row has no label"))
    return records, problems


def usable_records(file: LabelledFile, reader: LabelReader, strict: bool = False) -> list[dict[str, Any]]:
    """Training records of a file, where leaving out its bad rows is safe; what is left out is logged.

    Args:
        file: as it was read.
        reader: of the taxonomy.
        strict: whether one wrong row is one too many.

    Raises:
        DataError: so many rows are wrong that the file was likely read wrongly; names the first.
    """
    records, problems = read_records(file, reader)
    wrong = [problem for problem in problems if problem.kind not in HARMLESS]
    blank = sum(problem.kind == "blank text" for problem in problems)
    _log_account(file, len(records), problems)
    if wrong and (strict or len(wrong) > MOST_WRONG * file.total):
        limit = "none is allowed with --strict" if strict else f"more than {MOST_WRONG:.0%}: likely read wrongly"
        raise DataError(f"{file.path.name}: {len(wrong):,} of {file.total:,} rows are wrong, {limit}; first {wrong[0]}")
    if blank > _MOST_BLANK * file.total:
        raise DataError(
            f"{file.path.name}: {blank:,} of {file.total:,} rows have no text; --text-column NAME says where it is"
        )
    if not records:
        raise DataError(f"{file.path.name}: no row has a label; {problems[0] if problems else 'the file has no rows'}")
    return records


def _log_account(file: LabelledFile, used: int, problems: Sequence[Problem]) -> None:
    counts = Counter(problem.kind for problem in problems)
    left_out = "".join(f", {n:,} left out ({kind})" for kind, n in counts.items())
    logger.info("%s: %s rows used%s; %s", file.path.name, f"{used:,}", left_out, file.form)
    for notice in file.notices:
        logger.info("%s: %s", file.path.name, notice)
    for kind in counts:
        if kind not in HARMLESS:
            for problem in [problem for problem in problems if problem.kind == kind][:_SHOWN]:
                logger.warning("  %s", problem)
            if counts[kind] > _SHOWN:
                logger.warning("  … and %s more (%s)", f"{counts[kind] - _SHOWN:,}", kind)
