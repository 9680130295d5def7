"""MaskPredictor: where to edit, from picture and instruction alone (paper, Eq. 8)."""

from __future__ import annotations

from math import log

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

QUERY_GRID = 16  # paper
_LAYERS = 2
_HEAD_DIM = 32
_FREQUENCIES = 8
_PRIOR_LOGIT = -2.0  # a typical region covers about an eighth of the picture


class MaskPredictor(nn.Module):
    """M = sigmoid(Upsample(ConvHead(CrossAttn(q = gamma * Q + beta; k, v = phi(features))))).

    Q is a learned 16 x 16 grid, (gamma, beta) come from the instruction by FiLM. Eq. 8 gives
    neither the number of cross-attention layers, nor their soft locality, nor the picture as the conv head's
    guide: these are our choice.
    """

    def __init__(self, config: AdapterConfig) -> None:
        super().__init__()
        dim = config.predictor_dim
        self.phi = nn.Sequential(nn.LayerNorm(config.feature_dim), nn.Linear(config.feature_dim, dim))
        self.position_in = nn.Linear(4 * _FREQUENCIES, dim, bias=False)
        self.film = nn.Linear(dim, 2 * dim)
        self.queries = initial_parameter(QUERY_GRID**2, dim, values=self._cells)
        self.layers = nn.ModuleList(QueryLayer(dim) for _ in range(_LAYERS))
        self.head = ConvHead(dim)

    @torch.no_grad()
    def _cells(self) -> Tensor:
        """Positions of the grid's cells, and a little noise: (256, dim)."""
        place = self.position_in(fourier_features(grid_positions(QUERY_GRID, QUERY_GRID), _FREQUENCIES))
        return place + 0.02 * torch.randn_like(place)  # type: ignore[no-any-return]

    def forward(
        self, features: Tensor, attention_mask: Tensor | None, num_image_tokens: int, guide: Tensor
    ) -> Tensor:
        """Logits of the edit region (B, H, W), float32.

        features: (B, F, feature_dim) states, the picture's tokens first (row by row), then the instruction's.
        attention_mask: (B, F), true = real token; None = all real.
        num_image_tokens: how many of the F belong to the picture; they fill a grid of the guide's aspect.
        guide: (B, 3, H, W) in [0, 1], the source picture.
        """
        n, num_tokens = num_image_tokens, features.shape[1]
        grid = token_grid(n, guide.shape[-2], guide.shape[-1])
        keys = self.phi(features.to(self.queries))
        real = features.new_ones(features.shape[:2]) if attention_mask is None else attention_mask
        real = real.to(keys.device, torch.bool)

        weight = real[:, n:, None].to(keys)
        instruction = (keys[:, n:] * weight).sum(1) / weight.sum(1).clamp(min=1)
        gamma, beta = self.film(instruction).unsqueeze(1).chunk(2, dim=-1)
        x = (1 + gamma) * self.queries + beta  # (B, 256, dim)

        cells = grid_positions(QUERY_GRID, QUERY_GRID, keys.device)
        places = grid_positions(*grid, keys.device)
        position = self.position_in(fourier_features(places, _FREQUENCIES).to(keys))
        keys = keys + F.pad(position, (0, 0, 0, num_tokens - n))
        # every cell is at distance 0 from the text
        distance = F.pad(torch.cdist(cells, places).square(), (0, num_tokens - n)).to(keys)
        padding = torch.zeros_like(keys[..., 0]).masked_fill(~real, float("-inf"))[:, None, None, :]
        for layer in self.layers:
            x = layer(x, keys, distance, padding)
        return self.head(x.transpose(1, 2).unflatten(-1, (QUERY_GRID, QUERY_GRID)), guide)  # type: ignore[no-any-return]


class QueryLayer(nn.Module):
    """Cross-attention of the query grid to the features, then a feed-forward.

    Each head prefers picture tokens near the query's own cell, each more sharply than the one before;
    how sharply is learned.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(dim)
        self.attention = CrossAttention(dim, dim, _HEAD_DIM)
        heads = dim // _HEAD_DIM
        sharpest = log(QUERY_GRID**2 / 2)
        self.log_sharpness = initial_parameter(heads, values=lambda: torch.linspace(0, sharpest, heads))
        self.ffn_norm = nn.LayerNorm(dim)
        self.ffn = feed_forward(dim, 1)

    def forward(self, x: Tensor, keys: Tensor, distance: Tensor, padding: Tensor) -> Tensor:
        """x (B, Q, dim), keys (B, F, dim), squared distance (Q, F), padding (B, 1, 1, F) as 0 or -inf."""
        bias = padding - self.log_sharpness.exp()[:, None, None] * distance
        x = x + self.attention(self.attention_norm(x), keys, bias)
        return x + self.ffn(self.ffn_norm(x))  # type: ignore[no-any-return]


class ConvHead(nn.Module):
    """(B, dim, 16, 16) and the picture -> logits (B, H, W).

    Three times: convolve to half the channels, double the size, add the picture's features at that size.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        fine, middle, coarse = dim // 16, dim // 4, dim // 2
        self.guide = nn.ModuleList(  # at 128, 64 and 32 pixels
            [_conv(3, fine), _conv(fine, middle, stride=2), _conv(middle, coarse, stride=2)]
        )
        self.stages = nn.ModuleList([_conv(dim, coarse), _conv(coarse, middle), _conv(middle, fine)])
        self.refine = _conv(fine, fine)
        self.logit = nn.Conv2d(fine, 1, kernel_size=1)
        nn.init.constant_(self.logit.bias, _PRIOR_LOGIT)  # type: ignore[arg-type]

    def forward(self, x: Tensor, guide: Tensor) -> Tensor:
        size = guide.shape[-2:]
        resolution = x.shape[-1] * 2 ** len(self.stages)
        detail = 2 * guide.to(x.device, torch.float32) - 1  # resized in float32: a CPU supports no other
        if size != (resolution, resolution):
            detail = F.interpolate(detail, size=(resolution, resolution), mode="bilinear", antialias=True)
        detail = detail.to(x)
        x, detail = (t.contiguous(memory_format=torch.channels_last) for t in (x, detail))  # faster on a CPU
        details = []
        for conv in self.guide:
            detail = conv(detail)
            details.append(detail)
        for stage, detail in zip(self.stages, reversed(details), strict=True):
            x = F.interpolate(stage(x), scale_factor=2, mode="bilinear") + detail
        logits = self.logit(self.refine(x)).float()
        if size != (resolution, resolution):
            logits = F.interpolate(logits, size=size, mode="bilinear", antialias=True)
        return logits.squeeze(1)  # type: ignore[no-any-return]


def _conv(in_channels: int, out_channels: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size=3, stride=stride, padding=1, bias=False),
        nn.GroupNorm(max(1, out_channels // 8), out_channels),
        nn.SiLU(),
    )


def token_grid(num_tokens: int, height: int, width: int) -> tuple[int, int]:
    """The (h, w) with h * w = num_tokens that is nearest to the picture's aspect ratio.

    AdaptEditError if the nearest is off by more than a factor of two: these are not one picture's tokens.
    """
    ratio, h = min((abs(log(n * n * width / (num_tokens * height))), n) for n in _divisors(num_tokens))
    if ratio > log(2):
        raise AdaptEditError(f"{num_tokens} picture tokens do not fit a {width}x{height} picture")
    return h, num_tokens // h


def _divisors(n: int) -> list[int]:
    if n < 1:
        raise AdaptEditError(f"num_image_tokens is {n}; the mask predictor needs the picture's tokens")
    return [i for i in range(1, n + 1) if n % i == 0]
