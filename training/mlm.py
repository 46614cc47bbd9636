"""The masked-language-modelling loop: steps, stages and checkpoints.

Weights are kept in float32 and stepped there; forward and backward run on a bfloat16 copy through a compiled graph. On
CPUs with AMX this is several times the speed of float32.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import BertForMaskedLM

from training.batches import batches
from training.errors import CheckpointError
from training.masking import IGNORE, MaskedBatch
from training.packing import PackedCorpus
from training.pretrain_config import PretrainConfig, Stage

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


class MaskedLanguageTrainer:
    """Steps a model through the stages of a configuration and can start again where it stopped."""

    def __init__(
        self, config: PretrainConfig, model: BertForMaskedLM, out: Path, device: str, compile_step: bool
    ) -> None:
        self.config, self.out, self.device = config, out, device
        self.master = model.float().to(device).train()
        self.fast = BertForMaskedLM(model.config).to(device=device, dtype=torch.bfloat16).train()
        self.fast.tie_weights()
        self._copy_to_fast()
        self.optimizers = self._optimizers()
        self.progress = Progress()
        self._loss = torch.compile(self._forward, dynamic=False) if compile_step else self._forward

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

    def _forward(self, ids: Tensor, attention: Tensor, positions: Tensor, targets: Tensor) -> Tensor:
        hidden = self.fast.bert(ids, attention_mask=attention).last_hidden_state
        logits = self.fast.cls(hidden.reshape(-1, hidden.shape[-1])[positions])
        return nn.functional.cross_entropy(logits.float(), targets, ignore_index=IGNORE)

    def learning_rate(self, stage: Stage) -> float:
        """The rate now: linear in the share of the stage's minutes used, after a linear warm-up in steps."""
        used = min(1.0, self.progress.stage_seconds / (stage.minutes * 60))
        rate = stage.lr_start + (stage.lr_end - stage.lr_start) * used
        return rate * min(1.0, (self.progress.stage_step + 1) / max(1, stage.warmup_steps))

    def step(self, batch: MaskedBatch, stage: Stage) -> float:
        """One optimiser step; returns the batch's loss."""
        arrays = (batch.ids, batch.attention, batch.positions, batch.targets)
        loss = self._loss(*(torch.from_numpy(a).to(self.device) for a in arrays))
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
        return float(loss.detach())

    def train(self, corpus: PackedCorpus, vocabulary_size: int) -> None:
        """Run all stages that are left, saving a checkpoint every ``checkpoint_minutes`` and at the end."""
        while self.progress.stage < len(self.config.stages):
            stage = self.config.stages[self.progress.stage]
            self._train_stage(corpus, vocabulary_size, stage)
            self.progress.stage += 1
            self.progress.stage_step, self.progress.stage_seconds = 0, 0.0
            self.progress.epoch, self.progress.batch = self.progress.epoch + 1, 0
            self.save()

    def _train_stage(self, corpus: PackedCorpus, vocabulary_size: int, stage: Stage) -> None:
        progress, saved, noted = self.progress, time.monotonic(), time.monotonic()
        noted_tokens = progress.tokens
        for batch in self._stage_batches(corpus, vocabulary_size, stage):
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

    def _stage_batches(self, corpus: PackedCorpus, vocabulary_size: int, stage: Stage) -> Iterator[MaskedBatch]:
        while True:
            done = self.progress.batch
            for number, batch in enumerate(batches(corpus, self.config, stage, self.progress.epoch, vocabulary_size)):
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
        """Take the weights of a checkpoint alone; progress and optimiser start afresh."""
        path = folder / "master.safetensors"
        if not path.is_file():
            raise CheckpointError(f"no checkpoint in {folder}: {path.name} is missing")
        weights = load_file(path)
        own = dict(self.master.named_parameters())
        if {n: p.shape for n, p in own.items()} != {n: t.shape for n, t in weights.items()}:
            raise CheckpointError(f"{path} holds a model of another shape than the configuration's")
        with torch.no_grad():
            for name, parameter in own.items():
                parameter.copy_(weights[name])
        self._copy_to_fast()
