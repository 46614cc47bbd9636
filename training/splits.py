"""Splitting labelled records by the hash of their text, and what stands in two splits at once.

Where a text belongs depends on nothing but the text, so a set that grows keeps its test set, and the same text never
stands in two parts.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from data.taxonomy import Taxonomy
from data.text import normalise
from training.errors import DataError

Record = Mapping[str, Any]

FEWEST: Final = 10
"""Different texts under which nothing can be learned and judged."""

_SMALL: Final = 100
_SHARE, _SMALL_SHARE = 0.1, 0.3


@dataclass(frozen=True)
class Parts:
    """Records by what they are for, and what a person should know about them.

    Attributes:
        train: learned from.
        validation: the best epoch is chosen and decisions are fitted on them.
        test: only measured; may be empty.
        notices: one line each.
    """

    train: list[Record]
    validation: list[Record]
    test: list[Record] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)


def text_key(record: Record) -> str:
    """What two records share whose texts the model cannot tell apart."""
    return normalise(str(record["text"])).casefold()


def labels_in(record: Record, taxonomy: Taxonomy) -> set[str]:
    """``head/label`` of what a record says; ``head/`` for the empty set and for false."""
    found: set[str] = set()
    for head in taxonomy.heads:
        value = record.get(head.name)
        if isinstance(value, str):
            found.add(f"{head.name}/{value}")
        elif isinstance(value, bool):
            found.add(f"{head.name}/{head.names[0] if value else ''}")
        elif value is not None:
            found |= {f"{head.name}/{name}" for name in value} or {f"{head.name}/"}
    return found


def split(records: Sequence[Record], taxonomy: Taxonomy, validation: bool = True, test: bool = True) -> Parts:
    """Split records by hash: a tenth each for validation and test; under 100 texts 30 % for validation alone.

    The last example of a label always stays in the training part.

    Args:
        records: labelled records.
        taxonomy: the heads.
        validation: whether a validation part is wanted.
        test: whether a test part is wanted, where there are enough texts.

    Raises:
        DataError: there are fewer than 10 different texts.
    """
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(text_key(record), []).append(record)
    if len(groups) < FEWEST:
        raise DataError(
            f"{len(groups)} different texts are too few to learn from and to judge by; bring {FEWEST} or more"
        )
    small = len(groups) < _SMALL
    shares = [_SMALL_SHARE if small else _SHARE] * validation + [_SHARE] * (test and not small)
    ranked = sorted((hashlib.sha256(key.encode("utf-8", "replace")).hexdigest(), key) for key in groups)
    left = Counter(label for record in records for label in labels_in(record, taxonomy))
    parts: list[list[Record]] = [[], *([] for _ in shares)]
    for rank, (digest, key) in enumerate(ranked):
        place = rank / len(ranked) if small else int(digest[:8], 16) / 2**32
        number = next((n for n in range(len(shares)) if sum(shares[:n]) <= place < sum(shares[: n + 1])), -1)
        own = Counter(label for record in groups[key] for label in labels_in(record, taxonomy))
        if number >= 0 and all(left[label] > n for label, n in own.items()):
            left -= own
            parts[number + 1] += groups[key]
        else:
            parts[0] += groups[key]
    return _parts(parts, validation, small and test)


def _parts(parts: list[list[Record]], validation: bool, no_test: bool) -> Parts:
    train, *others = parts
    wanted = others.pop(0) if validation else []
    test = others.pop(0) if others else []
    if validation and not wanted:
        raise DataError("no label has an example to spare for validation; bring more examples a label")
    notices = [
        f"split by hash of the text: {len(train):,} to learn from, {len(wanted):,} validation, {len(test):,} test"
    ]
    if no_test:
        notices.append(
            "fewer than 100 texts: no test set is set aside; figures on the validation set are uncertain and too kind"
        )
    return Parts(train, wanted, test, notices)


def notable(parts: Parts, taxonomy: Taxonomy) -> list[str]:
    """What a person should know before training: rare labels, texts in two parts, contradictions.

    Raises:
        DataError: a head has no label in the training part.
    """
    notices: list[str] = []
    counts = Counter(label for record in parts.train for label in labels_in(record, taxonomy))
    for head in taxonomy.heads:
        if not any(label.startswith(f"{head.name}/") for label in counts):
            raise DataError(
                f"no training row has a label of the head {head.name!r}; take it out of the taxonomy, or add its column"
            )
    names = [f"{head.name}/{name}" for head in taxonomy.heads for name in head.names]
    missing = [name for name in names if counts[name] == 0]
    rare = [f"{name} ({counts[name]})" for name in names if 0 < counts[name] < 5]
    if missing:
        notices.append(
            f"{_counted(len(missing), 'label')} without a training example, cannot be learned: {_some(missing)}"
        )
    if rare:
        notices.append(f"{_counted(len(rare), 'label')} with fewer than 5 training examples: {_some(rare)}")
    return notices + overlaps(parts, taxonomy)


def overlaps(parts: Parts, taxonomy: Taxonomy) -> list[str]:
    """Texts that stand in two parts, and training texts that stand there with different labels."""
    notices = []
    keys = {name: [text_key(r) for r in getattr(parts, name)] for name in ("train", "validation", "test")}
    for one, other in (("train", "validation"), ("train", "test"), ("validation", "test")):
        both = set(keys[one]) & set(keys[other])
        if both:
            share = sum(key in both for key in keys[other]) / len(keys[other])
            notices.append(f"{_counted(len(both), 'text')} in {one} and in {other} alike ({share:.1%} of {other})")
    contradicting = _contradicting(keys["train"], parts.train, taxonomy)
    if contradicting:
        notices.append(f"{_counted(len(contradicting), 'training text')} with different labels in different rows")
    return notices


def _contradicting(keys: Sequence[str], records: Sequence[Record], taxonomy: Taxonomy) -> list[str]:
    said: dict[tuple[str, str], set[str]] = {}
    for key, record in zip(keys, records, strict=True):
        for head in taxonomy.heads:
            value = record.get(head.name)
            if value is not None:
                said.setdefault((key, head.name), set()).add(str(sorted(value) if isinstance(value, list) else value))
    return list(dict.fromkeys(key for (key, _), values in said.items() if len(values) > 1))


def _counted(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def _some(names: Sequence[str], most: int = 8) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
