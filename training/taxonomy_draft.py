"""A taxonomy from labelled data: inferred where there is one column of labels, drafted as TOML where there are more."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from data.errors import LabelError
from data.taxonomy import Head, HeadKind, Label, Taxonomy
from training.errors import DataError
from training.imports.rows import FLAT_NAMES, LabelledFile
from training.imports.values import TRUE_WORDS, folded, names_in

_RESERVED: Final = frozenset(
    ("text", "id", "needs_review", "review_reason", "label_error", "model_version", "masked_text", "error")
)
_META: Final = frozenset(
    (
        "annotator", "annotation_id", "created_at", "updated_at", "lead_time", "comments", "meta", "channel", "渠道",
        "来源", "source", "date", "time", "日期", "时间", "创建时间", "url", "author", "user", "sheet", "label_desc",
        *_RESERVED,
    )
)  # fmt: skip
_SCORES: Final = re.compile(r".+_scores?$")
_LADDERS: Final = (
    ("low", "normal", "high", "critical"), ("low", "medium", "high", "urgent", "critical"), ("低", "中", "高"),
    ("低", "一般", "高", "紧急"), ("一般", "重要", "紧急"), ("很差", "差", "一般", "好", "很好"),
)  # fmt: skip
_BOOLEANS: Final = ({"true", "false"}, {"是", "否"}, {"yes", "no"}, {"0", "1"})
_MOST_LABELS: Final = 1000
_FEW_ROWS: Final = 20


@dataclass(frozen=True)
class ColumnSummary:
    """What stands in a column.

    Attributes:
        name: the column.
        counts: label to rows.
        rows: rows with a label.
        several: whether a row has more than one.
        reason: why the column can hold no labels; None where it can.
    """

    name: str
    counts: Counter[str]
    rows: int
    several: bool
    reason: str | None


def summarise(files: Sequence[LabelledFile], name: str) -> ColumnSummary:
    """Count a column's labels over files."""
    counts: Counter[str] = Counter()
    rows, several = 0, False
    for file in files:
        for row in file.rows:
            try:
                names = names_in(row.values.get(name))
            except LabelError as error:
                return ColumnSummary(name, counts, rows, several, str(error))
            counts.update(set(names or []))
            rows += bool(names)
            several = several or len(names or []) > 1
    reason = None
    if folded(name) in _META or _SCORES.match(name):
        reason = "its name says that it is no label"
    elif not counts:
        reason = "it is blank"
    elif len(counts) > _MOST_LABELS or (rows >= _FEW_ROWS and len(counts) > rows / 2):
        reason = f"{len(counts):,} different values in {rows:,} rows"
    return ColumnSummary(name, counts, rows, several, reason)


def summarise_all(files: Sequence[LabelledFile]) -> list[ColumnSummary]:
    """Every column of the files that is not text or id."""
    return [summarise(files, name) for name in dict.fromkeys(name for file in files for name in file.columns)]


def infer_taxonomy(files: Sequence[LabelledFile], label_column: str | None, known: Sequence[str]) -> Taxonomy:
    """A taxonomy of one head from the only column of labels.

    Args:
        files: all labelled files, those to judge by among them.
        label_column: the column, where it was named.
        known: heads of the wallet's taxonomy, for a hint.

    Raises:
        DataError: no column holds labels, several do, or there is but one label.
    """
    summaries = summarise_all(files)
    chosen = _only_column(files[0].path.name, summaries, label_column, known)
    labels = sorted(chosen.counts, key=_label_order)
    if len(labels) < 2:
        raise DataError(
            f"{files[0].path.name}: every row has the label {labels[0]!r}; training needs two or more labels"
        )
    unanswered = any(row.complete and not row.values.get(chosen.name) for file in files for row in file.rows)
    head = Head(
        "label" if chosen.name in _RESERVED else chosen.name,
        "multi_label" if chosen.several else "single_label",
        tuple(Label(name) for name in labels),
        empty_set=_empty_name(labels) if chosen.several and unanswered else None,
    )
    return Taxonomy(files[0].path.stem, "1", (head,))


def _empty_name(labels: Sequence[str]) -> str:
    return next(name for name in ("other", "none", "no label") if name not in labels)


def _label_order(name: str) -> tuple[float, str]:
    return (float(name), name) if re.fullmatch(r"-?\d+(\.\d+)?", name) else (float("inf"), name)


