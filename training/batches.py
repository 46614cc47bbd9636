"""The order in which a stage sees the packed corpus: weighted, shuffled, in rows of like length."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from training.masking import MaskedBatch, fill_rows, mask_words, passage_words
from training.packing import LONG, WORD_START, PackedCorpus
from training.pretrain_config import PretrainConfig, Stage

ROW_LENGTHS: Final = (10, 14, 20, 28, 40, 64, 128)
"""Rows come in these lengths only, so that compiled steps have few shapes."""


def stage_weights(config: PretrainConfig, stage: Stage) -> npt.NDArray[np.float64]:
    """(n_sources,) float64: how often a passage of each source is seen in one epoch of the stage."""
    return np.array(
        [s.weight * (stage.in_domain_weight if s.in_domain else stage.general_weight) for s in config.sources]
    )


def keep_shares(corpus: PackedCorpus, vocabulary_size: int, rare: float = 1e-4) -> npt.NDArray[np.float32]:
    """(vocabulary_size,) float32: how often a piece may stand for its passage; frequent ones seldom do.

    The rule is word2vec's (Mikolov et al. 2013, https://arxiv.org/abs/1310.4546): a piece of frequency f stays with
    probability sqrt(``rare`` / f).
    """
    counts = np.bincount(np.asarray(corpus.ids) & ~WORD_START, minlength=vocabulary_size).astype(np.float64)
    keep: npt.NDArray[np.float32] = np.sqrt(rare / np.maximum(counts / counts.sum(), rare)).astype(np.float32)
    return keep


def epoch_order(
    corpus: PackedCorpus, weights: npt.NDArray[np.float64], generator: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Passage numbers of one epoch, shuffled; a weight of 2.5 means twice surely and a third time by chance."""
    expected = weights[np.asarray(corpus.sources)]
    times = np.floor(expected).astype(np.int64) + (generator.random(len(expected)) < expected % 1)
    order = np.repeat(np.arange(len(expected)), times)
    generator.shuffle(order)
    return order


def batches(
    corpus: PackedCorpus, config: PretrainConfig, stage: Stage, epoch: int, keep: npt.NDArray[np.float32]
) -> Iterator[MaskedBatch]:
    """All batches of one epoch of a stage, a function of the seed and the epoch's number alone.

    Passages wait in one queue a row length; a queue that holds ``tokens_per_step / length`` passages becomes a
    batch. What is left in the queues at the end of the epoch is dropped. ``keep`` is what `keep_shares` gives.
    """
    generator = np.random.default_rng((config.seed, epoch))
    order = epoch_order(corpus, stage_weights(config, stage), generator)
    lengths = np.minimum(corpus.lengths, LONG)
    row_of = np.searchsorted(np.array(ROW_LENGTHS) - 2, lengths)
    queues: list[list[npt.NDArray[np.uint16]]] = [[] for _ in ROW_LENGTHS]
    for passage in order:
        bucket = int(row_of[passage])
        begin = corpus.offsets[passage]
        queues[bucket].append(corpus.ids[begin : begin + lengths[passage]])
        if len(queues[bucket]) * ROW_LENGTHS[bucket] >= config.tokens_per_step:
            rows = fill_rows(queues[bucket], ROW_LENGTHS[bucket])
            queues[bucket] = []
            words = passage_words(rows, keep, generator)
            yield mask_words(rows, words, config.mask_share, len(keep), generator)
