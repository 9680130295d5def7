"""What each of two processes does in test_matrix.py; a module of its own, so that they import little."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from diffusers import ContextParallelConfig
from torch import Tensor, nn
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

import zoo
from adaptedit.adapter.model import AdaptEditAdapter
from adaptedit.training.processes import join, leave
from zoo import Case, H, W

Gradients = dict[str, Tensor]


class Both(nn.Module):
    """Backbone and adapter in one module, whose forward is the call that distributed wrappers see."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.backbone = case.model
        self.adapter = AdaptEditAdapter.for_backbone(case.model, "small", backbone_name="random")
        for block in self.adapter.blocks:
            nn.init.normal_(block.ffn[-1].weight, std=0.5)

    def forward(self, inputs: dict[str, Any], region: Tensor) -> Tensor:
        with self.adapter.region(region):
            return self.backbone(**inputs)[0]


def region(batch: int) -> Tensor:
    mask = torch.zeros(batch, H, W)
    for i in range(batch):
        mask[i, 1:3, 2 : 6 - i] = 1
    return mask


def loss(both: Both, case: Case) -> Tensor:
    return case.on_grid(both(case.inputs, region(case.batch))).square().mean()


def gradients(both: Both) -> Gradients:
    grads = {key: weight.grad for key, weight in both.adapter.named_parameters() if weight.grad is not None}
    return {key: grad.full_tensor() if isinstance(grad, DTensor) else grad for key, grad in grads.items()}


def fsdp(rank: int, folder: Path, names: list[str]) -> None:
    """Both processes see the whole batch, so their mean gradient is one process's gradient."""
    join(rank, 2, f"file://{folder / 'meeting'}")
    grads = {}
    for name in names:
        for first in ("adapter", "feature"):
            case = zoo.make(name)
            both = Both(case)
            case.model.requires_grad_(False)
            if first == "adapter":
                both.adapter.attach(case.model)
            for block, adapter in zip(zoo.blocks(case.model), both.adapter.blocks, strict=True):
                fully_shard(block)
                fully_shard(adapter)
            fully_shard(both)
            if first == "feature":
                both.adapter.attach(case.model)
            loss(both, case).backward()
            assert all(weight.grad is None for weight in case.model.parameters())
            grads[name, first] = gradients(both)
    if rank == 0:
        torch.save(grads, folder / "gradients.pt")
    dist.barrier()
    leave()


def context_parallel(rank: int, folder: Path, names: list[str]) -> None:
    """By diffusers' own `enable_parallelism`; the text's length is odd, so the shares are not equal."""
    join(rank, 2, f"file://{folder / 'meeting'}")
    torch.accelerator.device_count = lambda: (
        1
    )  # diffusers divides by it, and a machine without a GPU has none
    outputs = {}
    for name in names:
        case = zoo.make(name)
        both = Both(case)
        both.adapter.attach(case.model)
        case.model.enable_parallelism(config=ContextParallelConfig(ulysses_degree=2, ulysses_anything=True))
        with torch.no_grad():
            outputs[name] = both(case.inputs, region(case.batch))
    torch.save(outputs, folder / f"{rank}.pt")
    dist.barrier()
    leave()
