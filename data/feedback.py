"""The record: one piece of feedback, and what may be classified."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from data.errors import BlankText, LabelError, TextTooLong
from data.taxonomy import Head, LabelValue, Taxonomy
from data.text import MAX_CHARACTERS


@dataclass(frozen=True)
class Feedback:
    """One piece of feedback.

    Attributes:
        text: as the person wrote it.
        id: whatever the source calls it; echoed, never a model input.
        channel: app_review, in_app, ticket, chat, sms, email, call_note, social or anything else; echoed.
        created_at: as the source wrote it; echoed.
        extra: all other columns, kept in order.
    """

    text: str
    id: str | None = None
    channel: str | None = None
    created_at: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


def checked_text(text: str) -> str:
    """Strip a text and hold it against the limits that all surfaces share.

    Returns:
        The stripped text, 1 to 65,536 characters.

    Raises:
        BlankText: nothing is left after stripping.
        TextTooLong: more than 65,536 characters are left.
    """
    stripped = text.strip().strip("\x00\ufeff\u200b").strip()
    if not stripped:
        raise BlankText
    if len(stripped) > MAX_CHARACTERS:
        raise TextTooLong(len(stripped), MAX_CHARACTERS)
    return stripped


def checked_label(head: Head, value: object) -> LabelValue | None:
    """Hold one head's value against the taxonomy; None (the record lacks the head) passes.

    Raises:
        LabelError: the value is of the wrong type or names an unknown label.
    """
    if value is None:
        return None
    match head.kind, value:
        case "binary", bool():
            return value
        case "multi_label", list() | tuple():
            names = [str(name) for name in value]
            unknown = [name for name in names if name not in head.names]
            if unknown:
                raise LabelError(f"{head.name}: unknown label {unknown[0]!r}; known ones are {', '.join(head.names)}")
            return names
        case "ordinal" | "single_label", str():
            if value not in head.names:
                raise LabelError(f"{head.name}: unknown label {value!r}; known ones are {', '.join(head.names)}")
            return value
    raise LabelError(f"{head.name} is {head.kind}: {value!r} is not a value of it")


def labels_of(record: Mapping[str, Any], taxonomy: Taxonomy) -> dict[str, LabelValue | None]:
    """The labels a record carries for each head of the taxonomy; None where it lacks one.

    Raises:
        LabelError: a value is not of the taxonomy.
    """
    return {head.name: checked_label(head, record.get(head.name)) for head in taxonomy.heads}
