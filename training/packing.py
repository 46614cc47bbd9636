"""From segmented passages to packed token ids that training can read at any place.

A packed corpus is a folder of flat arrays: ``ids.npy`` (uint16; the highest bit marks the first piece of
a jieba word, for whole-word masking), ``offsets.npy`` (int64, one more than passages), ``sources.npy``
(uint8, which source a passage comes from).
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from training.vocabulary import SEPARATOR, read_lines

logger = logging.getLogger(__name__)

WORD_START: Final = np.uint16(0x8000)
SHORT: Final = 62
LONG: Final = 126
"""Longest passages in pieces; with [CLS] and [SEP] they fill rows of 64 and 128."""


@dataclass(frozen=True)
class PackedCorpus:
    """Packed passages, memory-mapped.

    Attributes:
        ids: (n_pieces,) uint16, piece id with `WORD_START` on the first piece of a word.
        offsets: (n_passages + 1,) int64.
        sources: (n_passages,) uint8, index into the configuration's sources.
    """

    ids: npt.NDArray[np.uint16]
    offsets: npt.NDArray[np.int64]
    sources: npt.NDArray[np.uint8]

    @classmethod
    def open(cls, folder: Path) -> PackedCorpus:
        """Map a packed folder into memory."""
        return cls(*(np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("ids", "offsets", "sources")))

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """(n_passages,) int64, pieces in each passage."""
        return np.diff(self.offsets)


def _limit(text: str, long_share: float) -> int:
    digest = hashlib.blake2b(text.encode(), digest_size=4).digest()
    return LONG if int.from_bytes(digest, "big") / 2**32 < long_share else SHORT


def pack_batch(tokenizer: Tokenizer, lines: Sequence[str], long_share: float) -> Iterator[npt.NDArray[np.uint16]]:
    """Encode segmented lines and cut them into passages."""
    words = [line.split(SEPARATOR) for line in lines]
    texts = ["".join(w) for w in words]
    for own, text, encoding in zip(
        words, texts, tokenizer.encode_batch_fast(texts, add_special_tokens=False), strict=True
    ):
        starts = {0, *accumulate(len(w) for w in own)}
        flags = [WORD_START if start in starts else np.uint16(0) for start, _ in encoding.offsets]
        ids = np.array(encoding.ids, dtype=np.uint16) | np.array(flags, dtype=np.uint16)
        limit = _limit(text, long_share)
        for begin in range(0, len(ids), limit):
            piece = ids[begin : begin + limit]
            if len(piece) >= 4 or begin == 0:
                yield piece


def pack(tokenizer: Tokenizer, segmented: Sequence[Path], folder: Path, long_share: float) -> None:
    """Encode segmented files and write a packed corpus.

    Args:
        tokenizer: the run's tokenizer.
        segmented: one file a source, in the configuration's order.
        folder: where the arrays go; made if missing.
        long_share: share of passages cut at 126 pieces instead of 62.
    """
    folder.mkdir(parents=True, exist_ok=True)
    passages: list[npt.NDArray[np.uint16]] = []
    sources: list[int] = []
    for number, path in enumerate(segmented):
        lines = list(read_lines(path))
        for begin in range(0, len(lines), 2000):
            new = [p for p in pack_batch(tokenizer, lines[begin : begin + 2000], long_share) if len(p)]
            passages += new
            sources += [number] * len(new)
        logger.info("packed %s: %d passages so far", path.name, len(passages))
    offsets = np.zeros(len(passages) + 1, dtype=np.int64)
    np.cumsum([len(p) for p in passages], out=offsets[1:])
    np.save(folder / "ids.npy", np.concatenate(passages))
    np.save(folder / "sources.npy", np.array(sources, dtype=np.uint8))
    np.save(folder / "offsets.npy", offsets)
