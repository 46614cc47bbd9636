"""How far training is: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import logging
import sys
import time
from typing import Any

from tqdm import tqdm
from transformers import PrinterCallback, ProgressCallback, Trainer, TrainerCallback
from transformers.integrations import get_available_reporting_integrations

from training.errors import ConfigError

logger = logging.getLogger(__name__)

_SECONDS_BETWEEN_LINES = 30.0


def on_terminal() -> bool:
    """Whether a person watches standard error."""
    return sys.stderr.isatty()


def show_progress(trainer: Trainer) -> None:
    """Replace a trainer's own printing by a bar on a terminal and by log lines elsewhere."""
    trainer.remove_callback(PrinterCallback)
    trainer.remove_callback(ProgressCallback)
    trainer.add_callback(_Bar() if on_terminal() else _Lines())


def check_trackers(report_to: str) -> list[str]:
    """The trackers in ``tensorboard,wandb``, as transformers names them.

    Raises:
        ConfigError: one is not installed.
    """
    names = [name.strip() for name in report_to.split(",") if name.strip()] or ["none"]
    installed = get_available_reporting_integrations()
    for name in names:
        if name not in (*installed, "none", "all"):
            there = ", ".join(installed) or "none"
            raise ConfigError(f"--report-to {name}: that tracker is not installed (installed: {there}); pip install it")
    return names


def _figures(metrics: dict[str, Any]) -> str:
    own = {name.removeprefix("eval_"): value for name, value in metrics.items() if name.startswith("eval_")}
    hidden = ("runtime", "samples_per_second", "steps_per_second", "model_preparation_time")
    return ", ".join(f"{name} {value:.3f}" for name, value in own.items() if name not in hidden)


class _Bar(TrainerCallback):  # type: ignore[misc]
    """A bar over all steps, with one line an epoch; transformers' own is silenced with its other bars."""

    def __init__(self) -> None:
        self._bar: Any = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.is_world_process_zero:
            self._bar = tqdm(total=state.max_steps, initial=state.global_step, unit="step", file=sys.stderr)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self._bar is not None:
            self._bar.update(state.global_step - self._bar.n)

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: Any = None, **kwargs: Any) -> None:
        if self._bar is not None:
            self._bar.write(f"epoch {state.epoch:.0f}: {_figures(metrics or {})}", file=sys.stderr)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class _Lines(TrainerCallback):  # type: ignore[misc]
    """A line an epoch, and one every half minute between."""

    def __init__(self) -> None:
        self._begin = self._said = time.monotonic()
        self._first = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._begin = self._said = time.monotonic()
        self._first = state.global_step
        if state.is_world_process_zero:
            logger.info("training: %d steps in %d epochs", state.max_steps, state.num_train_epochs)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        now = time.monotonic()
        if not state.is_world_process_zero or now - self._said < _SECONDS_BETWEEN_LINES:
            return
        self._said = now
        left = (now - self._begin) / (state.global_step - self._first) * (state.max_steps - state.global_step)
        logger.info("step %d of %d, about %.0f s left", state.global_step, state.max_steps, left)

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: Any = None, **kwargs: Any) -> None:
        if state.is_world_process_zero:
            logger.info("epoch %.0f: %s", state.epoch, _figures(metrics or {}))
