"""The pretraining loop: objectives, steps, stages and checkpoints.

Objectives that share the encoder: masked language modelling; a bag of words that the pooled [CLS] alone must name
(after DupMAE, Liu et al. 2023, https://arxiv.org/abs/2211.08769), which trains the very vector that a classifier reads;
and, in stages that ask for it, replaced token detection (`training.replacing`).

Weights are kept in float32 and stepped there; forward and backward run on a bfloat16 copy through a compiled graph. On
CPUs with AMX this is several times the speed of float32.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import BertConfig, BertForMaskedLM, BertModel

from training.batches import batches, keep_shares
from training.errors import CheckpointError
from training.masking import IGNORE, MaskedBatch
from training.packing import PackedCorpus
from training.pretrain_config import PretrainConfig, Stage
from training.replacing import NOT_ASKED, Generator, replace

logger = logging.getLogger(__name__)


@dataclasses.dataclass
class Progress:
    """Where a run stands; saved beside the weights.

    Attributes:
        stage: index of the stage under way.
        epoch: epochs finished, over all stages.
        batch: batches done in the epoch under way.
        step: optimiser steps, over all stages.
        stage_step: optimiser steps in this stage.
        stage_seconds: training time in this stage.
        tokens: tokens read, padding left out.
        loss: running mean of the masked-language-modelling loss, in nats.
    """

    stage: int = 0
    epoch: int = 0
    batch: int = 0
    step: int = 0
    stage_step: int = 0
    stage_seconds: float = 0.0
    tokens: int = 0
    loss: float = 0.0


class PretrainingModel(nn.Module):
    """A masked language model whose pooled [CLS] also predicts the passage's words through the same embeddings.

    Attributes:
        mlm: the masked language model; its ``bert`` has a pooling layer.
        passage: from the pooled [CLS] to the space of the embeddings; not part of the exported encoder.
        replaced: from each place's vector to the logit that its piece is not the original; not exported either.
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.mlm = masked_model(config)
        self.passage = nn.Sequential(
            nn.Linear(config.hidden_size, config.hidden_size), nn.LayerNorm(config.hidden_size)
        )
        self.replaced = nn.Sequential(
            nn.Linear(config.hidden_size, config.hidden_size), nn.GELU(), nn.Linear(config.hidden_size, 1)
        )

    def forward(
        self,
        ids: Tensor,
        attention: Tensor,
        positions: Tensor,
        targets: Tensor,
        words: Tensor,
        passage_weight: float,
        answers: Tensor | None = None,
        replaced_weight: float = 0.0,
    ) -> tuple[Tensor, Tensor]:
        """Losses of a batch; shapes as in `training.masking.MaskedBatch`, ``answers`` as `training.replacing.replace`.

        Returns:
            The loss to step on and the masked-language-modelling part of it, scalars in nats.
        """
        hidden = self.mlm.bert(ids, attention_mask=attention).last_hidden_state
        logits = self.mlm.cls(hidden.reshape(-1, hidden.shape[-1])[positions])
        total = nn.functional.cross_entropy(logits.float(), targets, ignore_index=IGNORE, reduction="sum")
        masked = total / (targets != IGNORE).sum().clamp(min=1)
        loss = masked
        if answers is not None:
            logits = self.replaced(hidden).squeeze(-1).float()
            errors = nn.functional.binary_cross_entropy_with_logits(logits, answers.clamp(min=0), reduction="none")
            asked = answers != NOT_ASKED
            loss = loss + replaced_weight * (errors * asked).sum() / asked.sum().clamp(min=1)
        if not passage_weight:
            return loss, masked
        pooled = self.mlm.bert.pooler(hidden)
        scores = self.mlm.cls.predictions.decoder(self.passage(pooled)).float().log_softmax(dim=-1)
        there = words != IGNORE
        named = scores.gather(1, words.clamp(min=0))
        return loss - passage_weight * (named * there).sum() / there.sum().clamp(min=1), masked


def masked_model(config: BertConfig) -> BertForMaskedLM:
    """A masked language model that keeps BERT's pooling layer, so that its checkpoint hands it on to classifiers."""
    model = BertForMaskedLM(config)
    bert = BertModel(config, add_pooling_layer=True)
    bert.load_state_dict(model.bert.state_dict(), strict=False)
    model.bert = bert
    model.tie_weights()
    return model


