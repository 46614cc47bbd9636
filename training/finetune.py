"""Fine-tuning of any `AutoModelForSequenceClassification` on all heads at once, with transformers' Trainer."""

from __future__ import annotations

import dataclasses
import logging
import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    EarlyStoppingCallback,
    EvalPrediction,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Trainer,
    TrainingArguments,
    set_seed,
)

from data.taxonomy import Taxonomy
from data.text import normalise
from training import metrics
from training.augment import Augmentation, augmented
from training.dataset import Record, check_records, encoded, targets, to_dataset
from training.errors import ConfigError
from training.losses import HeadLoss, head_losses
from training.processes import count as process_count
from training.progress import check_trackers, on_terminal, show_progress
from training.teaching import TaughtTexts

logger = logging.getLogger(__name__)

HEAD_WEIGHTS: Mapping[str, float] = {
    "topics": 1.0,
    "issues": 0.5,
    "urgency": 1.0,
    "handling": 0.5,
    "sentiment": 0.5,
    "churn_risk": 0.5,
}


@dataclass(frozen=True)
class FinetuneConfig:
    """How to fine-tune.

    Attributes:
        epochs: passes over the training records at most.
        keep_best: keep the epoch that is best by validation, otherwise the last; the last is the better choice
            where the validation records are so few that one of a rare class moves the figures.
        average: runs from the same new layers, each with its own seed for order and dropout, whose weights are
            averaged (model soup: Wortsman et al. 2022, https://arxiv.org/abs/2203.05482).
        batch_size: records a step and device.
        learning_rate: peak, after a linear warm-up; linear decay to 0.
        warmup_share: share of all steps spent warming up.
        weight_decay: AdamW's.
        dropout: in hidden layers, attention and classifier; None keeps the base's.
        max_tokens: pieces a text, special ones included; no more than the base reads (`training.base`).
        imbalance_power: 0 ignores class imbalance, 1 weights by inverse frequency.
        smoothing: label smoothing.
        head_weights: factor a head in the summed loss; 1.0 for heads not named.
        seed: of shuffling, dropout and new weights.
        report_to: trackers, as transformers names them.
        bf16: bfloat16 autocast; faster on GPUs and on CPUs with AMX, slower on others.
        new_layer_rate: factor on the learning rate of layers that the base does not have.
        patience: epochs without a better validation after which training stops; 0 never stops early.
        join_share: copies made of two texts joined into one, as a share of the texts; see `training.augment`.
        affix_share: copies with a phrase that says nothing before or after, likewise.
        noise_share: copies with typos or without punctuation, likewise.
    """

    epochs: int = 8
    keep_best: bool = True
    average: int = 1
    batch_size: int = 32
    learning_rate: float = 3e-4
    warmup_share: float = 0.1
    weight_decay: float = 0.01
    dropout: float | None = None
    max_tokens: int = 128
    imbalance_power: float = 0.5
    smoothing: float = 0.0
    head_weights: Mapping[str, float] = field(default_factory=lambda: dict(HEAD_WEIGHTS))
    seed: int = 0
    report_to: str = "none"
    bf16: bool = False
    new_layer_rate: float = 1.0
    patience: int = 0
    join_share: float = 0.0
    affix_share: float = 0.0
    noise_share: float = 0.0

    @property
    def augmentation(self) -> Augmentation:
        """The shares of augmentation."""
        return Augmentation(self.join_share, self.affix_share, self.noise_share)


