"""The condition stream: *what* to edit as semantic tokens, *where* as spatial tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, Union

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from adaptedit.adapter.config import AdapterConfig
from adaptedit.adapter.layers import (
    CrossAttention,
    feed_forward,
    fourier_features,
    grid_positions,
    initial_parameter,
)
from adaptedit.errors import AdaptEditError
from adaptedit.morphology import area_pool

if TYPE_CHECKING:
    from adaptedit.region import Region

RegionLike: TypeAlias = Union["Region", "Sequence[Region]", Tensor]

CELLS = 4  # a spatial token sees its part of the mask in CELLS x CELLS cells
_FREQUENCIES = 4
_SPATIAL_FEATURES = CELLS**2 + 2 + 4 * _FREQUENCIES


@dataclass(frozen=True)
class Condition:
    """What the block adapters see, the same for every block of one backbone call.

    semantic: (B, K, C); spatial: (B, N, S); mask: (B, N, 1) in [0, 1], the region on the token grid.
    """

    semantic: Tensor
    spatial: Tensor
    mask: Tensor

    def part(self, start: int, stop: int) -> Condition:
        """Only the tokens start..stop of the N."""
        return Condition(self.semantic, self.spatial[:, start:stop], self.mask[:, start:stop])


class ConditionEncoder(nn.Module):
    """Instruction states and region -> `Condition` (the paper names the part only; its layout is ours)."""

    def __init__(self, config: AdapterConfig) -> None:
        super().__init__()
        dim = config.cond_dim
        self.text_norm = nn.LayerNorm(config.text_dim)
        self.text_in = nn.Linear(config.text_dim, dim)
        count = config.num_semantic_tokens
        self.queries = initial_parameter(count, dim, values=lambda: 0.02 * torch.randn(count, dim))
        self.resampler = nn.ModuleList(
            ResamplerLayer(dim, config.head_dim) for _ in range(config.resampler_layers)
        )
        self.semantic_norm = nn.LayerNorm(dim)
        self.spatial_mlp = nn.Sequential(
            nn.Linear(_SPATIAL_FEATURES, config.spatial_dim),
            nn.SiLU(),
            nn.Linear(config.spatial_dim, config.spatial_dim),
        )

    def forward(
        self, encoder_hidden_states: Tensor, attention_mask: Tensor | None, mask: Tensor
    ) -> Condition:
        """(B, M, T) states; (B, M) their mask (true = real token; None = all real); region in [0, 1],
        (B, CELLS h, CELLS w)."""
        mask = mask.to(self.queries)
        return Condition(
            semantic=self.semantic(encoder_hidden_states, attention_mask),
            spatial=self.spatial(mask),
            mask=F.avg_pool2d(mask, CELLS).flatten(1).unsqueeze(-1),
        )

    def semantic(self, encoder_hidden_states: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Perceiver resampling: (B, M, T), (B, M) -> (B, K, C)."""
        text = self.text_in(self.text_norm(encoder_hidden_states.to(self.queries)))
        keep = None if attention_mask is None else attention_mask.bool()[:, None, None, :]
        tokens = self.queries.expand(len(text), -1, -1)
        for layer in self.resampler:
            tokens = layer(tokens, text, keep)
        return self.semantic_norm(tokens)  # type: ignore[no-any-return]

    def spatial(self, mask: Tensor) -> Tensor:
        """Region (B, CELLS h, CELLS w) in [0, 1] -> (B, N, S): each token's part of it, cell by cell, the
        token's distance to its boundary, and its position."""
        cells = F.pixel_unshuffle(mask.to(self.queries).unsqueeze(1), CELLS).flatten(2).transpose(1, 2)
        tokens = F.avg_pool2d(mask, CELLS)
        h, w = tokens.shape[-2:]
        boundary = signed_distance(tokens).to(self.queries).flatten(1)  # in tokens
        distance = torch.stack([boundary / max(h, w), torch.tanh(boundary / 2)], dim=-1)
        position = fourier_features(grid_positions(h, w, mask.device), _FREQUENCIES).to(self.queries)
        features = torch.cat([cells, distance, position.expand(len(cells), -1, -1)], dim=-1)
        return self.spatial_mlp(features)  # type: ignore[no-any-return]


