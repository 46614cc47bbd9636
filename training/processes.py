"""Training by several processes, as ``torchrun`` and ``accelerate launch`` start them: one of them writes."""

from __future__ import annotations

import os


def count() -> int:
    """How many processes train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_main() -> bool:
    """Whether this process is the one that writes and reports."""
    return int(os.environ.get("RANK", "0")) == 0


def meet() -> None:
    """Wait until all processes are here; sets up their group the first time."""
    if count() == 1:
        return
    import torch
    from accelerate import PartialState

    PartialState(cpu=not torch.cuda.is_available()).wait_for_everyone()


def part() -> None:
    """Leave the group; nothing is exchanged after it."""
    if count() == 1:
        return
    import torch

    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