@dataclass(frozen=True)
class Finetuned:
    """What fine-tuning gives back.

    Attributes:
        model: with the best epoch's weights, in evaluation mode, on the CPU.
        tokenizer: the base's.
        history: metrics of every epoch.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    history: list[dict[str, float]]


def load_base(
    base: str, taxonomy: Taxonomy, dropout: float | None = None
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase, frozenset[str]]:
    """Load a checkpoint with a fresh classifier that has one logit a label of the taxonomy.

    Args:
        base: a local Hugging Face folder or a hub id.
        taxonomy: the heads; ``id2label`` becomes ``head/label``.
        dropout: see `FinetuneConfig`.

    Returns:
        Model, tokenizer and the names of the parameters that the checkpoint does not have.

    Raises:
        ConfigError: the checkpoint cannot be loaded.
    """
    options: dict[str, Any] = (
        {} if dropout is None else {"hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout}
    )
    try:
        tokenizer = AutoTokenizer.from_pretrained(base)
        model, loading = AutoModelForSequenceClassification.from_pretrained(
            base,
            num_labels=len(taxonomy.logit_names),
            id2label=dict(enumerate(taxonomy.logit_names)),
            label2id={name: number for number, name in enumerate(taxonomy.logit_names)},
            problem_type="multi_label_classification",
            ignore_mismatched_sizes=True,
            dtype=torch.float32,
            output_loading_info=True,
            **options,
        )
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot load the base {base!r} (a folder or a hub id): {error}") from error
    return model, tokenizer, frozenset(loading["missing_keys"])


def _optimizer(model: PreTrainedModel, new: frozenset[str], config: FinetuneConfig) -> torch.optim.Optimizer:
    """AdamW; vectors are not decayed, new layers have a rate of their own."""
    groups = []
    for fresh in (False, True):
        named = [p for n, p in model.named_parameters() if (n in new) == fresh and p.requires_grad]
        rate = config.learning_rate * (config.new_layer_rate if fresh else 1.0)
        groups.append({"params": [p for p in named if p.ndim >= 2], "lr": rate, "weight_decay": config.weight_decay})
        groups.append({"params": [p for p in named if p.ndim < 2], "lr": rate, "weight_decay": 0.0})
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=config.learning_rate, fused=True)


class _HeadTrainer(Trainer):  # type: ignore[misc]
    """The Trainer with the summed loss of all heads."""

    def __init__(self, losses: Sequence[HeadLoss], **options: Any) -> None:
        super().__init__(**options)
        self._losses = losses
        self.model_accepts_loss_kwargs = False

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        inputs = dict(inputs)
        wanted: Tensor = inputs.pop("labels")
        outputs = model(**inputs)
        loss = torch.stack([h.weight * h(outputs.logits, wanted) for h in self._losses]).sum()
        return (loss, outputs) if return_outputs else loss


def decide_plain(taxonomy: Taxonomy, logits: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """Decisions without calibration: above 0 for multi-label and binary heads, the largest for the others.

    Returns:
        (n, n_logits) 0/1.
    """
    decided = (logits > 0).astype(np.int64)
    for head in taxonomy.heads:
        if head.kind in ("ordinal", "single_label"):
            own = logits[:, taxonomy.slices[head.name]]
            decided[:, taxonomy.slices[head.name]] = np.eye(len(head.labels), dtype=np.int64)[own.argmax(axis=1)]
    return decided


def score_heads(taxonomy: Taxonomy, decided: npt.NDArray[Any], wanted: npt.NDArray[np.float32]) -> dict[str, float]:
    """The primary metric of every head that has labels, over the records that carry it."""
    scores = {}
    for head in taxonomy.heads:
        where = taxonomy.slices[head.name]
        present = ~np.isnan(wanted[:, where]).any(axis=1)
        if present.any():
            scores[head.name] = metrics.primary(head, wanted[present, where], decided[present, where])
    return scores


def overall(scores: Mapping[str, float], head_weights: Mapping[str, float]) -> float:
    """Mean of the heads' primary metrics, weighted as in the loss."""
    weights = [head_weights.get(name, 1.0) for name in scores]
    return float(np.average(list(scores.values()), weights=weights))


def _metric_function(taxonomy: Taxonomy, config: FinetuneConfig) -> Callable[[EvalPrediction], dict[str, float]]:
    def compute(prediction: EvalPrediction) -> dict[str, float]:
        logits = prediction.predictions[0] if isinstance(prediction.predictions, tuple) else prediction.predictions
        scores = score_heads(taxonomy, decide_plain(taxonomy, logits), np.asarray(prediction.label_ids))
        return {**scores, "overall": overall(scores, config.head_weights)}

    return compute


def finetune(
    base: str,
    taxonomy: Taxonomy,
    train: Sequence[Record],
    validation: Sequence[Record],
    config: FinetuneConfig = FinetuneConfig(),
    work: Path | None = None,
    taught: TaughtTexts | None = None,
) -> Finetuned:
    """Fine-tune a checkpoint on all heads at once; the best or last epoch, or the average of several runs.

    Args:
        base: a local Hugging Face folder or a hub id.
        taxonomy: the heads.
        train: labelled records; a head a record lacks is masked.
        validation: labelled records the best epoch is chosen on.
        config: how.
        work: folder for checkpoints, kept; a temporary one otherwise. A run found in it is resumed.
        taught: unlabelled texts, learned from beside the records; class weights come from the records alone.

    Raises:
        ConfigError: the base cannot be loaded.
        DataError: a record does not fit the taxonomy.
    """
    check_records(train, taxonomy)
    check_records(validation, taxonomy)
    if config.average == 1:
        return _finetune_once(base, taxonomy, train, validation, config, work, taught, config.seed)
    runs = []
    for seed in range(config.seed, config.seed + config.average):
        folder = None if work is None else work / f"seed-{seed}"
        runs.append(_finetune_once(base, taxonomy, train, validation, config, folder, taught, seed))
    states = [run.model.state_dict() for run in runs]
    mean = {
        name: torch.stack([state[name].double() for state in states]).mean(dim=0).to(tensor.dtype)
        for name, tensor in states[0].items()
    }
    runs[0].model.load_state_dict(mean)
    history = [{**entry, "seed": config.seed + number} for number, run in enumerate(runs) for entry in run.history]
    return Finetuned(runs[0].model, runs[0].tokenizer, history)


