"""A tiny random model of the real DiT class, its inputs, and an adapter for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from diffusers import QwenImageTransformer2DModel
from torch import Tensor

from adaptedit.adapter.model import AdaptEditAdapter

H = W = 6
N = H * W
BATCH, TEXT, TEXT_DIM, DIM = 2, 11, 24, 64


def make_backbone(layers: int = 3) -> Any:
    torch.manual_seed(0)
    model = QwenImageTransformer2DModel(
        patch_size=2,
        in_channels=16,
        out_channels=4,
        num_layers=layers,
        attention_head_dim=32,
        num_attention_heads=2,
        joint_attention_dim=TEXT_DIM,
        axes_dims_rope=(8, 12, 12),
    )
    return model.eval()


def make_inputs(batch: int = BATCH, dtype: torch.dtype = torch.float32) -> dict[str, Any]:
    """[target, source] tokens; the last two text tokens of the first sample are padding."""
    generator = torch.Generator().manual_seed(1)
    text_mask = torch.ones(batch, TEXT, dtype=torch.long)
    text_mask[0, -2:] = 0
    return {
        "hidden_states": torch.randn(batch, 2 * N, 16, generator=generator).to(dtype),
        "encoder_hidden_states": torch.randn(batch, TEXT, TEXT_DIM, generator=generator).to(dtype),
        "encoder_hidden_states_mask": text_mask,
        "timestep": torch.full((batch,), 0.7),
        "img_shapes": [[(1, H, W), (1, H, W)]] * batch,
        "return_dict": False,
    }


def make_adapter(backbone: Any, *, awake: bool = False) -> AdaptEditAdapter:
    torch.manual_seed(2)
    adapter = AdaptEditAdapter.for_backbone(backbone, "base", backbone_name="random")
    if awake:
        wake(adapter)
    return adapter


def wake(adapter: AdaptEditAdapter) -> None:
    """As if trained: the zero layers get values."""
    for block in adapter.blocks:
        torch.nn.init.normal_(block.ffn[-1].weight, std=0.05)


def boxes(batch: int = BATCH) -> Tensor:
    """A different box for each sample, at four times the token grid's resolution."""
    mask = torch.zeros(batch, 4 * H, 4 * W)
    for i in range(batch):
        mask[i, 4 + 2 * i : 14, 2 : 10 + 3 * i] = 1
    return mask


@pytest.fixture
def backbone() -> Any:
    return make_backbone()


@pytest.fixture
def attached(backbone: Any) -> Iterator[AdaptEditAdapter]:
    adapter = make_adapter(backbone, awake=True).attach(backbone)
    yield adapter
    adapter.detach()


@torch.no_grad()
def run(backbone: Any, inputs: dict[str, Any] | None = None) -> Tensor:
    return backbone(**(inputs or make_inputs()))[0]
