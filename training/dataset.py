"""From labelled records to what the Trainer reads: piece ids and one target vector a record.

The target vector has one place a logit. A head the record lacks is NaN there and does not count in the loss.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from datasets import Dataset
from transformers import PreTrainedTokenizerBase

from data.errors import LabelError, TextError
from data.feedback import checked_text, labels_of
from data.taxonomy import Head, LabelValue, Taxonomy
from data.text import normalise
from training.errors import DataError

Record = Mapping[str, Any]


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """Read labelled records, one JSON object a line.

    Raises:
        DataError: the file is missing, or a line is not a JSON object with a ``text``.
    """
    if not path.is_file():
        raise DataError(f"no such file: {path}")
    records = []
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except json.JSONDecodeError as error:
                raise DataError(f"{path}:{number}: not JSON: {error}") from error
            if not isinstance(record, dict) or not isinstance(record.get("text"), str):
                raise DataError(f"{path}:{number}: needs a JSON object with a string 'text'")
            records.append(record)
    return records


def check_records(records: Sequence[Record], taxonomy: Taxonomy) -> None:
    """Hold every record's text and labels against the limits and the taxonomy.

    Raises:
        DataError: names the first record that fails, and why.
    """
    if not records:
        raise DataError("no records to train on or to judge by")
    for number, record in enumerate(records, 1):
        try:
            checked_text(record["text"])
            labels_of(record, taxonomy)
        except (TextError, LabelError) as error:
            raise DataError(f"record {number} ({str(record.get('id', ''))!r}): {error}") from error


def head_target(head: Head, value: LabelValue | None) -> npt.NDArray[np.float32]:
    """One head's part of the target vector: (n_labels,) float32, NaN where the record lacks the head."""
    if value is None:
        return np.full(len(head.labels), math.nan, dtype=np.float32)
    target = np.zeros(len(head.labels), dtype=np.float32)
    if isinstance(value, bool):
        target[0] = float(value)
    elif isinstance(value, str):
        target[head.index(value)] = 1.0
    else:
        target[[head.index(name) for name in value]] = 1.0
    return target


def targets(records: Iterable[Record], taxonomy: Taxonomy) -> npt.NDArray[np.float32]:
    """Target vectors: (n_records, n_logits) float32 with NaN where a head is missing."""
    rows = []
    for record in records:
        labels = labels_of(record, taxonomy)
        rows.append(np.concatenate([head_target(head, labels[head.name]) for head in taxonomy.heads]))
    return np.stack(rows)


def to_dataset(
    records: Sequence[Record], taxonomy: Taxonomy, tokenizer: PreTrainedTokenizerBase, max_tokens: int
) -> Dataset:
    """Encode records for the Trainer; see `encoded`."""
    texts = [normalise(str(record["text"])) for record in records]
    return encoded(texts, targets(records, taxonomy), tokenizer, max_tokens)


def encoded(
    texts: Sequence[str], matrix: npt.NDArray[np.float32], tokenizer: PreTrainedTokenizerBase, max_tokens: int
) -> Dataset:
    """Encode texts for the Trainer.

    Texts above ``max_tokens`` keep their beginning and their end, where complaints say what they want.

    Args:
        texts: normalised texts.
        matrix: (n_texts, n_logits) float32 targets.
        tokenizer: the base's.
        max_tokens: pieces a text, special ones included.

    Returns:
        Columns ``input_ids``, ``attention_mask``, ``labels`` and, where the base knows it, ``token_type_ids``.
    """
    dataset = Dataset.from_dict({"text": list(texts), "labels": list(matrix)})

    def encode(batch: dict[str, list[Any]]) -> dict[str, Any]:
        rows = tokenizer(batch["text"], truncation=False, add_special_tokens=True)
        return {name: [fit_window(row, max_tokens) for row in column] for name, column in rows.items()}

    return dataset.map(encode, batched=True, remove_columns=["text"], load_from_cache_file=False)


def fit_window(row: list[int], max_tokens: int) -> list[int]:
    """A text's pieces cut to the window: all of them, or the beginning and the end."""
    if len(row) <= max_tokens:
        return row
    tail = max_tokens // 2
    return row[: max_tokens - tail] + row[-tail:]
