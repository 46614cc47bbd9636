"""What a pretraining run is made from: one TOML file, read into frozen dataclasses."""

from __future__ import annotations

import dataclasses
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from training.errors import ConfigError


@dataclass(frozen=True)
class Source:
    """One text file of the corpus, ``.txt`` or ``.txt.xz``, one passage a line.

    Attributes:
        file: name inside the corpus folder.
        weight: how often each passage is seen in an epoch of a stage that does not say otherwise.
        in_domain: whether it is user feedback or the like; stages may ask for these alone.
        tier: ``A`` permissive licence, ``B`` published without one.
    """

    file: str
    weight: float = 1.0
    in_domain: bool = False
    tier: str = "A"


@dataclass(frozen=True)
class VocabularyConfig:
    """Size and kind of the vocabulary.

    Attributes:
        size: number of pieces, special ones included; at most 32,768.
        kind: ``words`` (jieba words and characters) or ``characters``.
        min_character_count: characters seen less often become unknown.
    """

    size: int = 16_000
    kind: Literal["words", "characters"] = "words"
    min_character_count: int = 30


@dataclass(frozen=True)
class EncoderConfig:
    """Shape of the BERT encoder and where its embeddings start."""

    layers: int = 4
    hidden: int = 256
    heads: int = 4
    intermediate: int = 1024
    max_positions: int = 512
    start: Literal["word_vectors", "random"] = "word_vectors"


@dataclass(frozen=True)
class Stage:
    """A stretch of training with its own data mix and learning-rate line.

    Attributes:
        minutes: its budget of training time, summed over restarts.
        lr_start: learning rate after warm-up; it moves linearly to ``lr_end``.
        lr_end: learning rate at the end of the stage.
        in_domain_weight: factor on the weight of in-domain sources.
        general_weight: factor on the weight of all others; 0 leaves them out.
        warmup_steps: optimiser steps from 0 to ``lr_start``.
        replaced_weight: factor of the loss that has every place say whether its piece was replaced; 0 leaves it out.
            The generator is the model as it stands when the first such stage begins.
    """

    minutes: float
    lr_start: float = 1e-3
    lr_end: float = 1e-3
    in_domain_weight: float = 1.0
    general_weight: float = 1.0
    warmup_steps: int = 300
    replaced_weight: float = 0.0


@dataclass(frozen=True)
class PretrainConfig:
    """A whole pretraining run.

    Attributes:
        name: of the run.
        sources: files of the corpus.
        stages: in order.
        vocabulary: size and kind.
        encoder: shape.
        optimizer: ``adamw`` or ``muon``.
        tokens_per_step: pieces a step, padding included.
        long_share: share of passages cut at 126 pieces instead of 62.
        mask_share: share of pieces masked.
        passage_weight: factor of the loss that has the pooled [CLS] name the passage's words; 0 leaves it out.
        seed: of weights, order and masks.
        checkpoint_minutes: time between checkpoints.
    """

    name: str
    sources: tuple[Source, ...]
    stages: tuple[Stage, ...]
    vocabulary: VocabularyConfig = VocabularyConfig()
    encoder: EncoderConfig = EncoderConfig()
    optimizer: Literal["adamw", "muon"] = "adamw"
    tokens_per_step: int = 8192
    long_share: float = 0.25
    mask_share: float = 0.2
    passage_weight: float = 0.0
    seed: int = 13
    checkpoint_minutes: float = 4.0


def _build(cls: type[Any], values: dict[str, Any], where: str) -> Any:
    known = {f.name for f in dataclasses.fields(cls)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise ConfigError(f"{where}: unknown setting {unknown[0]!r}; known ones are {', '.join(sorted(known))}")
    try:
        return cls(**values)
    except TypeError as error:
        raise ConfigError(f"{where}: {error}") from error


def read_config(path: Path) -> PretrainConfig:
    """Read a pretraining configuration.

    Args:
        path: a TOML file with the fields of `PretrainConfig`.

    Raises:
        ConfigError: the file is missing, is not TOML, or names an unknown setting.
    """
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"no configuration file {path}; training/configs/ holds examples") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
    sources = tuple(_build(Source, v, f"{path} [[sources]]") for v in values.pop("sources", []))
    stages = tuple(_build(Stage, v, f"{path} [[stages]]") for v in values.pop("stages", []))
    if not sources or not stages:
        raise ConfigError(f"{path}: needs at least one [[sources]] and one [[stages]]")
    config: PretrainConfig = _build(
        PretrainConfig,
        {
            **values,
            "sources": sources,
            "stages": stages,
            "vocabulary": _build(VocabularyConfig, values.pop("vocabulary", {}), f"{path} [vocabulary]"),
            "encoder": _build(EncoderConfig, values.pop("encoder", {}), f"{path} [encoder]"),
        }
        | values,
        str(path),
    )
    if not 100 <= config.vocabulary.size <= 32_768:
        raise ConfigError(f"{path}: vocabulary size {config.vocabulary.size} is not within 100 and 32,768")
    return config