class MaskedLanguageTrainer:
    """Steps a model through the stages of a configuration and can start again where it stopped."""

    def __init__(
        self, config: PretrainConfig, model: PretrainingModel, out: Path, device: str, compile_step: bool
    ) -> None:
        self.config, self.out, self.device = config, out, device
        self.master = model.float().to(device).train()
        self.fast = PretrainingModel(model.mlm.config).to(device=device, dtype=torch.bfloat16).train()
        self.fast.mlm.tie_weights()
        self._copy_to_fast()
        self.optimizers = self._optimizers()
        self.progress = Progress()
        self._compile = compile_step
        self._loss = torch.compile(self.fast, dynamic=False) if compile_step else self.fast
        self._generate: Callable[..., Tensor] | None = None
        self._chance = torch.Generator(device).manual_seed(config.seed)

    def _optimizers(self) -> list[torch.optim.Optimizer]:
        matrices = [p for n, p in self.master.named_parameters() if p.ndim == 2 and ".encoder.layer." in n]
        if self.config.optimizer == "adamw":
            matrices = []
        taken = {id(p) for p in matrices}
        rest = [p for p in self.master.parameters() if id(p) not in taken]
        groups = [
            {"params": [p for p in rest if p.ndim == 2], "weight_decay": 0.01},
            {"params": [p for p in rest if p.ndim != 2], "weight_decay": 0.0},
        ]
        optimizers: list[torch.optim.Optimizer] = [torch.optim.AdamW(groups, betas=(0.9, 0.98), eps=1e-6, fused=True)]
        if matrices:
            optimizers.append(torch.optim.Muon(matrices, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"))
        return optimizers

    def _copy_to_fast(self) -> None:
        with torch.no_grad():
            for fast, master in zip(self.fast.parameters(), self.master.parameters(), strict=True):
                fast.copy_(master)

    def _frozen_copy(self) -> Callable[..., Tensor]:
        """The weights as they are now, as the generator of replaced token detection.

        They are kept in the run's folder; a run that is gone on with takes those.
        """
        path = self.out / "generator.safetensors"
        mlm = masked_model(self.master.mlm.config)
        if path.is_file():
            mlm.load_state_dict(load_file(path), strict=False)
        else:
            mlm.load_state_dict(self.master.mlm.state_dict())
            save_file({n: p.detach().cpu().contiguous() for n, p in mlm.named_parameters()}, path)
        mlm.tie_weights()
        generator = Generator(mlm).to(device=self.device, dtype=torch.bfloat16)
        return torch.compile(generator, dynamic=False) if self._compile else generator

    def _replaced(self, ids: Tensor, attention: Tensor, positions: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """A masked batch with its places filled, and the answers; see `training.replacing.replace`."""
        if self._generate is None:
            self._generate = self._frozen_copy()
        chance = torch.rand(len(positions), generator=self._chance, device=self.device)
        with torch.no_grad():
            drawn = self._generate(ids, attention, positions, chance)
        return replace(ids, positions, targets, drawn)

    def learning_rate(self, stage: Stage) -> float:
        """The rate now: linear in the share of the stage's minutes used, after a linear warm-up in steps."""
        used = min(1.0, self.progress.stage_seconds / (stage.minutes * 60))
        rate = stage.lr_start + (stage.lr_end - stage.lr_start) * used
        return rate * min(1.0, (self.progress.stage_step + 1) / max(1, stage.warmup_steps))

    def step(self, batch: MaskedBatch, stage: Stage) -> float:
        """One optimiser step; returns the batch's masked-language-modelling loss."""
        arrays = (batch.ids, batch.attention, batch.positions, batch.targets, batch.words)
        ids, attention, positions, targets, words = (torch.from_numpy(a).to(self.device) for a in arrays)
        answers = None
        if stage.replaced_weight:
            ids, answers = self._replaced(ids, attention, positions, targets)
        loss, masked = self._loss(
            ids, attention, positions, targets, words, self.config.passage_weight, answers, stage.replaced_weight
        )
        torch.autograd.backward(loss)
        for fast, master in zip(self.fast.parameters(), self.master.parameters(), strict=True):
            if fast.grad is not None:
                master.grad = fast.grad.float()
                fast.grad = None
        nn.utils.clip_grad_norm_(self.master.parameters(), 1.0)
        rate = self.learning_rate(stage)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()
            optimizer.zero_grad()
        self._copy_to_fast()
        return float(masked.detach())

    def train(self, corpus: PackedCorpus, vocabulary_size: int) -> None:
        """Run all stages that are left, saving a checkpoint every ``checkpoint_minutes`` and at the end."""
        keep = keep_shares(corpus, vocabulary_size)
        while self.progress.stage < len(self.config.stages):
            stage = self.config.stages[self.progress.stage]
            self._train_stage(corpus, keep, stage)
            self.progress.stage += 1
            self.progress.stage_step, self.progress.stage_seconds = 0, 0.0
            self.progress.epoch, self.progress.batch = self.progress.epoch + 1, 0
            self.save()

    def _train_stage(self, corpus: PackedCorpus, keep: npt.NDArray[np.float32], stage: Stage) -> None:
        progress, saved, noted = self.progress, time.monotonic(), time.monotonic()
        noted_tokens = progress.tokens
        for batch in self._stage_batches(corpus, keep, stage):
            begin = time.monotonic()
            loss = self.step(batch, stage)
            now = time.monotonic()
            progress.loss = loss if progress.step == 0 else progress.loss * 0.99 + loss * 0.01
            progress.step, progress.stage_step, progress.batch = (
                progress.step + 1,
                progress.stage_step + 1,
                progress.batch + 1,
            )
            progress.tokens += int(batch.attention.sum())
            if progress.stage_step > 8:  # the first steps compile
                progress.stage_seconds += now - begin
            if progress.step % 100 == 0:
                rate = (progress.tokens - noted_tokens) / (now - noted)
                logger.info(
                    "stage %d step %d loss %.3f lr %.2e %.1f M tokens %.0f tokens/s",
                    progress.stage, progress.step, progress.loss, self.learning_rate(stage), progress.tokens / 1e6,
                    rate,
                )  # fmt: skip
                noted, noted_tokens = now, progress.tokens
            if now - saved > self.config.checkpoint_minutes * 60:
                self.save()
                saved = now
            if progress.stage_seconds >= stage.minutes * 60:
                return

    def _stage_batches(
        self, corpus: PackedCorpus, keep: npt.NDArray[np.float32], stage: Stage
    ) -> Iterator[MaskedBatch]:
        while True:
            done = self.progress.batch
            for number, batch in enumerate(batches(corpus, self.config, stage, self.progress.epoch, keep)):
                if number >= done:
                    yield batch
            self.progress.epoch, self.progress.batch = self.progress.epoch + 1, 0

    def save(self) -> None:
        """Write weights, optimiser state and progress beside the old checkpoint, then put them in its place."""
        new = self.out / "checkpoint.new"
        new.mkdir(exist_ok=True)
        weights = {n: p.detach().cpu().contiguous() for n, p in self.master.named_parameters()}
        save_file(weights, new / "master.safetensors")
        save_file(dict(self._optimizer_tensors()), new / "optimizer.safetensors")
        (new / "progress.json").write_text(json.dumps(dataclasses.asdict(self.progress)), "utf-8")
        current, old = self.out / "checkpoint", self.out / "checkpoint.old"
        if current.exists():
            current.rename(old)
        new.rename(current)
        if old.exists():
            for file in old.iterdir():
                file.unlink()
            old.rmdir()

    def _optimizer_tensors(self) -> Iterable[tuple[str, Tensor]]:
        for number, optimizer in enumerate(self.optimizers):
            for key, state in optimizer.state_dict()["state"].items():
                for name, value in state.items():
                    yield f"{number}/{key}/{name}", torch.as_tensor(value).detach().cpu().contiguous().clone()

    def restore(self, folder: Path) -> None:
        """Go on from a checkpoint, optimiser state included.

        Raises:
            CheckpointError: the folder holds no checkpoint of this shape.
        """
        self.load_weights(folder)
        tensors = load_file(folder / "optimizer.safetensors")
        for number, optimizer in enumerate(self.optimizers):
            state: dict[int, dict[str, Any]] = {}
            for key, value in tensors.items():
                owner, parameter, name = key.split("/")
                if int(owner) == number:
                    state.setdefault(int(parameter), {})[name] = value
            optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
        self.progress = Progress(**json.loads((folder / "progress.json").read_text("utf-8")))

    def load_weights(self, folder: Path) -> None:
        """Take the weights of a checkpoint or of an exported encoder; progress and optimiser start afresh.

        What an exported encoder lacks, the parts for the passage's words and for replaced pieces, keeps fresh weights.
        """
        path = next((folder / n for n in ("master.safetensors", "model.safetensors") if (folder / n).is_file()), None)
        if path is None:
            raise CheckpointError(f"no checkpoint in {folder}: neither master.safetensors nor model.safetensors")
        weights = load_file(path)
        if path.name == "model.safetensors":
            weights = {f"mlm.{name}": tensor for name, tensor in weights.items()}
        own = dict(self.master.named_parameters())
        missing = [
            n for n in own if n not in weights and not n.startswith(("passage.", "replaced.", "mlm.bert.pooler."))
        ]
        shaped = all(own[n].shape == t.shape for n, t in weights.items() if n in own)
        if missing or not shaped:
            raise CheckpointError(f"{path} holds a model of another shape than the configuration's")
        with torch.no_grad():
            for name in own.keys() & weights.keys():
                own[name].copy_(weights[name])
        self._copy_to_fast()
