"""Qwen-Image's attention: image and text tokens together, with the queries' and keys' positions rotated in.

Bit for bit that of diffusers; see dit.py.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Rope = tuple[Tensor, Tensor]  # one table for image tokens, one for text tokens, each (S, d / 2) complex64
_THETA = 10_000


class JointAttention(nn.Module):
    """Attention over text and image tokens together, with the text first.

    rotate: (x (B, S, heads, d), one table) -> x with its positions. attend: (query, key, value, each
    (B, S, heads, d), mask (B, S) bool or None) -> (B, S, heads, d). Training replaces both.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_q = RMSNorm(dim // heads)
        self.norm_k = RMSNorm(dim // heads)
        self.to_q = nn.Linear(dim, dim)
        self.to_k = nn.Linear(dim, dim)
        self.to_v = nn.Linear(dim, dim)
        self.add_k_proj = nn.Linear(dim, dim)
        self.add_v_proj = nn.Linear(dim, dim)
        self.add_q_proj = nn.Linear(dim, dim)
        self.to_out = nn.ModuleList([nn.Linear(dim, dim)])
        self.to_add_out = nn.Linear(dim, dim)
        self.norm_added_q = RMSNorm(dim // heads)
        self.norm_added_k = RMSNorm(dim // heads)
        self.rotate: Callable[..., Tensor] = _rotate
        self.attend: Callable[..., Tensor] = _attend

    def forward(
        self, image: Tensor, text: Tensor, text_mask: Tensor | None, rope: Rope
    ) -> tuple[Tensor, Tensor]:
        """Image (B, N, D), text (B, M, D), text_mask (B, M) bool -> both after attention."""

        def heads(x: Tensor) -> Tensor:
            return torch.unflatten(x, -1, (self.heads, -1))

        image_rope, text_rope = rope
        image_query = self.rotate(self.norm_q(heads(self.to_q(image))), image_rope)
        image_key = self.rotate(self.norm_k(heads(self.to_k(image))), image_rope)
        text_query = self.rotate(self.norm_added_q(heads(self.add_q_proj(text))), text_rope)
        text_key = self.rotate(self.norm_added_k(heads(self.add_k_proj(text))), text_rope)
        mask = None if text_mask is None else F.pad(text_mask, (0, image.shape[1]), value=True)
        joint = self.attend(
            torch.cat([text_query, image_query], 1),
            torch.cat([text_key, image_key], 1),
            torch.cat([heads(self.add_v_proj(text)), heads(self.to_v(image))], 1),
            mask,
        ).flatten(2)
        length = text.shape[1]
        image_out = self.to_out[0](joint[:, length:].contiguous())
        return image_out, self.to_add_out(joint[:, :length].contiguous())


class RMSNorm(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        x = x * torch.rsqrt(x.to(torch.float32).pow(2).mean(-1, keepdim=True) + 1e-6)
        if self.weight.dtype in (torch.float16, torch.bfloat16):
            x = x.to(self.weight.dtype)
        return x * self.weight


class RotaryEmbedding(nn.Module):
    """Positions of image tokens: picture, row and column, these from the middle. Text tokens follow them."""

    def __init__(self, axes: tuple[int, int, int]) -> None:
        super().__init__()
        self.axes = axes

    def forward(self, shapes: list[tuple[int, int, int]], text_length: int, device: torch.device) -> Rope:
        """shapes: (1, h, w) of each picture. Returns tables (N, d / 2) and (M, d / 2), complex64."""
        pictures = [
            torch.cartesian_prod(
                torch.tensor([number]), torch.arange(h // 2 - h, h // 2), torch.arange(w // 2 - w, w // 2)
            )
            for number, (_, h, w) in enumerate(shapes)
        ]
        first = max(side // 2 for _, *sides in shapes for side in sides)
        text = torch.arange(first, first + text_length)[:, None].expand(-1, 3)
        return self._table(torch.cat(pictures)).to(device), self._table(text).to(device)

    def _table(self, positions: Tensor) -> Tensor:
        angles = [
            torch.outer(position, 1.0 / torch.pow(_THETA, torch.arange(0, dim, 2).float().div(dim)))
            for position, dim in zip(positions.T, self.axes, strict=True)
        ]
        joined = torch.cat(angles, 1)
        return torch.polar(torch.ones_like(joined), joined)


def _rotate(x: Tensor, table: Tensor) -> Tensor:
    pairs = torch.view_as_complex(torch.unflatten(x.float(), -1, (-1, 2)))
    return torch.view_as_real(pairs * table[:, None]).flatten(3).type_as(x)


def _attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    query, key, value = (x.transpose(1, 2) for x in (query, key, value))
    mask = None if mask is None else mask[:, None, None]
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask).transpose(1, 2)
