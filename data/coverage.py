"""The coverage matrix, `data/corpus/MATRIX.md`: what was planned, beside what is there.

The Markdown tables of that page are the plan itself. A table is known by its first column: ``issue`` (one label
of the ``issues`` head, counted by channel), ``scenario`` (texts with one of its words) or ``what`` (``head = label``
or ``length >= n``). `recounted` fills in what is there; the columns a person writes stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from data.corpus import CHANNELS, CorpusRecord
from data.errors import TableError
from data.text import normalise

MATRIX_FILE: Final = "MATRIX.md"

_WORDS: Final = "、"
_WHAT: Final = re.compile(r"(\w+) (=|>=|<=) (\S+)")

Cells = dict[str, str]
Counter = Callable[[Cells], Mapping[str, int]]


@dataclass(frozen=True)
class Shortfall:
    """A row of the matrix that has fewer records than planned.

    Attributes:
        number: its line in the page, from 1.
        reason: what is short, with both figures.
    """

    number: int
    reason: str


def recounted(page: str, records: Sequence[CorpusRecord]) -> str:
    """The page with every counted column filled in anew.

    Raises:
        TableError: a row names something that cannot be counted.
    """
    counters = _counters(records)
    lines = page.split("\n")
    for number, kind, header, cells in _rows(lines):
        try:
            counts = counters[kind](cells)
        except (KeyError, ValueError) as error:
            raise TableError(f"{MATRIX_FILE}:{number}: cannot count {cells[kind]!r}: {error}") from error
        filled = [str(counts[name]) if name in counts else cells[name] for name in header]
        lines[number - 1] = f"| {' | '.join(filled)} |"
    return "\n".join(lines)


def shortfalls(page: str) -> list[Shortfall]:
    """Rows of a recounted page whose ``there`` is below their ``planned``."""
    return [
        Shortfall(number, f"{kind} {cells[kind]!r}: {cells['there']} records, planned {cells['planned']}")
        for number, kind, _, cells in _rows(page.split("\n"))
        if int(cells["there"] or 0) < int(cells["planned"])
    ]


def _rows(lines: Sequence[str]) -> Iterator[tuple[int, str, list[str], Cells]]:
    """Line number, kind of table, column names and cells of every row of a counted table."""
    header: list[str] = []
    for number, line in enumerate(lines, 1):
        if not line.startswith("|"):
            header = []
            continue
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not header:
            header = cells
        elif header[0] in ("issue", "scenario", "what") and not set(line) <= set("|-: "):
            if len(cells) != len(header):
                raise TableError(f"{MATRIX_FILE}:{number}: {len(cells)} cells, the table has {len(header)} columns")
            yield number, header[0], header, dict(zip(header, cells, strict=True))


def _counters(records: Sequence[CorpusRecord]) -> dict[str, Counter]:
    texts = [normalise(record.text).lower() for record in records]

    def by_issue(cells: Cells) -> dict[str, int]:
        issue = cells["issue"]
        having = [r for r in records if issue in r.issues or (issue == "none" and not r.issues)]
        counts = {channel: sum(r.channel == channel for r in having) for channel in CHANNELS}
        return {**counts, "there": len(having), "channels": sum(count > 0 for count in counts.values())}

    def by_words(cells: Cells) -> dict[str, int]:
        words = [word.lower() for word in cells["words"].split(_WORDS)]
        return {"there": sum(any(word in text for word in words) for text in texts)}

    def by_what(cells: Cells) -> dict[str, int]:
        match = _WHAT.fullmatch(cells["what"].strip("`"))
        if match is None:
            raise ValueError("write it as `head = label` or `length >= n`")
        return {"there": sum(_is(record, *match.groups()) for record in records)}

    return {"issue": by_issue, "scenario": by_words, "what": by_what}


def _is(record: CorpusRecord, name: str, relation: str, value: str) -> bool:
    if name == "length":
        return len(record.text) >= int(value) if relation == ">=" else len(record.text) <= int(value)
    if name == "topics" and relation == ">=":
        return len(record.topics) >= int(value)
    found = record.to_dict()[name]
    if isinstance(found, list):
        return value in found or (value == "other" and not found)
    return str(found).lower() == value
