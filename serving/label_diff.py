"""Comparing two labelled files: which rows changed their labels, and how."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any, Final

from data.errors import ColumnMissing, TableError
from data.tables import Reject, Row, Table, choose_text_columns, text_of
from data.tables.columns import cell_text

Labels = tuple[str, ...]
"""The labels a row has in one column, sorted; none where it has none."""

_LAST: Final = "model_version"
_AFTER_HEADS: Final = "needs_review"
_SCORES: Final = ("_score", "_scores")
_OTHERS: Final = ("needs_review", "label_error")


@dataclass
class ColumnChanges:
    """How one label column changed.

    Attributes:
        changed: rows whose labels differ.
        gained: rows that have the label in the new file only.
        lost: rows that have it in the old file only.
        moves: from which labels to which.
        examples: (text, old, new) of the first rows that made each move.
    """

    changed: int = 0
    gained: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    moves: Counter[tuple[Labels, Labels]] = field(default_factory=Counter)
    examples: dict[tuple[Labels, Labels], list[str]] = field(default_factory=dict)

    def add(self, old: Labels, new: Labels, text: str, examples: int) -> None:
        """Count one row that changed."""
        self.changed += 1
        self.gained.update(set(new) - set(old))
        self.lost.update(set(old) - set(new))
        self.moves[old, new] += 1
        shown = self.examples.setdefault((old, new), [])
        if len(shown) < examples:
            shown.append(text)


@dataclass
class Difference:
    """What differs between two labelled files.

    Attributes:
        rows: that are in both.
        changed_rows: of these, with any label changed.
        only_old: rows that are in the old file only.
        only_new: rows that are in the new file only.
        versions: model versions of the old and the new file.
        columns: changes by label column.
    """

    rows: int = 0
    changed_rows: int = 0
    only_old: int = 0
    only_new: int = 0
    versions: tuple[set[str], set[str]] = field(default_factory=lambda: (set(), set()))
    columns: dict[str, ColumnChanges] = field(default_factory=dict)

    def to_dict(self, moves: int) -> dict[str, Any]:
        """Plain values.

        Args:
            moves: how many of the commonest moves to tell for each column.
        """
        return {
            "rows": self.rows,
            "changed_rows": self.changed_rows,
            "only_old": self.only_old,
            "only_new": self.only_new,
            "old_versions": sorted(self.versions[0]),
            "new_versions": sorted(self.versions[1]),
            "columns": {
                name: {
                    "changed": column.changed,
                    "gained": dict(column.gained.most_common()),
                    "lost": dict(column.lost.most_common()),
                    "moves": [
                        {"old": list(old), "new": list(new), "rows": count, "examples": column.examples[old, new]}
                        for (old, new), count in column.moves.most_common(moves)
                    ],
                }
                for name, column in self.columns.items()
            },
        }


def compare(old: Table, new: Table, id_column: str | None, text_column: str | None, examples: int) -> Difference:
    """Compare two labelled files row by row.

    Rows belong together by the id column, or ``id`` where both files have it, and by their text where that is
    empty. The files need not be in the same order, but the further they are apart the more rows are held in memory.

    Args:
        old: the earlier labels.
        new: the later labels.
        id_column: names the rows.
        text_column: shown in examples; guessed where None.
        examples: texts to keep of each move.

    Raises:
        TableError: a file cannot be read or has no labels.
        ColumnMissing: a named column is not in both files.
    """
    texts = choose_text_columns(text_column, old.columns), choose_text_columns(text_column, new.columns)
    for table in (old, new):
        if id_column is not None and id_column not in table.columns:
            raise ColumnMissing(id_column, table.columns)
    known = id_column or ("id" if "id" in old.columns and "id" in new.columns else None)
    keys = (known,) if known else ()
    columns = [name for name in label_columns_of(old) if name in label_columns_of(new)]
    if not columns:
        raise TableError("the two files have no label column in common")
    difference = Difference(columns={name: ColumnChanges() for name in columns})
    for before, after in _pairs(_keyed(old, keys, texts[0]), _keyed(new, keys, texts[1])):
        if before is None or after is None:
            difference.only_new += before is None
            difference.only_old += after is None
            continue
        difference.rows += 1
        difference.versions[0].add(cell_text(before.cells.get(_LAST)))
        difference.versions[1].add(cell_text(after.cells.get(_LAST)))
        moved = [(name, labels_in(before.cells.get(name)), labels_in(after.cells.get(name))) for name in columns]
        changes = [(name, earlier, later) for name, earlier, later in moved if earlier != later]
        difference.changed_rows += bool(changes)
        for name, earlier, later in changes:
            difference.columns[name].add(earlier, later, text_of(after.cells, texts[1]), examples)
    return difference


def label_columns_of(table: Table) -> list[str]:
    """The label columns of a labelled file: the block that labelling adds, without scores.

    Raises:
        TableError: the file has no labels.
    """
    columns = table.columns
    scored = [name for name in columns if any(name + end in columns for end in _SCORES)]
    if not scored or _AFTER_HEADS not in columns:
        raise TableError(f"{table.path} has no labels; give files that `fankui label` wrote")
    heads = columns[columns.index(scored[0]) : columns.index(_AFTER_HEADS)]
    return [name for name in heads if not name.endswith(_SCORES)] + [name for name in _OTHERS if name in columns]


def labels_in(value: Any) -> Labels:
    """The labels in a cell, whatever format it comes from."""
    if isinstance(value, bool):
        return (str(value).lower(),)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return tuple(sorted(map(str, value)))
    text = cell_text(value)
    return tuple(sorted(text.split("|"))) if text else ()


def _keyed(table: Table, keys: Sequence[str], texts: Sequence[str]) -> Iterator[tuple[str, Row]]:
    for row in table.rows():
        if not isinstance(row, Reject):
            # CSV has ' before what Excel would run; the other formats have not
            yield text_of(row.cells, keys) or text_of(row.cells, texts).removeprefix("'"), row


def _pairs(old: Iterator[tuple[str, Row]], new: Iterator[tuple[str, Row]]) -> Iterator[tuple[Row | None, Row | None]]:
    waiting: tuple[dict[str, deque[Row]], dict[str, deque[Row]]] = ({}, {})
    for before, after in zip_longest(old, new):
        if before and after and before[0] == after[0] and not (before[0] in waiting[0] or before[0] in waiting[1]):
            yield before[1], after[1]
            continue
        if before is not None:
            match = _taken(waiting[1], before[0])
            if match is not None:
                yield before[1], match
            else:
                waiting[0].setdefault(before[0], deque()).append(before[1])
        if after is not None:
            match = _taken(waiting[0], after[0])
            if match is not None:
                yield match, after[1]
            else:
                waiting[1].setdefault(after[0], deque()).append(after[1])
    yield from ((row, None) for rows in waiting[0].values() for row in rows)
    yield from ((None, row) for rows in waiting[1].values() for row in rows)


def _taken(waiting: dict[str, deque[Row]], key: str) -> Row | None:
    rows = waiting.get(key)
    if rows is None:
        return None
    row = rows.popleft()
    if not rows:
        del waiting[key]
    return row


def difference_text(values: Mapping[str, Any]) -> str:
    """A difference as text for people.

    Args:
        values: from `Difference.to_dict`.
    """
    rows = values["rows"]
    lines = [
        f"model {', '.join(values['old_versions']) or '?'} → {', '.join(values['new_versions']) or '?'}",
        f"{rows:,} rows in both, {values['changed_rows']:,} changed ({_share(values['changed_rows'], rows)})",
    ]
    if values["only_old"] or values["only_new"]:
        lines.append(f"only in the old file: {values['only_old']:,}, only in the new one: {values['only_new']:,}")
    same = [name for name, column in values["columns"].items() if not column["changed"]]
    lines += [f"the same everywhere: {', '.join(same)}"] if same else []
    for name, column in values["columns"].items():
        if not column["changed"]:
            continue
        lines += ["", f"{name}: {column['changed']:,} changed ({_share(column['changed'], rows)})"]
        both = {**column["gained"], **column["lost"]}
        signs = [f"{label} +{column['gained'].get(label, 0)} -{column['lost'].get(label, 0)}" for label in sorted(both)]
        lines += [f"  by label: {', '.join(signs)}"] if signs else []
        for move in column["moves"]:
            lines.append(f"  {_named(move['old'])} → {_named(move['new'])}: {move['rows']:,}")
            lines += [f"    {text}" for text in move["examples"]]
    return "\n".join(lines)


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "0%"


def _named(labels: Sequence[str]) -> str:
    return "|".join(labels) or "(none)"
