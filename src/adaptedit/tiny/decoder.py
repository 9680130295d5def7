"""`tiny`'s pixel decoder: it adds the detail that an 8x8 grid of tokens is too coarse for."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class DecoderConfig:
    """features: channels that the DiT gives for each block of 8x8 pixels. coarse, middle, fine: channels of
    the layers at 1/8, 1/4 and 1/2 of the picture's size."""

    features: int = 32
    coarse: int = 128
    middle: int = 64
    fine: int = 48


class PixelDecoder(nn.Module):
    """From the DiT's features, the source and the sketch, compute what to add to the sketch.

    Convolutions at 1/8, 1/4 and 1/2 of the picture's size. The two larger ones see source and sketch too. The
    features scale and shift the last layers, so that one set of filters serves every style and material. The
    last layer starts at zero, so an untrained decoder adds nothing. Real backbones decode with a VAE that
    never sees the source; this one does, because a token here is only 16 pixels wide.
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
        pixels = torch.cat([source, sketch], 1) - 0.5
        coarse = _upsample(self.coarse(features))
        middle = self.middle(torch.cat([coarse, F.pixel_unshuffle(pixels, 4).to(coarse.dtype)], 1))
        scale, shift = _upsample(self.modulation(middle)).chunk(2, 1)
        fine = self.fine(F.pixel_unshuffle(pixels, 2)) * (1 + scale) + shift
        return F.pixel_shuffle(self.last(fine), 2).float()


def _conv(channels_in: int, channels_out: int) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels_out, 3, padding=1)


def _upsample(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2)
