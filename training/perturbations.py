"""Changes to a text that must not change what it is about or how urgent it is.

Each is what real channels do to text: input methods send full-width letters, phones send traditional characters and
emoji, people leave out punctuation, are polite, and paste order numbers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final
from zlib import crc32

from opencc import OpenCC

Perturb = Callable[[str], str]

_EMOJI: Final = ("🙏", "📱", "👀")
_GREETINGS: Final = ("你好，", "您好，", "客服您好，")
_THANKS: Final = ("，谢谢", "，谢谢您", "，多谢")
_ORDERS: Final = ("（订单号 {}）", "，单号{}", " 编号：{}")
_MARKS: Final = re.compile(r"[，。！？；：、…～~“”‘’「」『』《》【】]+|(?<![\d])[,.!?;:]+|[,.!?;:]+(?![\d\w/])")
_END: Final = re.compile(r"[，。！？；：、…～~,.!?;:\s]+$")


def _pick(text: str, choices: tuple[str, ...]) -> str:
    """One of the choices, always the same for a text."""
    return choices[crc32(text.encode("utf-8", "replace")) % len(choices)]


def full_width(text: str) -> str:
    """ASCII letters, digits and signs in their full-width forms."""
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)


@lru_cache(maxsize=1)
def _traditional() -> OpenCC:
    return OpenCC("s2t")


def traditional(text: str) -> str:
    """Simplified characters as traditional ones, with OpenCC's phrases."""
    return str(_traditional().convert(text))


def emoji(text: str) -> str:
    """An emoji that takes no side, at the end."""
    return text + _pick(text, _EMOJI)


def no_punctuation(text: str) -> str:
    """Punctuation replaced by a space, as many type on a phone; numbers, links and placeholders stay whole."""
    if any(sign in text for sign in ("://", "www.", "@")):
        return text
    return _MARKS.sub(" ", text).strip()


def polite(text: str) -> str:
    """A greeting before and thanks after."""
    return _pick(text, _GREETINGS) + _END.sub("", text) + _pick(text[::-1], _THANKS)


def order_number(text: str) -> str:
    """An order number that has nothing to do with it, at the end."""
    return _END.sub("", text) + _pick(text, _ORDERS).format(
        2024_0000_0000_0000 + crc32(text.encode("utf-8", "replace"))
    )


PERTURBATIONS: Final[Mapping[str, Perturb]] = {
    "full_width": full_width,
    "traditional": traditional,
    "emoji": emoji,
    "punctuation": no_punctuation,
    "politeness": polite,
    "order_number": order_number,
}
"""By the name the suite uses for the same thing."""
