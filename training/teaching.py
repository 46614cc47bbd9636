"""Learning from unlabelled texts: one or several bundles say what they think of them, and a new model learns that.

Knowledge distillation (Hinton et al. 2015, https://arxiv.org/abs/1503.02531) on texts nobody labelled. The teachers'
calibrated probabilities are averaged, so several of them teach what an ensemble would say.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from data.taxonomy import Taxonomy
from data.text import normalise
from model.classifier import Classifier
from training.errors import ConfigError, DataError
from training.evaluate import probabilities_of
from training.imports import ImportOptions, read_texts

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TaughtTexts:
    """Texts without labels, and what the teachers say of them.

    Attributes:
        texts: the texts.
        probabilities: (n_texts, n_logits) float32.
        teachers: model versions.
    """

    texts: Sequence[str]
    probabilities: npt.NDArray[np.float32]
    teachers: tuple[str, ...] = ()


def unlabelled_texts(paths: Sequence[Path], options: ImportOptions, known: Sequence[str]) -> list[str]:
    """Texts of files, each once, without those that are already known by their labels.

    Args:
        paths: tables, or ``.txt`` with a text in every line.
        options: text column and codec.
        known: labelled texts, of all parts of the data.

    Raises:
        TableError: a file cannot be read.
        DataError: a file holds no texts.
    """
    seen = {normalise(text) for text in known}
    texts: list[str] = []
    for path in paths:
        file = read_texts(path, options)
        if not file.rows:
            raise DataError(f"{path} holds no text that can be used")
        before = len(texts)
        for row in file.rows:
            if (plain := normalise(row.text)) not in seen:
                seen.add(plain)
                texts.append(row.text)
        logger.info("%s: %d of %d rows are new texts; %s", path.name, len(texts) - before, file.total, file.form)
    return texts


def taught(teachers: Sequence[Path], taxonomy: Taxonomy, texts: Sequence[str]) -> TaughtTexts:
    """What the teachers say of texts.

    Raises:
        BundleError: a teacher cannot be opened.
        ConfigError: a teacher answers other heads or labels than the taxonomy has.
    """
    total = np.zeros((len(texts), len(taxonomy.logit_names)))
    versions = []
    for folder in teachers:
        teacher = Classifier.load(folder)
        if teacher.taxonomy.logit_names != taxonomy.logit_names:
            raise ConfigError(f"the teacher {folder} answers other heads or labels than {taxonomy.name}")
        logger.info("teacher %s reads %d texts", teacher.model_version, len(texts))
        total += probabilities_of(teacher, texts)
        versions.append(teacher.model_version)
    return TaughtTexts(texts, (total / len(teachers)).astype(np.float32), tuple(versions))
