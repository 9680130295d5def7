"""What a pixel gets from those around it: maxima in squares, and means under Gaussians.

Deviations are standard deviations in pixels. A blur is a product with a matrix that is made once: a hole
needs dozens of blurs.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

# Pixels. Wide blurs work on cells of this side, which is faster.
CELL = 4
# A sum of weights this small is treated as zero.
TINY_WEIGHT = 1e-3


def dilate(x: Tensor, pixels: int) -> Tensor:
    """(1, 1, H, W): the maximum in a square around each pixel. It widens a mask by `pixels`."""
    side = 2 * pixels + 1
    dilated = cv2.dilate(x[0, 0].cpu().numpy(), np.ones((side, side), np.uint8))
    return torch.from_numpy(dilated).to(x)[None, None]


def erode(mask: Tensor, pixels: int) -> Tensor:
    """(1, 1, H, W): a mask made narrower by `pixels`."""
    return 1 - dilate(1 - mask, pixels)


def weighted_mean(
    x: Tensor, weight: Tensor, blurred: Callable[[Tensor, float], Tensor], deviation: float
) -> Tensor:
    """The weighted mean of `x` around each pixel, by one of the blurs below. 0 where all weights are 0."""
    return blurred(x * weight, deviation) / (blurred(weight, deviation) + TINY_WEIGHT)


def wide_blur(x: Tensor, deviation: float) -> Tensor:
    """Approximately a Gaussian blur, computed at a fraction of the resolution. H and W: multiples of
    `CELL`."""
    rows, columns = (_wide_blur_matrix(size, deviation).to(x) for size in x.shape[-2:])
    return rows.T @ x @ columns


def blur(x: Tensor, deviation: float) -> Tensor:
    """A Gaussian blur. Beyond the picture's edge, the pixels at the edge are repeated."""
    rows, columns = (_blur_matrix(size, deviation).to(x) for size in x.shape[-2:])
    return rows.T @ x @ columns


@lru_cache(maxsize=256)
def _wide_blur_matrix(size: int, deviation: float) -> Tensor:
    """(size, size): row i is what pixel i of a line adds to each pixel of the blurred line."""
    with torch.autocast("cpu", enabled=False):
        cells = F.avg_pool1d(torch.eye(size)[None], CELL) @ _blur_matrix(size // CELL, deviation / CELL)
    return F.interpolate(cells, scale_factor=CELL, mode="linear")[0]


@lru_cache(maxsize=256)
def _blur_matrix(size: int, deviation: float) -> Tensor:
    """As `_wide_blur_matrix`, at full resolution."""
    steps = torch.arange(-int(3 * deviation), int(3 * deviation) + 1)
    kernel = torch.exp(-steps.square() / (2 * deviation**2))
    places = (torch.arange(size)[:, None] + steps).clamp(0, size - 1)
    weights = torch.zeros(size, size).scatter_add(1, places, (kernel / kernel.sum()).expand(size, -1))
    return weights.T
