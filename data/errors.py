"""Errors of the data room.

    FeedbackError
    ├── TextError            one text cannot be classified
    │   ├── BlankText        nothing but white space
    │   └── TextTooLong      more than 65,536 characters
    ├── TaxonomyError        a taxonomy is malformed or lacks a name that is asked for
    ├── LabelError           a record's labels are not of the taxonomy
    └── TableError           a file cannot be read or written as a table
        └── ColumnMissing    the named column is not there
"""

from collections.abc import Iterable
from typing import ClassVar


class FeedbackError(Exception):
    """Base of everything the data room raises on purpose.

    Attributes:
        code: short stable name, the same in the API, in files and in logs.
    """

    code: ClassVar[str] = "feedback_error"


class TextError(FeedbackError):
    """One text cannot be classified; its neighbours can."""

    code = "text_error"


class BlankText(TextError):
    """A text of nothing but white space."""

    code = "blank_text"

    def __init__(self) -> None:
        super().__init__("the text is blank; send at least one character that is not white space")


class TextTooLong(TextError):
    """A text above the limit."""

    code = "text_too_long"

    def __init__(self, length: int, limit: int) -> None:
        super().__init__(f"the text has {length:,} characters, the limit is {limit:,}; shorten or split it")


class TaxonomyError(FeedbackError):
    """A taxonomy is malformed or lacks a name that is asked for."""

    code = "taxonomy_error"


class LabelError(FeedbackError):
    """A record's labels are not of the taxonomy."""

    code = "label_error"


class TableError(FeedbackError):
    """A file cannot be read or written as a table."""

    code = "table_error"


class ColumnMissing(TableError):
    """The named column is not in the table."""

    code = "column_missing"

    def __init__(self, column: str, columns: Iterable[str]) -> None:
        there = ", ".join(columns) or "none"
        super().__init__(f"no column {column!r}; the columns there are: {there}")
