"""The few layers that resampler, block adapters and mask predictor share."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class CrossAttention(nn.Module):
    """Multi-head attention of (B, N, dim) queries over a (B, M, context_dim) context -> (B, N, dim)."""

    def __init__(self, dim: int, context_dim: int, head_dim: int) -> None:
        super().__init__()
        self.head_dim = head_dim
        self.to_q = nn.Linear(dim, dim, bias=False)
        self.to_k = nn.Linear(context_dim, dim, bias=False)
        self.to_v = nn.Linear(context_dim, dim, bias=False)
        self.to_out = nn.Linear(dim, dim)

    def forward(self, x: Tensor, context: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """attention_mask: broadcastable to (B, heads, N, M), bool (True = attend) or an additive bias."""
        q, k, v = (self._split(t) for t in (self.to_q(x), self.to_k(context), self.to_v(context)))
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=attention_mask)
        return self.to_out(out.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]

    def _split(self, t: Tensor) -> Tensor:
        return t.view(*t.shape[:2], -1, self.head_dim).transpose(1, 2)  # (B, heads, N, head_dim)


def feed_forward(dim: int, ratio: int, out_dim: int | None = None) -> nn.Sequential:
    """dim -> ratio * dim -> out_dim (default dim)."""
    return nn.Sequential(nn.Linear(dim, ratio * dim), nn.GELU(), nn.Linear(ratio * dim, out_dim or dim))


def initial_parameter(*size: int, values: Callable[[], Tensor]) -> nn.Parameter:
    """A parameter with these first values; empty on the meta device, where computing them is slow at first
    (torch imports its compiler for it)."""
    empty = torch.empty(size)
    return nn.Parameter(empty if empty.is_meta else values())


def grid_positions(h: int, w: int, device: torch.device | None = None) -> Tensor:
    """Centres of an h x w grid's cells, row by row: (h * w, 2) as (y, x) in (0, 1)."""
    y = (torch.arange(h, device=device) + 0.5) / h
    x = (torch.arange(w, device=device) + 0.5) / w
    return torch.stack(torch.meshgrid(y, x, indexing="ij"), dim=-1).flatten(0, 1)


def fourier_features(positions: Tensor, num_frequencies: int) -> Tensor:
    """(N, 2) in (0, 1) -> (N, 4 * num_frequencies): sin and cos of each axis at octaves of half a period."""
    octaves = torch.pi * 2.0 ** torch.arange(num_frequencies, device=positions.device)
    angles = (positions[..., None] * octaves).flatten(-2)
    return torch.cat([angles.sin(), angles.cos()], dim=-1)