def _only_column(
    file: str, summaries: Sequence[ColumnSummary], asked: str | None, known: Sequence[str]
) -> ColumnSummary:
    names = [summary.name for summary in summaries]
    if asked is not None:
        found = next((summary for summary in summaries if summary.name == asked), None)
        if found is None or not found.counts:
            raise DataError(f"{file}: no column {asked!r} with labels; it has {', '.join(names)}")
        return found
    good = [summary for summary in summaries if summary.reason is None]
    plain = [summary for summary in good if folded(summary.name) in FLAT_NAMES]
    if len(plain) == 1 or len(good) == 1:
        return (plain or good)[0]
    if not good:
        why = "; ".join(f"{summary.name}: {summary.reason}" for summary in summaries)
        raise DataError(f"{file}: no column holds labels ({why}); --label-column NAME says which one does")
    wallet = sum(summary.name in known for summary in good) >= 2
    raise DataError(
        f"{file}: several columns could hold labels ({', '.join(summary.name for summary in good)}). "
        "--label-column NAME learns one of them; to learn several, describe them in a taxonomy: "
        f"`fankui train --data {file} --write-taxonomy my.toml` drafts one, `--taxonomy my.toml` uses it"
        + ("; --taxonomy wallet is the one that ships with fankui, whose heads these seem to be" if wallet else "")
    )


def guess_kind(summary: ColumnSummary) -> tuple[HeadKind, list[str]]:
    """What kind of head a column seems to be, and its labels in order."""
    labels = sorted(summary.counts, key=_label_order)
    if summary.several:
        return "multi_label", labels
    names = {folded(label) for label in labels}
    if any(names == pair for pair in _BOOLEANS):
        return "binary", [summary.name]
    ladder = next((steps for steps in _LADDERS if len(names) >= 3 and names <= set(steps)), None)
    if ladder is not None:
        return "ordinal", sorted(labels, key=lambda label: ladder.index(folded(label)))
    if 3 <= len(labels) <= 10 and all(re.fullmatch(r"\d{1,2}", label) for label in labels):
        return "ordinal", labels
    return "single_label", labels


def draft_toml(files: Sequence[LabelledFile]) -> str:
    """A taxonomy file to be checked by a person.

    Raises:
        DataError: no column holds labels.
    """
    summaries = summarise_all(files)
    good = [summary for summary in summaries if summary.reason is None]
    if not good:
        why = "; ".join(f"{summary.name}: {summary.reason}" for summary in summaries)
        raise DataError(f"{files[0].path.name}: no column holds labels ({why})")
    rows = sum(len(file.rows) for file in files)
    lines = [
        f"# Drafted from {', '.join(file.path.name for file in files)} ({rows:,} rows). Check every head, take",
        "# out those that are not to be learned, then train with `fankui train --taxonomy`.",
        "#",
        "# kind:  single_label  exactly one label",
        "#        ordinal       exactly one label, listed from least to most",
        "#        multi_label   zero or more labels, joined by | in a table; with `empty_set` a blank cell means none",
        "#        binary        true or false; `labels` holds the one label that means true",
        "# Also possible: `escalate` and `miss_cost` in a head, `zh`, `en` and `definition` in a label.",
        *(f"# Column {_quoted(s.name)} is left out: {s.reason}." for s in summaries if s.reason is not None),
        "",
        "schema_version = 1",
        f"name = {_quoted(files[0].path.stem)}",
        'version = "1"',
    ]
    for summary in good:
        lines += _head_lines(summary)
    return "\n".join(lines) + "\n"


def _head_lines(summary: ColumnSummary) -> list[str]:
    kind, labels = guess_kind(summary)
    name = f"{summary.name}_label" if summary.name in _RESERVED else summary.name
    lines = ["", "[[heads]]", f"name = {_quoted(name)}", f'kind = "{kind}"']
    if kind == "multi_label":
        lines.append(f"empty_set = {_quoted(_empty_name(labels))}")
    counts: Mapping[str, int] = summary.counts
    if kind == "binary":
        counts = {labels[0]: sum(n for value, n in summary.counts.items() if folded(value) in TRUE_WORDS)}
    lines.append("labels = [")
    lines += [f"  {{name = {_quoted(label)}}},  # {counts[label]:,} rows" for label in labels]
    return [*lines, "]"]


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def write_draft(files: Sequence[LabelledFile], path: Path) -> None:
    """Write a drafted taxonomy where no file is.

    Raises:
        DataError: the file exists, or no column holds labels.
    """
    if path.exists():
        raise DataError(f"{path} is there already; give another name or delete it")
    path.write_text(draft_toml(files), "utf-8")
