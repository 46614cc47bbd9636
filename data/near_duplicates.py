"""Which texts say nearly the same thing: MinHash over character 3-grams, then the exact Jaccard similarity.

MinHash and banding as in Broder, "On the resemblance and containment of documents" (1997): the share of equal
places in two signatures estimates the similarity of the two sets, and texts that agree in one whole band of
places become candidates. Every candidate pair is then measured exactly, so that no pair is reported wrongly;
a pair at the default threshold is missed with a probability of 0.004.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final
from zlib import crc32

import numpy as np
import numpy.typing as npt

from data.text import PLACEHOLDERS, normalise

THRESHOLD: Final = 0.5
"""Jaccard similarity of 3-gram sets from which two texts count as near-duplicates and must share a split."""

_GRAM: Final = 3
_BANDS: Final = 42
_ROWS: Final = 3
_PRIME: Final = (1 << 31) - 1
_SEED: Final = 20261121
_PLACEHOLDER: Final = re.compile("|".join(PLACEHOLDERS))
_NOISE: Final = re.compile(r"[\W_]+")
_DIGITS: Final = re.compile(r"\d+")


@dataclass(frozen=True)
class Pair:
    """Two texts that are near-duplicates.

    Attributes:
        first: place of the one in the sequence that was searched.
        second: place of the other; always the later one.
        similarity: Jaccard similarity of their 3-gram sets, 0 to 1.
    """

    first: int
    second: int
    similarity: float


def folded(text: str) -> str:
    """A text without what does not make it another text: case, punctuation, emoji, white space, the digits' values.

    Falls back on the normalised text where nothing else is left, as of 「。。。」 and 「666」.
    """
    normal = normalise(text)
    letters = _DIGITS.sub("0", _NOISE.sub("", _PLACEHOLDER.sub("0", normal)).lower())
    return normal if letters in ("", "0") else letters


def grams(text: str) -> frozenset[str]:
    """The set of character 3-grams of a folded text; a shorter text is its own only member."""
    return frozenset(text[i : i + _GRAM] for i in range(len(text) - _GRAM + 1)) or frozenset((text,))


def similarity(first: frozenset[str], second: frozenset[str]) -> float:
    """Jaccard similarity of two sets, 0 to 1."""
    shared = len(first & second)
    return shared / (len(first) + len(second) - shared)


def near_duplicates(texts: Iterable[str], threshold: float = THRESHOLD) -> list[Pair]:
    """Find the pairs of texts whose 3-gram sets are at least ``threshold`` alike.

    Args:
        texts: as people wrote them; they are folded here.
        threshold: 0 to 1; below 0.4 the search begins to miss pairs.

    Returns:
        The pairs, by first and second place.
    """
    sets = [grams(folded(text)) for text in texts]
    found = []
    for first, second in sorted(_candidates(_signatures(sets))):
        alike = similarity(sets[first], sets[second])
        if alike >= threshold:
            found.append(Pair(first, second, alike))
    return found


def clusters(count: int, pairs: Iterable[Pair]) -> list[list[int]]:
    """Join pairs into groups: whoever is linked through any chain of pairs belongs together.

    Args:
        count: how many texts there are.
        pairs: links between them.

    Returns:
        Every place from 0 to ``count`` - 1 in exactly one group; groups and members in ascending order.
    """
    parent = list(range(count))

    def root(place: int) -> int:
        while parent[place] != place:
            parent[place] = parent[parent[place]]
            place = parent[place]
        return place

    for pair in pairs:
        low, high = sorted((root(pair.first), root(pair.second)))
        parent[high] = low
    groups: dict[int, list[int]] = defaultdict(list)
    for place in range(count):
        groups[root(place)].append(place)
    return list(groups.values())


def _signatures(sets: Sequence[frozenset[str]]) -> npt.NDArray[np.int64]:
    """MinHash signatures: (n_texts, bands * rows) int64, from one linear hash function a place."""
    generator = np.random.default_rng(_SEED)
    factor = generator.integers(1, _PRIME, _BANDS * _ROWS)
    offset = generator.integers(0, _PRIME, _BANDS * _ROWS)
    result = np.empty((len(sets), _BANDS * _ROWS), dtype=np.int64)
    for row, members in enumerate(sets):
        # Below 2**31 so that the product with a factor fits into 64 bits.
        codes = np.fromiter((crc32(gram.encode()) % _PRIME for gram in members), dtype=np.int64, count=len(members))
        result[row] = ((codes[:, None] * factor + offset) % _PRIME).min(axis=0)
    return result


def _candidates(signatures: npt.NDArray[np.int64]) -> set[tuple[int, int]]:
    pairs: set[tuple[int, int]] = set()
    for band in range(_BANDS):
        buckets: dict[bytes, list[int]] = defaultdict(list)
        for place, rows in enumerate(np.ascontiguousarray(signatures[:, band * _ROWS : (band + 1) * _ROWS])):
            buckets[rows.tobytes()].append(place)
        for bucket in buckets.values():
            pairs.update(combinations(bucket, 2))
    return pairs
