"""How often a change that must not matter changes what is decided, over any texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from data.taxonomy import Taxonomy
from data.text import MAX_CHARACTERS
from model.classifier import Classifier
from training.evaluate import Decided, classify_records
from training.perturbations import PERTURBATIONS
from training.resampling import wilson

_HELD_HEADS: Final = ("topics", "urgency")
_EXAMPLES: Final = 3


def held_heads(taxonomy: Taxonomy) -> list[str]:
    """Heads that a perturbation must leave alone: topics and urgency, or all heads of another taxonomy.

    Sentiment is not held: an emoji or a kind word may be part of it.
    """
    names = [head.name for head in taxonomy.heads if head.parent is None]
    return [name for name in names if name in _HELD_HEADS] or names


def flips(classifier: Classifier, texts: Sequence[str], decided: Decided) -> dict[str, dict[str, Any]]:
    """Perturb texts and count what is decided differently.

    A text that a perturbation leaves as it is, or leaves blank, does not count for it.

    Args:
        classifier: the one that is judged.
        texts: any texts that hold to the limits.
        decided: (n, n_logits) 0/1, what it says of them unperturbed.

    Returns:
        By perturbation ``{"n", "heads": {head: flips}, "flips", "rate", "interval", "examples"}``. A flip at the top
        level is one in any of `held_heads`; ``examples`` are up to three of them as (text, perturbed).
    """
    taxonomy = classifier.taxonomy
    held = held_heads(taxonomy)
    result: dict[str, dict[str, Any]] = {}
    for name, perturb in PERTURBATIONS.items():
        changed = {number: perturb(text) for number, text in enumerate(texts)}
        changed = {n: t for n, t in changed.items() if t.strip() and t != texts[n] and len(t) <= MAX_CHARACTERS}
        if not changed:
            continue
        numbers = list(changed)
        after = classify_records(classifier, [{"text": text} for text in changed.values()]).decided
        differs = after != decided[numbers]
        by_head = {head.name: differs[:, taxonomy.slices[head.name]].any(axis=1) for head in taxonomy.heads}
        flipped = np.any([by_head[head] for head in held], axis=0)
        count, n = int(flipped.sum()), len(numbers)
        examples = [(texts[numbers[row]], changed[numbers[row]]) for row in np.flatnonzero(flipped)[:_EXAMPLES]]
        result[name] = {
            "n": n,
            "heads": {head: int(each.sum()) for head, each in by_head.items()},
            "flips": count,
            "rate": count / n,
            "interval": wilson(count, n),
            "examples": examples,
        }
    return result
