"""Column names: made unique, found in a header, guessed, and joined into one text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from data.errors import ColumnMissing, TextColumnUnknown

_TEXT_NAMES: Final = (
    "text", "内容", "反馈内容", "反馈", "问题描述", "评论内容", "评论", "工单内容", "留言内容", "留言", "投诉内容",
    "意见", "描述", "用户反馈", "正文", "诉求", "诉求内容", "评价内容", "評論", "內容", "反饋內容", "意見",
    "content", "feedback", "review", "review_text", "comment", "comments", "message", "body", "description",
)  # fmt: skip
_TEXT_PARTS: Final = (
    "内容", "內容", "反馈", "反饋", "描述", "评论", "評論", "留言", "投诉", "诉求", "text", "content", "comment",
    "feedback",
)  # fmt: skip
_HEADER_WITHIN: Final = 10


def unique_names(cells: Sequence[Any]) -> tuple[str, ...]:
    """Column names from a header row: empty ones become ``column_3``, repeated ones ``name_2``."""
    names: list[str] = []
    for number, cell in enumerate(cells, start=1):
        name = "" if cell is None else str(cell).strip().strip("\ufeff")
        wanted = name = name or f"column_{number}"
        again = 1
        while name in names:
            again += 1
            name = f"{wanted}_{again}"
        names.append(name)
    return tuple(names)


def choose_text_columns(asked: str | None, columns: Sequence[str]) -> tuple[str, ...]:
    """The columns to read the text from.

    Args:
        asked: a column, or several joined by ``+``; None to guess.
        columns: those there are.

    Raises:
        ColumnMissing: a column that was asked for is not there.
        TextColumnUnknown: none was asked for, and no name says that it holds the text.
    """
    if asked is None:
        guess = guess_text_column(columns)
        if guess is None:
            raise TextColumnUnknown(columns)
        return (guess,)
    names = wanted_columns(asked, columns)
    for name in names:
        if name not in columns:
            raise ColumnMissing(name, columns)
    return names


def wanted_columns(asked: str, columns: Sequence[str]) -> tuple[str, ...]:
    """The names in ``标题+内容``; a column that really has a plus in its name is taken whole."""
    if asked in columns or "+" not in asked:
        return (asked,)
    return tuple(part.strip() for part in asked.split("+") if part.strip()) or (asked,)


def guess_text_column(columns: Sequence[str], exact: bool = False) -> str | None:
    """The column that holds the text, by its name, or the only one there is.

    Args:
        columns: those there are.
        exact: only names that say nothing else.
    """
    by_name = {column.strip().lower(): column for column in reversed(columns)}
    for name in _TEXT_NAMES:
        if name in by_name:
            return by_name[name]
    if exact:
        return None
    holding = [column for column in columns if any(part in column.lower() for part in _TEXT_PARTS)]
    if len(holding) == 1:
        return holding[0]
    return columns[0] if len(columns) == 1 else None


def find_header(records: Sequence[Sequence[Any]], wanted: Sequence[str]) -> int:
    """Which of a table's first records holds the column names.

    The first record that is not blank, unless it lacks what a header must have and one of the next ones has it:
    exports often begin with a title.

    Args:
        records: the first records of the table.
        wanted: columns that must be there; a guessable text column where empty.
    """
    blank = [all(cell is None or not str(cell).strip() for cell in record) for record in records]
    first = blank.index(False) if False in blank else 0
    for number in range(first, min(len(records), first + _HEADER_WITHIN)):
        names = unique_names(records[number])
        if _qualifies(names, wanted):
            return number
    return first


def _qualifies(names: Sequence[str], wanted: Sequence[str]) -> bool:
    if not wanted:
        return guess_text_column(names, exact=True) is not None
    return all(part in names for name in wanted for part in wanted_columns(name, names))


def text_of(cells: Mapping[str, Any], columns: Sequence[str]) -> str:
    """The text of a row: its text columns, line under line, blank ones left out."""
    if len(columns) == 1:
        return cell_text(cells.get(columns[0]))
    parts = (cell_text(cells.get(column)) for column in columns)
    return "\n".join(part for part in parts if part.strip())


def cell_text(value: Any) -> str:
    """A value as a text; None is empty, whole floats lose their point."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, float) and math.isfinite(value) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)
