"""What each of two processes does in test_training.py; a module of its own, so that they import little."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from adaptedit.training.processes import join, leave
from adaptedit.training.trainer import TrainConfig, Trainer

CONFIG = TrainConfig(steps=3, batch=1, lr=1e-2, warmup=1, log_every=1, save_every=3, bf16=False)


def model() -> nn.Module:
    """A matrix for Muon and biases for AdamW."""
    torch.manual_seed(0)
    return nn.ModuleDict({"layers": nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))})


def loss_of(modules: nn.Module, step: int, rank: int) -> Tensor:
    data = torch.randn(8, 4, generator=torch.Generator().manual_seed(10 * step + rank))
    return (modules.get_submodule("layers")(data) - rank).square().mean()


def work(rank: int, folder: Path) -> None:
    join(rank, 2, f"file://{folder / 'meeting'}")
    modules = model()
    Trainer(modules, lambda step: (loss_of(modules, step, rank), {}), CONFIG, folder).run()
    leave()
