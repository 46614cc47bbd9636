"""Which codec a text file is in, and its lines with every undecodable byte kept in sight.

A byte that the codec cannot read becomes one lone surrogate, U+DC00 plus the byte, which no codec gives on its
own. So replacements can be counted exactly, and a rejected line can still show the bytes it had.
"""

from __future__ import annotations

import codecs
import io
import re
from dataclasses import dataclass
from typing import BinaryIO, Final, Literal

from data.errors import TableError

REPLACEMENT: Final = "\ufffd"
_HANDLER: Final = "fankui_keep_bytes"
_CHUNK: Final = 1 << 20
_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_GB18030_BOM: Final = b"\x84\x31\x95\x33"
_KEPT: Final = re.compile("[\udc00-\udcff]")
_TWO_BYTES: Final = re.compile("[\u0080-\u07ff]")
_CHINESE: Final = re.compile("[\u3000-\u9fff\uff00-\uffef]")


@dataclass(frozen=True)
class Encoding:
    """A codec and why it was taken.

    Attributes:
        name: Python's name of the codec.
        reason: for the report.
        clean: whether every byte is known to decode.
    """

    name: str
    reason: str
    clean: bool = False


def detect_encoding(stream: BinaryIO) -> Encoding:
    """Find the codec of a stream: byte order mark, then strict UTF-8, then GB18030.

    A file that is UTF-8 but for a few bytes (a cut-off export, two files glued together) would be mojibake from
    end to end in GB18030; it is read as UTF-8 when its valid Chinese characters outnumber, two to one, its
    bad bytes and the two-byte letters (ʱ, ú, Greek, …) that GBK read as UTF-8 is full of; in GBK it is the other way
    round, by far.

    Args:
        stream: at its beginning; it is read to its end.
    """
    head = stream.read(4)
    for bom, name in _BOMS:
        if head.startswith(bom):
            return Encoding(name, "byte order mark")
    if head == _GB18030_BOM:
        return Encoding("gb18030", "byte order mark")
    _register()
    decoder = codecs.getincrementaldecoder("utf-8")(_HANDLER)
    bad, foreign, chinese, chunk = 0, 0, 0, head
    while chunk:
        text = decoder.decode(chunk)
        if not text.isascii():
            bad += len(_KEPT.findall(text))
            foreign += len(_TWO_BYTES.findall(text))
            chinese += len(_CHINESE.findall(text))
        chunk = stream.read(_CHUNK)
    bad += len(decoder.decode(b"", final=True))
    if bad == 0:
        return Encoding("utf-8", "every byte is valid UTF-8", clean=True)
    if (bad + foreign) * 2 <= chinese:
        return Encoding("utf-8", f"UTF-8 but for {bad} bytes")
    return Encoding("gb18030", "not UTF-8")


def forced_encoding(name: str) -> Encoding:
    """The codec a person asked for.

    Raises:
        TableError: Python knows no such codec for text.
    """
    try:
        found = codecs.lookup(name)
        "".encode(found.name)
    except LookupError:
        raise TableError(f"no text encoding {name!r}; try utf-8, gb18030, big5, utf-16") from None
    return Encoding("utf-8-sig" if found.name == "utf-8" else found.name, "asked for")


def open_text(stream: BinaryIO, encoding: Encoding, newline: Literal["", "\n"]) -> io.TextIOWrapper:
    """Decode a stream, bytes that cannot be decoded kept as lone surrogates."""
    _register()
    return io.TextIOWrapper(stream, encoding=encoding.name, errors=_HANDLER, newline=newline)


def has_kept_bytes(text: str) -> bool:
    """Whether a decoded text holds bytes that could not be decoded."""
    return not text.isascii() and _KEPT.search(text) is not None


def replace_kept_bytes(text: str) -> tuple[str, int]:
    """A text with U+FFFD for every byte that could not be decoded, and how many there were."""
    return _KEPT.subn(REPLACEMENT, text)


def safe_form(text: str) -> str:
    r"""A text with ``\xNN`` for every byte that could not be decoded."""
    return _KEPT.sub(lambda match: f"\\x{ord(match.group()) - 0xDC00:02x}", text)


def _keep(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join(chr(0xDC00 + byte) for byte in error.object[error.start : error.end]), error.end


def _register() -> None:
    codecs.register_error(_HANDLER, _keep)
