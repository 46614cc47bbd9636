"""Counts of the corpus: labels by split, lengths, variety; beside those of the public real texts."""

from __future__ import annotations

import re
import statistics
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from data.corpus import CHANNELS, CORPUS_SPLITS, CorpusRecord, record_id
from data.taxonomy import Head, Taxonomy
from data.text import normalise

DATASHEET_FILE: Final = "DATASHEET.md"
COUNTED_BEGIN: Final = "<!-- counted by `fankui data stats --write`; edits here are lost -->"
COUNTED_END: Final = "<!-- end of counted -->"

_COUNTED: Final = re.compile(f"{re.escape(COUNTED_BEGIN)}.*?{re.escape(COUNTED_END)}", re.DOTALL)
_GRAM_SIZES: Final = (1, 2, 3)

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Table:
    """A table of counts.

    Attributes:
        title: what is counted.
        header: column names.
        rows: cells as they are shown.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def markdown(self) -> str:
        """The table as Markdown, without its title."""
        lines = [self.header, tuple("---" for _ in self.header), *self.rows]
        return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)

    def plain(self) -> str:
        """Title and table with aligned columns, for a terminal."""
        rows = [self.header, *self.rows]
        widths = [max(_width(row[place]) for row in rows) for place in range(len(self.header))]
        lines = ["  ".join(_padded(cell, widths[place], place == 0) for place, cell in enumerate(row)) for row in rows]
        return "\n".join([self.title, *(f"  {line.rstrip()}" for line in lines)])


def label_tables(
    splits: Mapping[str, Sequence[CorpusRecord]], taxonomy: Taxonomy, real: Sequence[Record] = ()
) -> list[Table]:
    """Labels of every head, channels and enrichment, by split.

    Args:
        splits: the corpus by split.
        taxonomy: names the heads and labels.
        real: labelled real records beside which to show the shares; a head they lack shows a dash.
    """
    parts = {name: [record.to_dict() for record in splits[name]] for name in CORPUS_SPLITS}
    everything = [record for part in parts.values() for record in part]
    natural = [record for record in everything if not record["enriched"]]
    names = ("records", *CORPUS_SPLITS, "all", "share", "share, not enriched") + (("share, real",) if real else ())

    def row(label: str, matches: Callable[[Record], bool], head: str) -> tuple[str, ...]:
        counts = [sum(map(matches, part)) for part in parts.values()]
        cells = [label, *map(str, counts), str(sum(counts))]
        cells += [_share(sum(map(matches, group)), len(group)) for group in (everything, natural)]
        if real:
            known = [record for record in real if head in record]
            cells.append(_share(sum(map(matches, known)), len(known)) if known else "–")
        return tuple(cells)

    sizes = [len(part) for part in parts.values()]
    tables = [Table("records", ("records", *CORPUS_SPLITS, "all"), (("all", *map(str, sizes), str(sum(sizes))),))]
    for head in taxonomy.heads:
        rows = tuple(row(label, _matcher(head, label), head.name) for label in _labels(head))
        tables.append(Table(head.name, (head.name, *names[1:]), rows))
    for name, values in (("channel", CHANNELS), ("enriched", (True, False))):
        rows = tuple(row(str(v).lower(), lambda r, n=name, v=v: r[n] == v, name) for v in values)  # type: ignore[misc]
        tables.append(Table(name, (name, *names[1:]), rows))
    return tables


def text_table(groups: Mapping[str, Iterable[str]]) -> Table:
    """Length quartiles and variety of several groups of texts, side by side.

    ``distinct-n`` is the share of different character n-grams among all (Li et al., 2016), over a sample of
    2,000 texts in the order of a hash, because it falls with the amount of text.
    """
    columns = {name: _text_figures(list(texts)) for name, texts in groups.items()}
    labels = list(next(iter(columns.values())))
    rows = tuple((label, *(column[label] for column in columns.values())) for label in labels)
    return Table("Texts", ("texts", *columns), rows)


def with_counted(page: str, tables: Iterable[Table]) -> str:
    """A Markdown page whose counted block holds the given tables; a page without the block stays as it is."""
    block = "\n\n".join(f"**{table.title}**\n\n{table.markdown()}" for table in tables)
    return _COUNTED.sub(lambda _: f"{COUNTED_BEGIN}\n\n{block}\n\n{COUNTED_END}", page)


def _labels(head: Head) -> tuple[str, ...]:
    if head.kind == "binary":
        return ("true", "false")
    return (*head.names, head.empty_set) if head.empty_set else head.names


def _matcher(head: Head, label: str) -> Callable[[Record], bool]:
    match head.kind:
        case "binary":
            return lambda record: record[head.name] is (label == "true")
        case "multi_label":
            return lambda record: label in record[head.name] or (label == head.empty_set and not record[head.name])
        case _:
            return lambda record: bool(record[head.name] == label)


def _text_figures(texts: list[str]) -> dict[str, str]:
    lengths = [len(text) for text in texts]
    quartiles = statistics.quantiles(lengths, n=4) if len(lengths) > 1 else [float(sum(lengths))] * 3
    figures = {"texts": f"{len(texts)}"}
    figures |= {
        f"length, {name}": f"{value:.0f}" for name, value in zip(("25 %", "50 %", "75 %"), quartiles, strict=True)
    }
    figures["length, longest"] = str(max(lengths, default=0))
    figures["length, mean"] = f"{statistics.fmean(lengths or [0]):.1f}"
    sample = [normalise(text) for text in sorted(texts, key=record_id)[:2000]]
    for size in _GRAM_SIZES:
        grams = Counter(text[i : i + size] for text in sample for i in range(len(text) - size + 1))
        figures[f"distinct-{size}"] = f"{len(grams) / max(1, grams.total()):.3f}"
    openings = Counter(text[:4] for text in sample)
    figures["most common opening"] = _share(max(openings.values(), default=0), len(sample))
    return figures


def _share(count: int, total: int) -> str:
    return f"{100 * count / total:.1f} %" if total else "–"


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def _padded(text: str, width: int, left: bool) -> str:
    gap = " " * (width - _width(text))
    return text + gap if left else gap + text
