"""Augmentation that real noise justifies: joined complaints, polite phrases, typos, missing punctuation.

Everything works on a text and its target vector, so that it serves any taxonomy and soft targets alike. Changed copies
stand beside the texts for the whole run, so that batches of like length stay possible.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from data.taxonomy import Taxonomy

_PHRASES: Final = Path(__file__).parent / "configs" / "augmentation.toml"
_PUNCTUATION: Final = re.compile(r"[,，.。!！?？、;；:：~…]+")
_SEPARATORS: Final = (" ", "，", "。", ",", "")


@dataclass(frozen=True)
class Augmentation:
    """How many changed copies are added, as shares of the number of texts.

    Attributes:
        join: two texts made one, with the union of their labels.
        affix: a phrase that says nothing (a greeting, thanks, an order number) before or after.
        noise: one or two characters mistyped or punctuation dropped.
    """

    join: float = 0.0
    affix: float = 0.0
    noise: float = 0.0


@dataclass(frozen=True)
class Phrases:
    """What `configs/augmentation.toml` holds: phrases for either end, and groups of characters that people confuse."""

    before: tuple[str, ...]
    after: tuple[str, ...]
    confused: dict[str, str]


@lru_cache(maxsize=1)
def phrases() -> Phrases:
    """Read the phrases that ship with the project."""
    values = tomllib.loads(_PHRASES.read_text("utf-8"))
    confused: dict[str, str] = {}
    for group in values["confused"]:
        for character in group:
            confused[character] = confused.get(character, "") + group.replace(character, "")
    return Phrases(tuple(values["before"]), tuple(values["after"]), confused)


def join_targets(
    taxonomy: Taxonomy, first: npt.NDArray[np.float32], second: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Target vector of two texts said in one breath.

    Multi-label and binary heads: either says it. Ordinal: the higher of the two. Single-label: kept where both
    agree, unknown (NaN) otherwise.

    Args:
        taxonomy: the heads.
        first: (n_logits,) float32, hard or soft targets, NaN where unknown.
        second: likewise.

    Returns:
        (n_logits,) float32.
    """
    joined = np.empty_like(first)
    for head in taxonomy.heads:
        where = taxonomy.slices[head.name]
        a, b = first[where], second[where]
        if head.kind in ("multi_label", "binary"):
            joined[where] = 1 - (1 - a) * (1 - b)
        elif head.kind == "ordinal":
            joined[where] = np.diff(np.cumsum(a) * np.cumsum(b), prepend=0.0)
        else:
            joined[where] = (a + b) / 2 if a.argmax() == b.argmax() else np.nan
    return joined


def with_affix(text: str, generator: np.random.Generator) -> str:
    """A phrase that changes nothing, before or after the text."""
    own = phrases()
    if generator.random() < 0.4:
        return str(generator.choice(own.before)) + str(generator.choice(_SEPARATORS)) + text
    return text + str(generator.choice(_SEPARATORS)) + str(generator.choice(own.after))


def with_noise(text: str, generator: np.random.Generator) -> str:
    """Drop the punctuation, or mistype one or two characters that people confuse."""
    places = [i for i, character in enumerate(text) if character in phrases().confused]
    if not places or generator.random() < 0.3:
        return _PUNCTUATION.sub(" " if generator.random() < 0.5 else "", text).strip() or text
    characters = list(text)
    for place in generator.choice(places, size=min(len(places), int(generator.integers(1, 3))), replace=False):
        others = phrases().confused[characters[place]]
        characters[place] = others[int(generator.integers(len(others)))]
    return "".join(characters)


def augmented(
    texts: Sequence[str],
    targets: npt.NDArray[np.float32],
    taxonomy: Taxonomy,
    augmentation: Augmentation,
    seed: int,
) -> tuple[list[str], npt.NDArray[np.float32]]:
    """The texts and, after them, changed copies of some.

    Args:
        texts: normalised texts.
        targets: (n_texts, n_logits) float32.
        taxonomy: the heads.
        augmentation: how many copies of each kind.
        seed: of the choice and the changes.

    Returns:
        All texts and their (n, n_logits) float32 targets.
    """
    generator = np.random.default_rng(seed)
    more_texts: list[str] = []
    more_targets: list[npt.NDArray[np.float32]] = []

    def chosen(share: float) -> list[int]:
        return [int(i) for i in generator.choice(len(texts), round(share * len(texts)), replace=share > 1)]

    for index in chosen(augmentation.join):
        other = int(generator.integers(len(texts)))
        more_texts.append(texts[index] + str(generator.choice(_SEPARATORS)) + texts[other])
        more_targets.append(join_targets(taxonomy, targets[index], targets[other]))
    for share, change in ((augmentation.affix, with_affix), (augmentation.noise, with_noise)):
        for index in chosen(share):
            more_texts.append(change(texts[index], generator))
            more_targets.append(targets[index])
    return [*texts, *more_texts], np.stack([*targets, *more_targets])
