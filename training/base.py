"""What a base says of itself before it is loaded: its size and how long a text it reads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from transformers import AutoConfig, AutoTokenizer

from training.errors import ConfigError

_OFFSET_POSITIONS: Final = (
    "camembert", "data2vec-text", "esm", "longformer", "mpnet", "roberta", "roberta-prelayernorm", "xlm-roberta",
    "xlm-roberta-xl", "xmod",
)  # fmt: skip
"""Model types that count positions from the padding id on, so that the first ones are never used."""

_NO_LIMIT: Final = 1_000_000


@dataclass(frozen=True)
class BaseFacts:
    """A base.

    Attributes:
        name: folder name or hub id.
        model_type: as transformers names it.
        hidden_size: units of a hidden state.
        max_tokens: pieces it reads at most, special ones included.
        revision: commit on the hub, where it came from there.
    """

    name: str
    model_type: str
    hidden_size: int
    max_tokens: int
    revision: str | None


def describe_base(base: str) -> BaseFacts:
    """Read a base's configuration.

    Args:
        base: a local Hugging Face folder or a hub id.

    Raises:
        ConfigError: there is no such base, or it has no tokenizer that can be written as one ``tokenizer.json``.
    """
    try:
        config: Any = AutoConfig.from_pretrained(base)
        tokenizer: Any = AutoTokenizer.from_pretrained(base)
    except (OSError, ValueError, KeyError, ImportError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ConfigError(f"cannot load the base {base!r} (a folder or a hub id): {first}") from error
    if not getattr(tokenizer, "is_fast", False):
        raise ConfigError(f"the base {base!r} has no fast tokenizer; serving needs one that becomes a tokenizer.json")
    positions = int(getattr(config, "max_position_embeddings", None) or _NO_LIMIT)
    if config.model_type in _OFFSET_POSITIONS:
        positions -= int(config.pad_token_id or 0) + 1
    if positions < 0:  # relative positions, as T5 and XLNet say it
        positions = _NO_LIMIT
    name = Path(base).resolve().name if Path(base).exists() else base
    limit = min(positions, int(min(tokenizer.model_max_length, _NO_LIMIT)))
    return BaseFacts(
        name, str(config.model_type), int(config.hidden_size), limit, getattr(config, "_commit_hash", None)
    )
