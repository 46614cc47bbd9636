"""Fixtures shared by all tests: the shipped classifier, and a checkpoint small enough to train in seconds."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from model.classifier import Classifier

ROOT = Path(__file__).resolve().parent.parent

RunFankui = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def classifier() -> Classifier:
    from model.classifier import Classifier

    return Classifier.load(threads=1)


@pytest.fixture
def run_fankui() -> RunFankui:
    """Run the command line in a process of its own."""

    def run(*arguments: str, stdin: str | None = None, **options: Any) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", "OMP_NUM_THREADS": "1"}
        return subprocess.run(
            [sys.executable, "-m", "fankui", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            encoding="utf-8",
            env=environment,
            timeout=240,
            check=False,
            **options,
        )

    return run


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A two-layer BERT checkpoint with random weights and a tokenizer made from the corpus, as a hub would hold it."""
    from collections import Counter

    import torch
    from transformers import BertConfig, BertForMaskedLM

    from data.corpus import read_split
    from training.pretrain_config import VocabularyConfig
    from training.vocabulary import build_tokenizer, choose_pieces, learn_domain_words, segment

    learn_domain_words()
    counts: Counter[str] = Counter()
    for record in read_split("validation"):
        counts.update(segment(record.text))
    pieces = choose_pieces(counts, VocabularyConfig(size=1500, min_character_count=1))
    folder = tmp_path_factory.mktemp("base")
    tokenizer = build_tokenizer(pieces, 64)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        initializer_range=0.2,
        max_position_embeddings=64,
    )
    BertForMaskedLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
