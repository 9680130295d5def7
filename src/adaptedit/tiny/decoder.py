"""`tiny`'s pixel decoder: draws what an 8x8 grid of tokens can only sketch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class DecoderConfig:
    """features: channels that the DiT says for each 8x8 block. coarse, middle, fine: those of the layers at
    1/8, 1/4 and 1/2 of the picture's size."""

    features: int = 32
    coarse: int = 128
    middle: int = 64
    fine: int = 48


class PixelDecoder(nn.Module):
    """(the DiT's features, source, sketch) -> what to add to the sketch, all in pixels.

    Convolutions from 1/8 to 1/2 of the picture's size, which see the source and the sketch at each size. The
    features scale and shift the last layers, so that one set of filters serves every style and material. Its
    last layer starts at zero (our choice; real backbones decode with a VAE that never sees the source).
    """

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.config = config
        coarse, middle, fine = config.coarse, config.middle, config.fine
        self.coarse = nn.Sequential(
            _conv(config.features, coarse), nn.GELU(), _conv(coarse, coarse), nn.GELU()
        )
        self.middle = nn.Sequential(
            _conv(coarse + 2 * 3 * 16, middle), nn.GELU(), _conv(middle, middle), nn.GELU()
        )
        self.modulation = nn.Conv2d(middle, 2 * fine, 1)
        self.fine = _conv(2 * 3 * 4, fine)
        last = _conv(fine, 3 * 4)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)  # type: ignore[arg-type]
        self.last = nn.Sequential(nn.GELU(), _conv(fine, fine), nn.GELU(), last)

    def forward(self, features: Tensor, source: Tensor, sketch: Tensor) -> Tensor:
        """features (B, F, H/8, W/8), source and sketch (B, 3, H, W) about [0, 1] -> (B, 3, H, W)."""
        seen = torch.cat([source, sketch], 1) - 0.5
        coarse = _twice(self.coarse(features))
        middle = self.middle(torch.cat([coarse, F.pixel_unshuffle(seen, 4).to(coarse.dtype)], 1))
        scale, shift = _twice(self.modulation(middle)).chunk(2, 1)
        fine = self.fine(F.pixel_unshuffle(seen, 2)) * (1 + scale) + shift
        return F.pixel_shuffle(self.last(fine), 2).float()


def _conv(inside: int, outside: int) -> nn.Conv2d:
    return nn.Conv2d(inside, outside, 3, padding=1)


def _twice(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2)
