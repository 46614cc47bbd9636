"""From what stands in a file to labels of a taxonomy."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, Final

from data.errors import LabelError
from data.tables.columns import cell_text
from data.taxonomy import Head, LabelValue, Taxonomy
from training.errors import DataError
from training.imports.rows import FLAT_NAMES, LabelledFile, RawRow

TRUE_WORDS: Final = frozenset({"true", "1", "yes", "y", "t", "是", "有", "真"})
_FALSE: Final = frozenset({"false", "0", "no", "n", "f", "否", "无", "没有", "假"})
_SHOWN: Final = 12


class UnknownLabel(LabelError):
    """A label that the taxonomy does not have."""


def folded(value: object) -> str:
    """A label as it is compared: compatibility forms and case folded, no white space around."""
    return unicodedata.normalize("NFKC", cell_text(value)).strip().casefold()


def names_in(value: Any) -> list[str] | None:
    """The label names in a value: a list's, a Label Studio choice's, or the parts between ``|``; None for nothing.

    Raises:
        LabelError: the value marks parts of a text, or is no label at all.
    """
    if isinstance(value, Mapping):
        if "choices" not in value:
            raise LabelError(f"{_shown(value)} is no label")
        value = value["choices"]
    if isinstance(value, (list, tuple)):
        if any(isinstance(one, (list, tuple, Mapping)) for one in value):
            raise LabelError(f"{_shown(value)} marks parts of the text; fankui learns labels of whole texts")
        return [cell_text(one).strip() for one in value]
    text = "true" if value is True else "false" if value is False else cell_text(value).strip()
    return [part.strip() for part in text.split("|") if part.strip()] if text else None


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:60] + "…"


class LabelReader:
    """Reads rows by a taxonomy.

    A label may stand there by its name or its Chinese or English title, in any case and width. A column belongs to
    the head of its name or title; a column named ``label`` belongs to the only head, or, where there are several, each
    of its labels to the head that has it.

    Args:
        taxonomy: the heads.
        source: what the taxonomy is called in messages.
        label_column: the only column to read, for a taxonomy of one head.
    """

    def __init__(self, taxonomy: Taxonomy, source: str, label_column: str | None = None) -> None:
        self.taxonomy, self._source, self._asked = taxonomy, source, label_column
        self._names = {head.name: _lookup(head) for head in taxonomy.heads}

    def columns(self, file: LabelledFile) -> dict[str, str]:
        """Which column holds which head: head to column; ``""`` to the column whose labels are of any head.

        Raises:
            DataError: no column belongs to a head.
        """
        if self._asked and self._asked not in file.columns:
            raise DataError(f"{file.path.name}: no column {self._asked!r}; it has {', '.join(file.columns)}")
        found: dict[str, str] = {}
        for head in self.taxonomy.heads:
            titles = {folded(title) for title in (head.name, head.zh, head.en) if title}
            column = next((name for name in file.columns if folded(name) in titles), None)
            if column is not None:
                found[head.name] = column
        flat = self._asked or next((name for name in file.columns if folded(name) in FLAT_NAMES), None)
        if flat is not None and flat not in found.values() and (self._asked or not found):
            found = {self.taxonomy.heads[0].name if len(self.taxonomy.heads) == 1 else "": flat}
        if not found:
            heads = ", ".join(head.name for head in self.taxonomy.heads)
            raise DataError(
                f"{file.path.name}: no column is named like a head of {self._source} ({heads}); its columns are "
                f"{', '.join(file.columns) or 'none'}; rename a column, or the head in the taxonomy"
            )
        return found

    def record(self, row: RawRow, columns: Mapping[str, str]) -> dict[str, Any]:
        """A training record: ``text``, ``id`` where there is one, and a value a head that the row has.

        Args:
            row: as it stands in the file.
            columns: of `columns`.

        Raises:
            LabelError: a value is not of the taxonomy; names the value and the known labels.
        """
        record: dict[str, Any] = {"text": row.text, **({"id": row.id} if row.id else {})}
        if "" in columns:
            return record | self._spread(names_in(row.values.get(columns[""])), row.complete)
        for name, column in columns.items():
            value = self.value(self.taxonomy.head(name), row.values.get(column), row.complete)
            if value is not None:
                record[name] = value
        return record

    def value(self, head: Head, value: Any, complete: bool = False) -> LabelValue | None:
        """A head's value; None where the row has none.

        Args:
            head: the head.
            value: what stands there; None and blank are nothing.
            complete: whether nothing means none of the labels.
        """
        names = names_in(value)
        if head.kind == "multi_label":
            return self._several(head, value, names, complete)
        if not names:
            return None
        if head.kind == "binary":
            return self._truth(head, names)
        if len(names) > 1:
            whole = self._find(head, cell_text(value)) if isinstance(value, str) else None
            if whole is not None:
                return whole
            raise LabelError(f"{head.name}: several labels {_shown(names)} for a head of kind {head.kind}")
        return self._one(head, names[0])

    def _several(self, head: Head, value: Any, names: list[str] | None, complete: bool) -> LabelValue | None:
        if not names:
            empty = value is not None or complete
            return [] if head.empty_set is not None and empty else None
        if head.empty_set is not None and [folded(name) for name in names] == [folded(head.empty_set)]:
            return []
        known = {self._one(head, name) for name in names}
        return [name for name in head.names if name in known]

    def _truth(self, head: Head, names: Sequence[str]) -> bool:
        said = folded(names[0])
        if len(names) > 1 or said not in TRUE_WORDS | _FALSE | set(self._names[head.name]):
            raise LabelError(f"{head.name} is true or false; {_shown(names[0])} is neither (write true or false)")
        return said not in _FALSE

    def _find(self, head: Head, name: str) -> str | None:
        return name if name in head.names else self._names[head.name].get(folded(name))

    def _one(self, head: Head, name: str) -> str:
        found = self._find(head, name)
        if found is None:
            near = difflib.get_close_matches(folded(name), self._names[head.name], n=1)
            hint = f"; did you mean {self._names[head.name][near[0]]!r}?" if near else ""
            known = ", ".join(head.names[:_SHOWN]) + (" …" if len(head.names) > _SHOWN else "")
            raise UnknownLabel(
                f"{head.name}: unknown label {name!r}{hint} {self._source} has {known}; correct the row, or add the "
                "label to the taxonomy"
            )
        return found

    def _spread(self, names: list[str] | None, complete: bool) -> dict[str, Any]:
        """Labels of one list to the heads that have them; ``head/label`` where two heads have a label."""
        if names is None and not complete:
            return {}
        given: dict[str, list[str]] = {}
        for name in names or []:
            owner, label = self._owner(name)
            given.setdefault(owner.name, []).append(label)
        record: dict[str, Any] = {}
        for head in self.taxonomy.heads:
            own: Any = given.get(head.name)
            value = bool(own) if head.kind == "binary" else self.value(head, own, complete=True)
            if value is not None:
                record[head.name] = value
        return record

    def _owner(self, name: str) -> tuple[Head, str]:
        prefix, _, rest = name.partition("/")
        if rest and prefix in self._names:
            return self.taxonomy.head(prefix), rest
        owners = [head for head in self.taxonomy.heads if self._find(head, name) is not None]
        if len(owners) == 1:
            return owners[0], name
        if owners:
            whose = " and ".join(head.name for head in owners)
            raise LabelError(f"{name!r} is a label of {whose}; write {owners[0].name}/{name}")
        raise UnknownLabel(f"unknown label {name!r}; the heads of {self._source} are {', '.join(self._names)}")


def _lookup(head: Head) -> dict[str, str]:
    """Folded names and titles to label names; titles that two labels share are left out."""
    names: dict[str, str] = {}
    for title in ("en", "zh"):
        titles = [folded(getattr(label, title)) for label in head.labels]
        names |= {t: label.name for t, label in zip(titles, head.labels, strict=True) if t and titles.count(t) == 1}
    return names | {folded(label.name): label.name for label in head.labels}
