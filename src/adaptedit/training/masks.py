"""Imperfect masks for training the adapter: what drawn and predicted regions look like."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def degrade(mask: Tensor, predicted: Tensor, generator: torch.Generator) -> Tensor:
    """Each sample's mask as given, grown, shrunk, shifted, boxed, or the predictor's own.

    mask, predicted: (B, H, W) in [0, 1]; returns the same shape.
    """
    out = mask.clone()
    for i in range(len(mask)):
        draw = torch.rand((), generator=generator).item()
        pixels = int(torch.randint(1, 9, (), generator=generator))
        if draw < 0.35:
            continue
        if draw < 0.65:
            out[i] = predicted[i]
        elif draw < 0.75:
            out[i] = _grow(mask[i], pixels)
        elif draw < 0.82:
            out[i] = 1 - _grow(1 - mask[i], max(1, pixels // 2))
        elif draw < 0.9:
            shift = torch.randint(-6, 7, (2,), generator=generator).tolist()
            out[i] = torch.roll(mask[i], shift, (0, 1))
        else:
            out[i] = _box(mask[i])
    return out


def _grow(mask: Tensor, pixels: int) -> Tensor:
    return F.max_pool2d(mask[None, None], 2 * pixels + 1, 1, pixels)[0, 0]


def _box(mask: Tensor) -> Tensor:
    rows, columns = (mask > 0.5).any(1).nonzero(), (mask > 0.5).any(0).nonzero()
    box = torch.zeros_like(mask)
    if len(rows):
        box[rows[0, 0] : rows[-1, 0] + 1, columns[0, 0] : columns[-1, 0] + 1] = 1
    return box
