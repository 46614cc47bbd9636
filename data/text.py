"""One normalisation for every text, in training, in batch and online.

The order of the steps matters: compatibility forms are folded first, so that full-width digits are
seen as digits; links and e-mails are replaced before long digit runs, because they may contain some;
traditional characters are folded with OpenCC's phrase dictionary, which knows that 乾隆 keeps its 乾.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

from opencc import OpenCC

NUMBER: Final = "<NUM>"
EMAIL: Final = "<EMAIL>"
URL: Final = "<URL>"
PLACEHOLDERS: Final = (NUMBER, EMAIL, URL)

MAX_CHARACTERS: Final = 65_536
"""Longest text, in characters after stripping, that any surface accepts."""

_INVISIBLE: Final = re.compile(
    r"[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u00ad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\ufe00-\ufe0f\ufff9-\ufffc]"
)
_URL: Final = re.compile(r"(?:https?://|www\.)[\w\-./?%&=#~:+,;@!$*()]+", re.ASCII | re.IGNORECASE)
_EMAIL: Final = re.compile(r"[\w.+-]{1,64}@[\w-]+(?:\.[\w-]+)+", re.ASCII)
_NUMBER: Final = re.compile(r"\d{7,}|\d{2,}(?:\*{2,}\d{2,})+|\d{3,}\*{3,}", re.ASCII)
_MOST_MARKS: Final = 30  # as in the stream-safe format of UAX #15
_REPEATED: Final = re.compile(r"([^\d\s])\1{3,}")
_SPACE: Final = re.compile(r"\s+")


@lru_cache(maxsize=1)
def _simplifier() -> OpenCC:
    return OpenCC("t2s")


def _stream_safe(text: str) -> str:
    """Drop combining marks beyond 30 in a row: Unicode puts them in order in time quadratic in their number."""
    if not any(map(unicodedata.combining, text)):
        return text
    kept: list[str] = []
    marks = 0
    for character in text:
        marks = marks + 1 if unicodedata.combining(character) else 0
        if marks <= _MOST_MARKS:
            kept.append(character)
    return "".join(kept)


def normalise(text: str) -> str:
    """Fold a text to the form the tokenizer and the model see.

    Steps: invisible and control characters dropped; Unicode NFKC; lone surrogates replaced; links,
    e-mails and runs of 7 or more digits (also masked ones such as ``138****0000``) become one
    placeholder each; traditional characters become simplified; a character other than a digit that
    repeats more than three times is cut to three; white space becomes single spaces.

    Args:
        text: any string, of any length.

    Returns:
        The folded text; may be empty. ``normalise`` is idempotent.
    """
    text = text.encode("utf-8", "replace").decode("utf-8")
    text = unicodedata.normalize("NFKC", _stream_safe(_INVISIBLE.sub("", text)))
    text = _INVISIBLE.sub("", _stream_safe(text))
    text = _URL.sub(URL, text)
    text = _EMAIL.sub(EMAIL, text)
    text = _NUMBER.sub(NUMBER, text)
    if not text.isascii():
        text = _simplifier().convert(text)
    text = _REPEATED.sub(r"\1\1\1", text)
    return _SPACE.sub(" ", text).strip()
