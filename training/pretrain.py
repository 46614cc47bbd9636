"""Pretraining of the encoder: masked language modelling from packed corpus to checkpoint.

One script for CPU and GPU: `prepare` segments, chooses the vocabulary and packs, `training.mlm` trains; the result is
a stock Hugging Face checkpoint.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from transformers import BertConfig, PreTrainedTokenizerFast
from transformers.utils import logging as transformers_logging

from training import vocabulary
from training.mlm import MaskedLanguageTrainer, PretrainingModel, masked_model
from training.packing import PackedCorpus, pack
from training.pretrain_config import PretrainConfig
from training.word_vectors import word_vectors

logger = logging.getLogger(__name__)


def prepare(
    config: PretrainConfig, corpus: Path, out: Path, weights: Path | None = None, processes: int = 2
) -> PreTrainedTokenizerFast:
    """Segment, choose the vocabulary and pack; what is already there is kept.

    Args:
        config: the run.
        corpus: folder with the files named in ``config.sources``.
        out: the run's folder; gets ``segmented/``, ``tokenizer/`` and ``packed/``.
        weights: where the run starts; an exported encoder brings its own tokenizer, and no other is made.
        processes: worker processes for jieba.

    Returns:
        The run's tokenizer.
    """
    (out / "segmented").mkdir(parents=True, exist_ok=True)
    targets = [out / "segmented" / (s.file.removesuffix(".xz").removesuffix(".txt") + ".seg") for s in config.sources]
    for source, target in zip(config.sources, targets, strict=True):
        if not target.exists():
            logger.info("segmenting %s", source.file)
            vocabulary.segment_file(corpus / source.file, target, processes)
    if not (out / "tokenizer" / "tokenizer.json").exists():
        _first_tokenizer(config, targets, weights).save_pretrained(out / "tokenizer")
    tokenizer: PreTrainedTokenizerFast = PreTrainedTokenizerFast.from_pretrained(out / "tokenizer")
    if not (out / "packed" / "offsets.npy").exists():
        pack(tokenizer.backend_tokenizer, targets, out / "packed", config.long_share)
    return tokenizer


def _first_tokenizer(
    config: PretrainConfig, segmented: Sequence[Path], weights: Path | None
) -> PreTrainedTokenizerFast:
    if weights and (weights / "tokenizer.json").exists():
        return PreTrainedTokenizerFast.from_pretrained(weights)
    counts = vocabulary.count_words(zip(segmented, (s.weight for s in config.sources), strict=True))
    pieces = vocabulary.choose_pieces(counts, config.vocabulary)
    logger.info("vocabulary: %d pieces", len(pieces))
    return vocabulary.build_tokenizer(pieces, config.encoder.max_positions)


def new_model(config: PretrainConfig, tokenizer: PreTrainedTokenizerFast, corpus: PackedCorpus) -> PretrainingModel:
    """A BERT with tied embeddings, started from word vectors where the configuration says so."""
    torch.manual_seed(config.seed)
    shape = config.encoder
    model = PretrainingModel(
        BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=shape.hidden,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            intermediate_size=shape.intermediate,
            max_position_embeddings=shape.max_positions,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            pad_token_id=0,
            attn_implementation="eager",
        )
    )
    if shape.start == "word_vectors":
        vectors = word_vectors(corpus, len(tokenizer), shape.hidden, seed=config.seed)
        scaled = torch.from_numpy(vectors / max(float(vectors.std()), 1e-6) * 0.04)
        with torch.no_grad():
            embedding = model.mlm.get_input_embeddings().weight
            embedding.copy_(torch.where(scaled.abs().sum(1, keepdim=True) > 0, scaled, embedding))
    return model


def export_encoder(model: PretrainingModel, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write a stock Hugging Face checkpoint in float16, with dropout switched on for fine-tuning."""
    config = model.mlm.config
    config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0.1
    copy = masked_model(config)
    copy.load_state_dict(model.mlm.state_dict())
    copy.half().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    tokens = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    compact = json.dumps(tokens, ensure_ascii=False, separators=(",", ":"))
    (folder / "tokenizer.json").write_text(compact, "utf-8")


def pretrain(
    config: PretrainConfig,
    corpus: Path,
    out: Path,
    weights: Path | None = None,
    device: str = "cpu",
    compile_step: bool = True,
) -> Path:
    """Run a configuration from corpus to encoder; a run that was stopped goes on from its last checkpoint.

    Args:
        config: the run.
        corpus: folder with the source files.
        out: the run's folder.
        weights: a checkpoint or an exported encoder to take weights from, with fresh optimiser and warm-up.
        device: ``cpu`` or ``cuda``.
        compile_step: compile the step with TorchInductor; needs a C++ compiler on CPUs.

    Returns:
        The folder of the encoder, ``out/encoder``.
    """
    transformers_logging.set_verbosity_error()
    tokenizer = prepare(config, corpus, out, weights)
    packed = PackedCorpus.open(out / "packed")
    logger.info("packed corpus: %d passages, %.1f M pieces", len(packed.sources), len(packed.ids) / 1e6)
    resuming = (out / "checkpoint" / "progress.json").exists()
    start = config if not (resuming or weights) else dataclasses.replace(
        config, encoder=dataclasses.replace(config.encoder, start="random")
    )  # fmt: skip
    trainer = MaskedLanguageTrainer(config, new_model(start, tokenizer, packed), out, device, compile_step)
    if resuming:
        trainer.restore(out / "checkpoint")
        logger.info("going on at step %d", trainer.progress.step)
    elif weights:
        trainer.load_weights(weights)
    begin = time.monotonic()
    trainer.train(packed, len(tokenizer))
    logger.info("trained %.1f minutes; loss %.3f", (time.monotonic() - begin) / 60, trainer.progress.loss)
    export_encoder(trainer.master, tokenizer, out / "encoder")
    unknown = float(np.mean((np.asarray(packed.ids) & 0x7FFF) == 1))
    record = {
        "config": dataclasses.asdict(config),
        "progress": dataclasses.asdict(trainer.progress),
        "unknown_share": unknown,
    }
    (out / "encoder" / "pretraining.json").write_text(json.dumps(record, ensure_ascii=False, indent=1), "utf-8")
    return out / "encoder"
