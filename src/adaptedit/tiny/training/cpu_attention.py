"""Qwen-Image's joint attention for training on a CPU, where it is twice as fast as torch's fused one.

It uses plain matrix products, because the backward pass of torch's fused attention is slow in bfloat16 on a
CPU. Its RoPE uses real numbers, because torch's compiler cannot fuse complex ones. The result is the same
but for rounding. It is used only to train `tiny`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from adaptedit.tiny.attention import JointAttention
from adaptedit.tiny.dit import QwenImageTransformer2DModel


def use_cpu_attention(transformer: QwenImageTransformer2DModel) -> None:
    """Replace the blocks' attention and the format of the RoPE tables, in place."""
    transformer.pos_embed = _RealRope(transformer.pos_embed)
    for module in transformer.modules():
        if isinstance(module, JointAttention):
            module.rotate, module.attend = _rotate, _attend


class _RealRope(nn.Module):
    """RoPE whose complex tables (S, D/2) become pairs of cosines and sines (S, 1, D/2)."""

    def __init__(self, rope: nn.Module) -> None:
        super().__init__()
        self.rope = rope

    def forward(self, *args: Any, **kwargs: Any) -> tuple[tuple[Tensor, Tensor], ...]:
        tables = self.rope(*args, **kwargs)
        return tuple((table.real[:, None].contiguous(), table.imag[:, None].contiguous()) for table in tables)


def _rotate(x: Tensor, table: tuple[Tensor, Tensor]) -> Tensor:
    """Apply RoPE to x (B, S, heads, D)."""
    cos, sin = table
    a, b = torch.unflatten(x, -1, (-1, 2)).unbind(-1)
    return torch.stack([a * cos - b * sin, a * sin + b * cos], -1).flatten(-2)


def _attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    query, key, value = (x.to(value.dtype).transpose(1, 2) for x in (query, key, value))
    scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
    if mask is not None:
        scores = scores.masked_fill(~mask[:, None, None], float("-inf"))
    attended: Tensor = scores.softmax(-1).to(value.dtype) @ value
    return attended.transpose(1, 2)