def _finetune_once(
    base: str,
    taxonomy: Taxonomy,
    train: Sequence[Record],
    validation: Sequence[Record],
    config: FinetuneConfig,
    work: Path | None,
    taught: TaughtTexts | None,
    seed: int,
) -> Finetuned:
    """One run; new layers start from ``config.seed``, order, dropout and augmentation from ``seed``."""
    set_seed(config.seed)
    model, tokenizer, new_layers = load_base(base, taxonomy, config.dropout)
    wanted = targets(train, taxonomy)
    losses = head_losses(taxonomy, wanted, config.head_weights, config.imbalance_power, config.smoothing)
    texts = [normalise(str(record["text"])) for record in train]
    if taught is not None:
        texts += [normalise(text) for text in taught.texts]
        wanted = np.concatenate([wanted, taught.probabilities])
    texts, learned = augmented(texts, wanted, taxonomy, config.augmentation, seed)
    with tempfile.TemporaryDirectory() as scratch:
        folder = work or Path(scratch)
        trainer = _HeadTrainer(
            losses,
            model=model,
            args=_arguments(dataclasses.replace(config, seed=seed), folder, len(texts)),
            train_dataset=encoded(texts, learned, tokenizer, config.max_tokens),
            eval_dataset=to_dataset(validation, taxonomy, tokenizer, config.max_tokens),
            data_collator=DataCollatorWithPadding(tokenizer),
            compute_metrics=_metric_function(taxonomy, config),
            optimizers=(_optimizer(model, new_layers, config), None),
            callbacks=[EarlyStoppingCallback(config.patience)] if config.patience else None,
        )
        show_progress(trainer)
        trainer.train(resume_from_checkpoint=any(folder.glob("checkpoint-*")) or None)
    history = [e for e in trainer.state.log_history if "eval_overall" in e]
    if history and history[-1]["epoch"] < config.epochs:
        logger.info("stopped early: %d epochs without a better validation", config.patience)
    plain = trainer.accelerator.unwrap_model(
        trainer.model, keep_fp32_wrapper=False
    )  # autocast would end up in the ONNX
    return Finetuned(plain.eval().cpu(), tokenizer, history)


def _arguments(config: FinetuneConfig, folder: Path, n_train: int) -> TrainingArguments:
    steps = math.ceil(n_train / (config.batch_size * process_count())) * config.epochs
    return TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=config.epochs,
        per_device_train_batch_size=config.batch_size,
        per_device_eval_batch_size=128,
        learning_rate=config.learning_rate,
        warmup_steps=math.ceil(steps * config.warmup_share),
        weight_decay=config.weight_decay,
        eval_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=1,
        load_best_model_at_end=config.keep_best or config.patience > 0,
        metric_for_best_model="overall",
        greater_is_better=True,
        logging_steps=100,
        report_to=check_trackers(config.report_to),
        bf16=config.bf16,
        use_cpu=not torch.cuda.is_available(),
        seed=config.seed,
        data_seed=config.seed,
        train_sampling_strategy="group_by_length",
        dataloader_pin_memory=False,
        label_names=["labels"],
        disable_tqdm=not on_terminal(),
    )


def predict_logits(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    records: Sequence[Record],
    taxonomy: Taxonomy,
    max_tokens: int,
) -> npt.NDArray[np.float32]:
    """Logits of a torch model: (n_records, n_logits) float32."""
    dataset = to_dataset(records, taxonomy, tokenizer, max_tokens).remove_columns("labels")
    collate = DataCollatorWithPadding(tokenizer)
    rows = []
    with torch.inference_mode():
        for begin in range(0, len(dataset), 128):
            batch = collate([dataset[i] for i in range(begin, min(begin + 128, len(dataset)))])
            rows.append(model(**batch).logits.float().numpy())
    return np.concatenate(rows)
