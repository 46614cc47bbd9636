"""The taxonomy: which heads a text is judged by and which labels they have.

A taxonomy is data, read from TOML or from a bundle; the logit layout, the API schema, the output columns and
the documentation are generated from it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import tomllib
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Literal, cast, get_args

from data.errors import TaxonomyError

HeadKind = Literal["multi_label", "ordinal", "single_label", "binary"]
LabelValue = list[str] | str | bool
"""What a head says of a text: a list for multi-label heads, a name for ordinal and single-label ones, a truth value."""

_KINDS: Final = get_args(HeadKind)


@dataclass(frozen=True)
class Label:
    """One label of a head.

    Attributes:
        name: as it stands in data and output.
        zh: Chinese title.
        en: English title.
        definition: one sentence.
        parent: the label of the parent head that this one belongs under.
    """

    name: str
    zh: str = ""
    en: str = ""
    definition: str = ""
    parent: str | None = None


@dataclass(frozen=True)
class Head:
    """One question asked of every text.

    Attributes:
        name: as it stands in data and output.
        kind: how many labels a text has: any number, exactly one (ordered or not), or true/false.
        labels: in logit order; for ``ordinal`` from least to most; a ``binary`` head has one.
        empty_set: what having no label is called (``multi_label`` only).
        parent: the head whose labels are the parents of this one's.
        escalate: labels that someone must see soon (``ordinal`` and ``single_label``).
        miss_cost: what missing a label costs against a false alarm's 1.
    """

    name: str
    kind: HeadKind
    labels: tuple[Label, ...]
    zh: str = ""
    en: str = ""
    empty_set: str | None = None
    parent: str | None = None
    escalate: tuple[str, ...] = ()
    miss_cost: float = 1.0

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Label names in logit order."""
        return tuple(label.name for label in self.labels)

    def index(self, name: str) -> int:
        """Position of a label among the head's logits.

        Raises:
            TaxonomyError: the head has no such label.
        """
        try:
            return self.names.index(name)
        except ValueError:
            raise TaxonomyError(f"{self.name} has no label {name!r}; it has {', '.join(self.names)}") from None


@dataclass(frozen=True)
class Taxonomy:
    """All heads, in output order."""

    name: str
    version: str
    heads: tuple[Head, ...]

    @cached_property
    def slices(self) -> dict[str, slice]:
        """Where each head's logits lie in the model's output vector."""
        result: dict[str, slice] = {}
        begin = 0
        for head in self.heads:
            result[head.name] = slice(begin, begin + len(head.labels))
            begin += len(head.labels)
        return result

    @cached_property
    def logit_names(self) -> tuple[str, ...]:
        """``head/label`` of every logit, in order."""
        return tuple(f"{head.name}/{name}" for head in self.heads for name in head.names)

    def head(self, name: str) -> Head:
        """The head of that name.

        Raises:
            TaxonomyError: there is no such head.
        """
        for head in self.heads:
            if head.name == name:
                return head
        raise TaxonomyError(f"no head {name!r}; the heads are {', '.join(h.name for h in self.heads)}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as in the TOML file; `from_dict` reads them back."""
        plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self)))
        return {"schema_version": 1, **plain}

    @cached_property
    def sha256(self) -> str:
        """Hash of everything in the taxonomy, for provenance."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True, ensure_ascii=False).encode()).hexdigest()

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Taxonomy:
        """Build and check a taxonomy.

        Args:
            values: the parsed TOML or the ``taxonomy`` entry of a bundle.

        Raises:
            TaxonomyError: an entry is missing, unknown or contradicts another.
        """
        if values.get("schema_version") != 1:
            raise TaxonomyError(
                f"taxonomy schema_version {values.get('schema_version')!r} is not supported; this version reads 1"
            )
        try:
            heads = tuple(_head(entry) for entry in values["heads"])
            taxonomy = cls(str(values["name"]), str(values["version"]), heads)
        except (KeyError, TypeError) as error:
            raise TaxonomyError(f"the taxonomy is malformed: {error}") from error
        _check(taxonomy)
        return taxonomy

    @classmethod
    def from_toml(cls, path: Path) -> Taxonomy:
        """Read a taxonomy file.

        Raises:
            TaxonomyError: the file is missing, is not TOML or is not a taxonomy.
        """
        try:
            return cls.from_dict(tomllib.loads(path.read_text("utf-8")))
        except FileNotFoundError as error:
            raise TaxonomyError(f"no taxonomy file {path}") from error
        except tomllib.TOMLDecodeError as error:
            raise TaxonomyError(f"{path} is not TOML: {error}") from error

    @classmethod
    def default(cls) -> Taxonomy:
        """The wallet taxonomy that ships with the project."""
        return cls.from_dict(tomllib.loads(files("data").joinpath("taxonomy.toml").read_text("utf-8")))


def _head(entry: dict[str, Any]) -> Head:
    values = dict(entry)
    labels = tuple(Label(**label) for label in values.pop("labels"))
    return Head(**{**values, "labels": labels, "escalate": tuple(values.get("escalate", ()))})


def _check(taxonomy: Taxonomy) -> None:
    names = [head.name for head in taxonomy.heads]
    if not names:
        raise TaxonomyError("the taxonomy has no heads")
    if len(set(names)) != len(names):
        raise TaxonomyError(f"two heads share a name: {', '.join(names)}")
    for head in taxonomy.heads:
        if head.kind not in _KINDS:
            raise TaxonomyError(f"head {head.name!r} has kind {head.kind!r}; known kinds are {', '.join(_KINDS)}")
        if len(set(head.names)) != len(head.names):
            raise TaxonomyError(f"two labels of head {head.name!r} share a name")
        smallest = {"multi_label": 1, "binary": 1}.get(head.kind, 2)
        if len(head.labels) < smallest or (head.kind == "binary" and len(head.labels) != 1):
            raise TaxonomyError(f"head {head.name!r} of kind {head.kind} cannot have {len(head.labels)} labels")
        for name in head.escalate:
            head.index(name)
        if head.parent is not None:
            parent = taxonomy.head(head.parent)
            for label in head.labels:
                parent.index(cast(str, label.parent))
