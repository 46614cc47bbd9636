"""What is held against every record of the corpus; a failure names file, line, rule and reason."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from data.corpus import CHANNELS, CORPUS_SPLITS, CorpusRecord, read_lines, record_id, split_path
from data.errors import LabelError, TableError, TextError
from data.feedback import checked_text, labels_of
from data.label_rules import broken_rules
from data.near_duplicates import THRESHOLD, clusters, folded, grams, near_duplicates, similarity
from data.personal_data import personal_data
from data.skeletons import skeleton
from data.taxonomy import Taxonomy

RESERVED_FILE: Final = "reserved.txt"
"""Sentences that tests and the README classify, one a line: no record may come near them."""

_SAME_SPLIT: Final = 0.8
_TEMPLATE: Final = 0.6
_TEMPLATE_USES: Final = 3
_TEMPLATE_LENGTH: Final = 6
_OPENING: Final = 4
_OPENING_SHARE: Final = 0.004
_OPENING_USES: Final = 20
_COPY: Final = 0.6
_COPY_LENGTH: Final = 12


@dataclass(frozen=True)
class Line:
    """A record and where it stands."""

    path: Path
    number: int
    split: str
    record: CorpusRecord


@dataclass(frozen=True)
class Failure:
    """One thing that is wrong.

    Attributes:
        path: the file.
        number: line in it, from 1.
        rule: stable name of what was broken; see `docs/labels.md`.
        reason: what is wrong, with the values.
    """

    path: Path
    number: int
    rule: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path}:{self.number}: [{self.rule}] {self.reason}"


def check_corpus(folder: Path, taxonomy: Taxonomy, public: Sequence[str] = ()) -> tuple[int, list[Failure]]:
    """Hold a corpus folder against all rules.

    Args:
        folder: holds ``train.jsonl``, ``validation.jsonl``, ``test.jsonl`` and, if it likes, ``reserved.txt``.
        taxonomy: the labels that there are.
        public: real texts from elsewhere that no record may repeat.

    Returns:
        How many records there are and what is wrong, in the order of the files.

    Raises:
        TableError: a file is missing or has a line that is not a JSON object.
    """
    lines: list[Line] = []
    failures: list[Failure] = []
    for split in CORPUS_SPLITS:
        _read(split_path(split, folder), split, lines, failures)
    for check in (_check_order, _check_texts, _check_near_duplicates, _check_templates, _check_openings):
        failures += check(lines)
    for line in lines:
        failures += _check_labels(line, taxonomy)
    failures += _check_closeness(lines, _reserved(folder), "reserved", THRESHOLD, 0)
    failures += _check_closeness(lines, public, "copied", _COPY, _COPY_LENGTH)
    order = {split: place for place, split in enumerate(CORPUS_SPLITS)}
    return len(lines), sorted(failures, key=lambda f: (order.get(f.path.stem, 9), f.number, f.rule))


def _read(path: Path, split: str, lines: list[Line], failures: list[Failure]) -> None:
    for number, values in read_lines(path):
        try:
            lines.append(Line(path, number, split, CorpusRecord.from_dict(values)))
        except TableError as error:
            failures.append(Failure(path, number, "schema", str(error)))


def _failure(line: Line, rule: str, reason: str) -> Failure:
    return Failure(line.path, line.number, rule, f"{reason}: {_excerpt(line.record.text)}")


def _excerpt(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 40 else text[:39] + "…"


def _check_order(lines: Sequence[Line]) -> Iterator[Failure]:
    """Ids are the hashes of their texts, occur once and ascend within a file."""
    seen: dict[str, Line] = {}
    before: dict[Path, str] = {}
    for line in lines:
        found = line.record.id
        if found != record_id(line.record.text):
            yield _failure(line, "id", f"id {found} is not the text's hash {record_id(line.record.text)}")
        if found in seen:
            yield _failure(line, "duplicate", f"the same text stands in {_place(seen[found])}")
        elif found < before.get(line.path, ""):
            yield _failure(line, "order", f"id {found} after {before[line.path]}; records are sorted by id")
        seen.setdefault(found, line)
        before[line.path] = found


def _check_texts(lines: Sequence[Line]) -> Iterator[Failure]:
    for line in lines:
        try:
            if checked_text(line.record.text) != line.record.text:
                yield _failure(line, "text", "white space around the text")
        except TextError as error:
            yield Failure(line.path, line.number, "text", str(error))
        for kind, value in personal_data(line.record.text):
            yield _failure(
                line, "personal-data", f"{value!r} looks like a real {kind}; break it off or make it impossible"
            )


def _check_labels(line: Line, taxonomy: Taxonomy) -> Iterator[Failure]:
    record = line.record
    try:
        labels_of(record.to_dict(), taxonomy)
    except LabelError as error:
        yield _failure(line, "schema", str(error))
        return
    if record.channel not in CHANNELS:
        yield _failure(line, "schema", f"unknown channel {record.channel!r}; known ones are {', '.join(CHANNELS)}")
    for name, values in (("topics", record.topics), ("issues", record.issues)):
        head = taxonomy.head(name)
        if list(values) != sorted(set(values), key=head.index):
            yield _failure(line, "schema", f"{name} {list(values)} are not in the taxonomy's order or repeat")
    parents = {label.name: label.parent for label in taxonomy.head("issues").labels}
    if {parents[issue] for issue in record.issues} != set(record.topics):
        yield _failure(
            line, "topics-issues", f"topics {list(record.topics)} are not the parents of {list(record.issues)}"
        )
    for rule in broken_rules(record):
        yield _failure(line, rule.code, rule.reason)


def _check_near_duplicates(lines: Sequence[Line]) -> Iterator[Failure]:
    for pair in near_duplicates(line.record.text for line in lines):
        first, second = lines[pair.first], lines[pair.second]
        if first.record.id == second.record.id:
            continue
        where = f"{pair.similarity:.2f} like {_place(first)}"
        if first.split != second.split:
            yield _failure(second, "leak", f"{where}, which is in another split")
        elif pair.similarity >= _SAME_SPLIT:
            yield _failure(second, "near-duplicate", where)


def _check_templates(lines: Sequence[Line]) -> Iterator[Failure]:
    """Three or more texts that are one sentence with other numbers and names in it."""
    bones = [skeleton(line.record.text) for line in lines]
    long = [place for place, bone in enumerate(bones) if len(bone) >= _TEMPLATE_LENGTH]
    pairs = near_duplicates((bones[place] for place in long), _TEMPLATE)
    for group in clusters(len(long), pairs):
        if len(group) >= _TEMPLATE_USES:
            members = [lines[long[place]] for place in group]
            others = ", ".join(_place(line) for line in members[:-1])
            yield _failure(members[-1], "template", f"the same skeleton as {others}")


def _check_openings(lines: Sequence[Line]) -> Iterator[Failure]:
    limit = max(_OPENING_USES, round(len(lines) * _OPENING_SHARE))
    uses = Counter(line.record.text[:_OPENING] for line in lines)
    for opening, count in uses.items():
        if count > limit:
            last = next(line for line in reversed(lines) if line.record.text.startswith(opening))
            yield _failure(last, "opening", f"{count} texts begin with {opening!r}, the limit is {limit}")


def _check_closeness(
    lines: Sequence[Line], others: Sequence[str], rule: str, threshold: float, shortest: int
) -> Iterator[Failure]:
    """Records near a text of another list; each record and text is compared only where they share a 3-gram."""
    texts = [(text, grams(folded(text))) for text in others if len(folded(text)) >= shortest]
    index: Mapping[str, list[int]] = _gram_index([members for _, members in texts])
    for line in lines if texts else ():
        own = grams(folded(line.record.text))
        for place in sorted({place for gram in own for place in index.get(gram, ())}):
            alike = similarity(own, texts[place][1])
            if alike >= threshold:
                yield _failure(line, rule, f"{alike:.2f} like {_excerpt(texts[place][0])!r}")


def _gram_index(sets: Sequence[frozenset[str]]) -> dict[str, list[int]]:
    index: dict[str, list[int]] = defaultdict(list)
    for place, members in enumerate(sets):
        for gram in members:
            index[gram].append(place)
    return index


def _reserved(folder: Path) -> list[str]:
    path = folder / RESERVED_FILE
    return [line for line in path.read_text("utf-8").splitlines() if line.strip()] if path.is_file() else []


def _place(line: Line) -> str:
    return f"{line.path.name}:{line.number}"