class ResamplerLayer(nn.Module):
    """Pre-norm cross-attention of the learned queries to the text, then a feed-forward: 12 dim^2 weights."""

    def __init__(self, dim: int, head_dim: int) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(dim)
        self.attention = CrossAttention(dim, dim, head_dim)
        self.ffn_norm = nn.LayerNorm(dim)
        self.ffn = feed_forward(dim, 4)

    def forward(self, tokens: Tensor, text: Tensor, keep: Tensor | None) -> Tensor:
        tokens = tokens + self.attention(self.attention_norm(tokens), text, keep)
        return tokens + self.ffn(self.ffn_norm(tokens))  # type: ignore[no-any-return]


def signed_distance(mask_tokens: Tensor) -> Tensor:
    """Euclidean distance in tokens to the region's boundary, (B, h, w): > 0 inside, < 0 outside.

    A token of 0.5 or more is inside. Without a boundary (empty or full region): the grid's diagonal.
    """
    inside = mask_tokens >= 0.5
    return _distance_to(~inside) - _distance_to(inside)


def _distance_to(target: Tensor) -> Tensor:
    """Distance from each cell to the nearest true cell, exact, one axis after the other; (B, h, w) bool."""
    h, w = target.shape[-2:]
    squared = torch.where(target, 0.0, float(h * h + w * w))
    for axis in (-1, -2):
        i = torch.arange(target.shape[axis], device=target.device)
        step = (i[:, None] - i[None, :]).float().square()
        squared = (squared.movedim(axis, -1).unsqueeze(-2) + step).amin(-1).movedim(-1, axis)
    return squared.sqrt()


def pool_region(region: RegionLike, grid: tuple[int, int], batch: int) -> Tensor:
    """Region(s) -> float32 (batch, CELLS h, CELLS w) in [0, 1] on the CPU; grid: the tokens' (h, w).

    Each cell is the mean over its exact area, whichever way the region is given. No gradient reaches it.

    One region serves the whole batch; several are repeated in order where guidance has multiplied the batch
    ([unconditional, conditional]).
    """
    size = (CELLS * grid[0], CELLS * grid[1])
    if isinstance(region, Tensor):
        # As a Region's: the same bits, and not every accelerator has float64.
        cells = area_pool(region.detach().float().cpu().numpy(), *size)
        mask = torch.from_numpy(cells.clip(0.0, 1.0).astype(np.float32))
    else:
        regions = region if isinstance(region, Sequence) else [region]
        mask = torch.stack([one.to_tokens(*size) for one in regions])
    if batch % len(mask):
        raise AdaptEditError(f"{len(mask)} regions are active but the backbone got a batch of {batch}")
    return mask.repeat(batch // len(mask), 1, 1)


def check_region(region: RegionLike) -> None:
    """AdaptEditError unless it is a Region, a non-empty list of them, or a (B, H, W) tensor in [0, 1]."""
    expected = "expected a Region, a list of Regions, or a tensor (B, H, W) in [0, 1]"
    if isinstance(region, Tensor):
        if region.ndim != 3 or region.numel() == 0:
            raise AdaptEditError(f"region tensor of shape {tuple(region.shape)}; {expected}")
        low, high = region.min().item(), region.max().item()
        if not 0 <= low <= high <= 1:  # also false for NaN
            raise AdaptEditError(f"region tensor with values in [{low:g}, {high:g}]; {expected}")
        return
    regions = region if isinstance(region, Sequence) else [region]
    if not regions or not all(hasattr(one, "to_tokens") for one in regions):
        raise AdaptEditError(f"region is {type(region).__name__}; {expected}")
