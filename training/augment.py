"""Augmentation that real noise justifies: joined complaints, polite phrases, typos, missing punctuation.

Everything works on a text and its target vector, so that it serves any taxonomy and soft targets alike. A text is
changed anew every time it is read.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerBase

from data.taxonomy import Taxonomy
from training.dataset import fit_window

_PHRASES: Final = Path(__file__).parent / "configs" / "augmentation.toml"
_PUNCTUATION: Final = re.compile(r"[,，.。!！?？、;；:：~…]+")
_SEPARATORS: Final = (" ", "，", "。", ",", "")


@dataclass(frozen=True)
class Augmentation:
    """How often a text is changed; the shares are of all texts read, and at most one change is made to each.

    Attributes:
        join: two texts become one, with the union of their labels.
        affix: a phrase that says nothing (a greeting, thanks, an order number) stands before or after.
        noise: one or two characters mistyped or punctuation dropped.
    """

    join: float = 0.0
    affix: float = 0.0
    noise: float = 0.0

    @property
    def any(self) -> bool:
        """Whether anything is changed at all."""
        return self.join + self.affix + self.noise > 0


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


class AugmentedDataset(Dataset[dict[str, Any]]):
    """Training texts, changed by chance whenever they are read.

    Args:
        texts: normalised texts.
        targets: (n_texts, n_logits) float32.
        taxonomy: the heads.
        tokenizer: the base's.
        max_tokens: pieces a text, special ones included.
        augmentation: how often.
        seed: of the changes.
    """

    def __init__(
        self,
        texts: Sequence[str],
        targets: npt.NDArray[np.float32],
        taxonomy: Taxonomy,
        tokenizer: PreTrainedTokenizerBase,
        max_tokens: int,
        augmentation: Augmentation,
        seed: int,
    ) -> None:
        self._texts, self._targets, self._taxonomy = texts, targets, taxonomy
        self._tokenizer, self._max_tokens, self._augmentation = tokenizer, max_tokens, augmentation
        self._generator = np.random.default_rng(seed)

    def __len__(self) -> int:
        return len(self._texts)

    def __getitem__(self, index: int) -> dict[str, Any]:
        text, target = self.changed(index)
        encoded = self._tokenizer(text, truncation=False, add_special_tokens=True)
        return {name: fit_window(row, self._max_tokens) for name, row in encoded.items()} | {"labels": target}

    def changed(self, index: int) -> tuple[str, npt.NDArray[np.float32]]:
        """A text and its target vector, changed or not."""
        text, target, share = self._texts[index], self._targets[index], self._augmentation
        chance = self._generator.random()
        if chance < share.join:
            other = int(self._generator.integers(len(self._texts)))
            separator = str(self._generator.choice(_SEPARATORS))
            return text + separator + self._texts[other], join_targets(self._taxonomy, target, self._targets[other])
        if chance < share.join + share.affix:
            return with_affix(text, self._generator), target
        if chance < share.join + share.affix + share.noise:
            return with_noise(text, self._generator), target
        return text, target
