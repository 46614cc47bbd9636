"""Losses over slices of one logit vector, each suited to its head's kind.

Multi-label and binary heads: binary cross-entropy, summed over the labels (a mean would drown four topics beside one
cross-entropy). Single-label: cross-entropy. Ordinal: cross-entropy plus the squared earth mover's distance between
cumulative distributions (Hou, Yu and Samaras 2016, https://arxiv.org/abs/1611.05916), which costs a far miss more than
a near one. A head that a record lacks (NaN targets) is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from data.taxonomy import Head, Taxonomy


@dataclass(frozen=True)
class HeadLoss:
    """The loss of one head.

    Attributes:
        head: the head.
        where: its slice of the logits.
        weight: factor in the sum over heads.
        label_weights: (n_labels,) float32: weight of the positive class (multi-label, binary) or of each
            class (ordinal, single-label).
        smoothing: label smoothing.
        ordinal_weight: factor of the earth mover's distance.
    """

    head: Head
    where: slice
    weight: float
    label_weights: Tensor
    smoothing: float = 0.0
    ordinal_weight: float = 1.0

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Mean loss over the records that have the head.

        Args:
            logits: (batch, n_logits) float32, all heads.
            targets: (batch, n_logits) float32, 0 and 1 or probabilities, NaN where missing.

        Returns:
            Scalar; 0 when no record of the batch has the head.
        """
        own, wanted = logits[:, self.where].float(), targets[:, self.where]
        present = ~wanted.isnan().any(dim=1)
        if not bool(present.any()):
            return own.sum() * 0.0
        own, wanted = own[present], wanted[present]
        weights = self.label_weights.to(own.device)
        if self.head.kind in ("multi_label", "binary"):
            smooth = wanted * (1 - self.smoothing) + self.smoothing / 2
            each = functional.binary_cross_entropy_with_logits(own, smooth, pos_weight=weights, reduction="none")
            return each.sum(dim=1).mean()
        smooth = (wanted * (1 - self.smoothing) + self.smoothing / wanted.shape[1]) * weights
        loss = -(smooth * own.log_softmax(dim=1)).sum() / smooth.sum()
        if self.head.kind == "ordinal":
            distance = own.softmax(dim=1).cumsum(dim=1) - wanted.cumsum(dim=1)
            loss = loss + self.ordinal_weight * distance.square().sum(dim=1).mean()
        return loss


def label_weights(head: Head, targets: npt.NDArray[np.float32], power: float, limit: float = 8.0) -> Tensor:
    """Weights against class imbalance, by (inverse frequency) ** ``power``, at most ``limit``.

    Args:
        head: the head.
        targets: (n, n_labels) float32 of this head, rows without it left out.
        power: 0 for no weighting, 0.5 for the square root of the inverse frequency.
        limit: largest weight.

    Returns:
        (n_labels,) float32.
    """
    positive = np.maximum(targets.sum(axis=0), 1.0)
    if head.kind in ("multi_label", "binary"):
        raw = (np.maximum(len(targets) - positive, 1.0) / positive) ** power
    else:
        raw = (len(targets) / (len(head.labels) * positive)) ** power
    return torch.tensor(np.clip(raw, 1 / limit, limit), dtype=torch.float32)


def head_losses(
    taxonomy: Taxonomy,
    targets: npt.NDArray[np.float32],
    head_weights: Mapping[str, float],
    imbalance_power: float,
    smoothing: float,
) -> list[HeadLoss]:
    """One loss a head; weights from the training targets.

    Args:
        taxonomy: the heads.
        targets: (n, n_logits) float32 of the training records.
        head_weights: factor a head, 1.0 where not named.
        imbalance_power: see `label_weights`.
        smoothing: label smoothing.
    """
    losses = []
    for head in taxonomy.heads:
        where = taxonomy.slices[head.name]
        own = targets[:, where]
        own = own[~np.isnan(own).any(axis=1)]
        weights = label_weights(head, own, imbalance_power) if len(own) else torch.ones(len(head.labels))
        losses.append(HeadLoss(head, where, head_weights.get(head.name, 1.0), weights, smoothing))
    return losses
