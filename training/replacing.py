"""Replaced token detection: a frozen model fills the masked places, the encoder says which pieces are not the original.

After ELECTRA (Clark et al. 2020, https://arxiv.org/abs/2003.10555) in its two-stage form: the generator is a masked
language model that has been trained, the encoder starts from its weights. Every piece teaches, not only masked ones.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers import BertForMaskedLM

from training.masking import FIRST_PIECE, IGNORE

NOT_ASKED = -1.0
"""Marks special tokens and padding among the answers."""


class Generator(nn.Module):
    """Fills masked places with pieces drawn from a masked language model's own distribution; never trained here."""

    def __init__(self, mlm: BertForMaskedLM) -> None:
        super().__init__()
        self.mlm = mlm.eval().requires_grad_(False)

    def forward(self, ids: Tensor, attention: Tensor, positions: Tensor, chance: Tensor) -> Tensor:
        """Draw a piece for every place.

        Args:
            ids: (rows, length) int64, masked.
            attention: (rows, length) bool.
            positions: (n_targets,) int64, flat places to fill.
            chance: (n_targets,) float32 in [0, 1).

        Returns:
            (n_targets,) int64, drawn pieces, none of them special.
        """
        hidden = self.mlm.bert(ids, attention_mask=attention).last_hidden_state
        logits = self.mlm.cls(hidden.reshape(-1, hidden.shape[-1])[positions])[:, FIRST_PIECE:]
        below = logits.float().softmax(dim=-1).cumsum(dim=-1)
        drawn: Tensor = (below < (chance * below[:, -1])[:, None]).sum(dim=-1)
        return drawn.clamp(max=logits.shape[-1] - 1) + FIRST_PIECE


def replace(ids: Tensor, positions: Tensor, targets: Tensor, drawn: Tensor) -> tuple[Tensor, Tensor]:
    """Put drawn pieces in the masked places.

    Args:
        ids: (rows, length) int64, masked.
        positions: (n_targets,) int64, flat places.
        targets: (n_targets,) int64, what stood there; `IGNORE` where the list is filled up.
        drawn: (n_targets,) int64.

    Returns:
        The new ids, and (rows, length) float32: 1 where a piece is not the original, 0 where it is, `NOT_ASKED` on
        special tokens and padding.
    """
    real = targets != IGNORE
    flat = ids.reshape(-1).clone()
    flat[positions[real]] = drawn[real]
    answers = torch.where(flat >= FIRST_PIECE, 0.0, NOT_ASKED)
    answers[positions[real]] = (drawn[real] != targets[real]).float()
    return flat.reshape(ids.shape), answers.reshape(ids.shape)
