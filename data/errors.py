"""Errors of the data room.

FeedbackError
├── TextError            one text cannot be classified
│   ├── BlankText        nothing but white space
│   └── TextTooLong      more than 65,536 characters
├── TaxonomyError        a taxonomy is malformed or lacks a name that is asked for
├── LabelError           a record's labels are not of the taxonomy
└── TableError           a file cannot be read or written as a table
    ├── ColumnMissing    the named column is not there
    ├── TextColumnUnknown  no column is named like a text
    ├── FormatUnknown    the file's name tells no format that is read here
    └── TableDamaged     the file ends early or cannot be read
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


class TextColumnUnknown(TableError):
    """No text column was named, and none is named like one."""

    code = "text_column_unknown"

    def __init__(self, columns: Iterable[str]) -> None:
        there = ", ".join(columns) or "none"
        super().__init__(f"which column holds the text? name it with --text-column; the columns there are: {there}")


class FormatUnknown(TableError):
    """A file's name tells no format that is read or written here."""

    code = "format_unknown"

    def __init__(self, name: str, known: Iterable[str], hint: str | None = None) -> None:
        advice = hint or f"the name must end in one of {', '.join(known)}, or --input-format or --output-format says it"
        super().__init__(f"{name}: no known table format; {advice}")


class TableDamaged(TableError):
    """A file ends early, is not what its name says, or cannot be read."""

    code = "table_damaged"

    def __init__(self, path: object, why: object) -> None:
        super().__init__(f"{path} cannot be read (on): {why}")
