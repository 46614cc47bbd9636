"""Numbers and addresses in a text that could be a real person's.

Made-up numbers are welcome in the corpus where they cannot be anyone's: masked (``138****0000``), broken off
(尾号2231) or failing the check digit of their kind.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_MOBILE: Final = re.compile(r"(?<!\d)(?:\+?86[- ]?)?1[3-9]\d[- ]?\d{4}[- ]?\d{4}(?!\d)", re.ASCII)
_HONG_KONG: Final = re.compile(r"(?:\+|00)852[- ]?[4-79]\d{3}[- ]?\d{4}(?!\d)", re.ASCII)
_IDENTITY: Final = re.compile(r"(?<!\d)\d{17}[\dXx](?![\dA-Za-z])", re.ASCII)
_CARD: Final = re.compile(r"(?<!\d)\d(?:[- ]?\d){12,18}(?!\d)", re.ASCII)
_EMAIL: Final = re.compile(r"[\w.+-]+@([\w-]+(?:\.[\w-]+)+)", re.ASCII)

_RESERVED_DOMAIN: Final = re.compile(
    r"(?:^|\.)(?:example\.(?:com|net|org)|example|test|invalid|localhost)$", re.IGNORECASE
)
"""Domains that belong to nobody, RFC 2606."""

_IDENTITY_WEIGHTS: Final = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def personal_data(text: str) -> Iterator[tuple[str, str]]:
    """Find what could be someone's.

    Args:
        text: any text.

    Yields:
        Kind (mobile number, identity number, bank card, e-mail address) and the characters.
    """
    for pattern in (_MOBILE, _HONG_KONG):
        for match in pattern.finditer(text):
            yield "mobile number", match.group()
    identities = [match.group() for match in _IDENTITY.finditer(text) if valid_identity(match.group())]
    for number in identities:
        yield "identity number", number
    for match in _CARD.finditer(text):
        digits = re.sub(r"\D", "", match.group())
        if match.group() not in identities and not _MOBILE.fullmatch(match.group()) and passes_luhn(digits):
            yield "bank card", match.group()
    for match in _EMAIL.finditer(text):
        if not _RESERVED_DOMAIN.search(match.group(1)):
            yield "e-mail address", match.group()


def valid_identity(number: str) -> bool:
    """Whether the last place of an 18-place resident identity number is its check digit (GB 11643-1999)."""
    total = sum(int(digit) * weight for digit, weight in zip(number[:17], _IDENTITY_WEIGHTS, strict=True))
    return "10X98765432"[total % 11] == number[17].upper()


def passes_luhn(digits: str) -> bool:
    """Whether the last digit is the check digit of ISO/IEC 7812 (Luhn)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0
