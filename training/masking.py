"""Whole-word masking over batches of packed passages (Cui et al. 2019, https://arxiv.org/abs/1906.08101)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from training.packing import WORD_START

PAD, CLS, SEP, MASK = 0, 2, 3, 4
FIRST_PIECE: Final = 8
"""First id that is neither a special token nor a placeholder."""
IGNORE: Final = -100


@dataclass(frozen=True)
class MaskedBatch:
    """A batch ready for masked language modelling; every array has a fixed shape for a given row length.

    Attributes:
        ids: (rows, length) int64, with masked pieces.
        attention: (rows, length) bool, false on padding.
        positions: (n_targets,) int64, flat positions of masked pieces, filled up with 0.
        targets: (n_targets,) int64, the pieces that were there; `IGNORE` where filled up.
        words: (rows, n_words) int64, pieces that stand for the passage; `IGNORE` where filled up.
    """

    ids: npt.NDArray[np.int64]
    attention: npt.NDArray[np.bool_]
    positions: npt.NDArray[np.int64]
    targets: npt.NDArray[np.int64]
    words: npt.NDArray[np.int64]


def fill_rows(passages: list[npt.NDArray[np.uint16]], length: int) -> npt.NDArray[np.uint16]:
    """Lay passages into rows of [CLS] … [SEP] [PAD]…: (rows, length) uint16 with word-start flags kept."""
    rows = np.zeros((len(passages), length), dtype=np.uint16)
    rows[:, 0] = CLS
    for row, passage in zip(rows, passages, strict=True):
        row[1 : 1 + len(passage)] = passage
        row[1 + len(passage)] = SEP
    return rows


def passage_words(
    rows: npt.NDArray[np.uint16], keep: npt.NDArray[np.float32], generator: np.random.Generator, n_words: int = 8
) -> npt.NDArray[np.int64]:
    """Draw pieces that stand for each passage.

    Args:
        rows: (rows, length) uint16, unmasked.
        keep: (vocabulary_size,) float32, share of each piece's occurrences that may be drawn.
        generator: random numbers.
        n_words: pieces a passage at most.

    Returns:
        (rows, n_words) int64, `IGNORE` where a passage has fewer.
    """
    ids = (rows & ~WORD_START).astype(np.int64)
    chance = generator.random(ids.shape, dtype=np.float32)
    eligible = (ids >= FIRST_PIECE) & (chance < keep[ids])
    rank = np.where(eligible, chance / keep[ids], 2.0)
    first = np.argsort(rank, axis=1)[:, :n_words]
    return np.where(np.take_along_axis(eligible, first, 1), np.take_along_axis(ids, first, 1), IGNORE)


def mask_words(
    rows: npt.NDArray[np.uint16],
    words: npt.NDArray[np.int64],
    share: float,
    vocabulary_size: int,
    generator: np.random.Generator,
) -> MaskedBatch:
    """Choose whole words until about ``share`` of the pieces are chosen; 80 % masked, 10 % random, 10 % kept."""
    starts = (rows & WORD_START) != 0
    ids = (rows & ~WORD_START).astype(np.int64)
    flat = ids.reshape(-1)
    maskable = flat >= FIRST_PIECE
    word = np.cumsum(starts.reshape(-1))
    chosen = (generator.random(int(word[-1]) + 1) < share)[word] & maskable
    n_targets = -(-int(rows.size * share * 1.05) // 64) * 64
    where = np.flatnonzero(chosen)
    if len(where) > n_targets:
        where = np.sort(generator.choice(where, n_targets, replace=False))
    positions = np.zeros(n_targets, dtype=np.int64)
    targets = np.full(n_targets, IGNORE, dtype=np.int64)
    positions[: len(where)] = where
    targets[: len(where)] = flat[where]
    attention = ids != PAD
    action = generator.random(len(where))
    flat[where[action < 0.8]] = MASK
    random = where[(action >= 0.8) & (action < 0.9)]
    flat[random] = generator.integers(FIRST_PIECE, vocabulary_size, len(random))
    return MaskedBatch(ids, attention, positions, targets, words)
