"""`tiny`'s vision-language encoder, in place of Qwen2.5-VL: a transformer over picture and text tokens."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from adaptedit.tiny.text import MAX_TOKENS, TEXT_DIM


@dataclass(frozen=True)
class EncoderConfig:
    width: int = 192
    layers: int = 4
    heads: int = 3
    grid: int = 8  # picture tokens on each side; a token covers 16x16 pixels


class VLEncoder(nn.Module):
    """Pictures and text states -> states (B, grid^2 + L, width), picture tokens first, then text tokens."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.patches = nn.Sequential(  # four strided steps: 16 pixels to a token
            nn.Conv2d(3, 24, 3, 2, 1), nn.GELU(), nn.Conv2d(24, 48, 3, 2, 1), nn.GroupNorm(8, 48), nn.GELU(),
            nn.Conv2d(48, 96, 3, 2, 1), nn.GroupNorm(8, 96), nn.GELU(), nn.Conv2d(96, width, 3, 2, 1),
        )  # fmt: skip
        self.text = nn.Linear(TEXT_DIM, width)
        self.position = nn.Parameter(torch.randn(1, config.grid**2 + MAX_TOKENS, width) * 0.02)
        layer = nn.TransformerEncoderLayer(
            width, config.heads, 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(
            layer, config.layers, nn.LayerNorm(width), enable_nested_tensor=False
        )

    def forward(self, pixels: Tensor, text: Tensor, text_mask: Tensor) -> tuple[Tensor, Tensor]:
        """pixels: (B, 3, H, W) in [0, 1]. text: (B, L, 384). text_mask: (B, L) bool, True = real token.

        Returns states (B, M, width) and their mask (B, M), M = grid^2 + L.
        """
        picture = self.patches(2 * pixels - 1).flatten(2).transpose(1, 2)
        states = torch.cat([picture, self.text(text)], 1)
        states = states + self.position[:, : states.shape[1]]
        mask = torch.cat([text_mask.new_ones(picture.shape[:2]), text_mask], 1)
        # For each query, because torch's check of a mask for keys alone imports sympy, which is slow.
        padding = ~mask[:, None].expand(-1, mask.shape[1], -1)
        padding = padding.repeat_interleave(self.config.heads, 0)
        return self.layers(states, padding, is_causal=False), mask
