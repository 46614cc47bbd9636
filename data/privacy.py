"""Masking of personal data, for everything that is stored, shown or logged.

A number is masked by what it is: the check digit of an ID card (GB 11643, ISO 7064 MOD 11-2), the Luhn digit of a
bank card, the prefix of a mobile number. What is merely long and numeric is an order number. Digits may be
full-width, and grouped with spaces or hyphens. Numbers written out in characters (一三八…) are not found.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal

Kind = Literal["email", "id_card", "bank_card", "mobile", "order_number"]

PLACEHOLDERS: Final[dict[Kind, str]] = {
    "email": "<EMAIL>",
    "id_card": "<ID_CARD>",
    "bank_card": "<BANK_CARD>",
    "mobile": "<MOBILE>",
    "order_number": "<ORDER_NUMBER>",
}

_ID_WEIGHTS: Final = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_ID_CHECK: Final = "10X98765432"
_GAP: Final = r"[ \u3000\-－]?"

_TAKEN: Final = "\ufffc"


@dataclass(frozen=True)
class Found:
    """One piece of personal data.

    Attributes:
        kind: what it is.
        start: position of its first character in the text given.
        end: position after its last.
    """

    kind: Kind
    start: int
    end: int


def is_id_card(number: str) -> bool:
    """Whether 18 characters are a Chinese resident's ID number: a date that exists and the right check character."""
    if not re.fullmatch(r"[1-9][0-9]{16}[0-9Xx]", number):
        return False
    try:
        born = date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        return False
    total = sum(int(digit) * weight for digit, weight in zip(number, _ID_WEIGHTS, strict=False))
    return 1850 <= born.year <= 2100 and number[17].upper() == _ID_CHECK[total % 11]


def is_bank_card(number: str) -> bool:
    """Whether 13 to 19 digits are a card number: not beginning with 0 and with the right Luhn digit."""
    if not re.fullmatch(r"[1-9][0-9]{12,18}", number):
        return False
    doubled = (int(digit) * 2 for digit in number[-2::-2])
    return (sum(int(digit) for digit in number[-1::-2]) + sum(n - 9 if n > 9 else n for n in doubled)) % 10 == 0


def _any(_: str) -> bool:
    return True


def _has_digits(number: str) -> bool:
    return sum(character.isdigit() for character in number) >= 4


def _grouped(first: str, more: int) -> str:
    """A pattern of a character and so many digits, each possibly after a gap."""
    return first + rf"(?:{_GAP}\d){{{more}}}"


_NO_DIGIT_BEFORE: Final = r"(?<!\d)(?<!\d\.)"
_NO_DIGIT_AFTER: Final = r"(?!\d)"

# Tried in this order; what one has taken the next ones do not see.
_RULES: Final[tuple[tuple[Kind, re.Pattern[str], Callable[[str], bool]], ...]] = (
    ("email", re.compile(r"[A-Za-z0-9_.+\-]{1,64}[@＠][A-Za-z0-9\-]{1,63}(?:\.[A-Za-z0-9\-]{1,63})+"), _any),
    ("id_card", re.compile(_NO_DIGIT_BEFORE + _grouped(r"\d", 16) + _GAP + r"[\dXxＸｘ](?![\dA-Za-z])"), is_id_card),
    (
        "bank_card",
        re.compile(rf"{_NO_DIGIT_BEFORE}\d{{4}}(?:{_GAP}\d{{4}}){{2,3}}(?:{_GAP}\d{{1,4}})?{_NO_DIGIT_AFTER}"),
        is_bank_card,
    ),
    ("bank_card", re.compile(rf"{_NO_DIGIT_BEFORE}\d{{13,19}}{_NO_DIGIT_AFTER}"), is_bank_card),
    (
        "mobile",
        re.compile(
            rf"{_NO_DIGIT_BEFORE}(?:[+＋]?(?:00)?[8８][6６]{_GAP})?[1１][3-9３-９]\d{_GAP}\d{{4}}{_GAP}\d{{4}}{_NO_DIGIT_AFTER}"
            rf"|[+＋](?:852|853){_GAP}\d{{4}}{_GAP}\d{{4}}{_NO_DIGIT_AFTER}|[+＋]886{_GAP}\d(?:{_GAP}\d){{8}}{_NO_DIGIT_AFTER}"
        ),
        _any,
    ),
    (
        "order_number",
        re.compile(
            r"(?<=单号|水号|易号|编号|户号|账号|帐号|卡号|單號|賬號|編號)[ :：是为為#＃]{0,3}"
            r"([A-Za-z0-9][A-Za-z0-9\-_]{5,63})"
        ),
        _has_digits,
    ),
    ("order_number", re.compile(r"(?<![A-Za-z0-9.])[A-Za-z]{0,8}\d{12,64}(?![A-Za-z0-9])"), _any),
    ("order_number", re.compile(rf"{_NO_DIGIT_BEFORE}\d{{9,}}(?!\.?\d)"), _any),
)


def personal_data(text: str) -> tuple[Found, ...]:
    """Mobile numbers, ID cards, bank cards, e-mails and order numbers in a text, in order and not overlapping."""
    found: list[Found] = []
    rest = text
    for kind, pattern, holds in _RULES:
        own = [Found(kind, *match.span(match.lastindex or 0)) for match in pattern.finditer(rest)]
        own = [one for one in own if holds(_plain(text[one.start : one.end]))]
        # A character that no rule matches takes their place, so that all positions stay as they are.
        rest = _replaced(rest, own, lambda one: _TAKEN * (one.end - one.start))
        found += own
    return tuple(sorted(found, key=lambda one: one.start))


def mask(text: str) -> str:
    """Replace personal data by typed placeholders such as ``<MOBILE>``.

    Masking a masked text changes nothing.
    """
    return _replaced(text, personal_data(text), lambda one: PLACEHOLDERS[one.kind])


def _replaced(text: str, found: Sequence[Found], by: Callable[[Found], str]) -> str:
    parts, position = [], 0
    for one in found:
        parts += [text[position : one.start], by(one)]
        position = one.end
    return "".join([*parts, text[position:]])


def _plain(number: str) -> str:
    """A number in ASCII, without its gaps."""
    return re.sub(r"[ \-]", "", unicodedata.normalize("NFKC", number))
