"""Pixels from the differences between neighbours: the screened Poisson equation, by conjugate gradients (our
choice; after gradient-domain editing).

Pieces of several origins join without a seam when their differences are kept, not their values.
"""

from __future__ import annotations

import torch
from torch import Tensor

_PULL = 0.003  # weight of what a pixel is at first beside a difference; it tells from 18 pixels' distance on
_STEPS = 20  # of conjugate gradients; more change nothing that one sees


def joined(start: Tensor, free: Tensor, fixed: Tensor, down: Tensor, across: Tensor) -> Tensor:
    """start (1, C, H, W): fixed pixels, and a first guess of the free ones; free, fixed (1, 1, H, W) of 0 and
    1, apart; down (1, C, H - 1, W), across (1, C, H, W - 1): what the next pixel shall be more than this ->
    start with its free pixels as near as can be to these differences, among them and to fixed ones."""
    wanted = {2: down, 3: across}
    links = {dim: _links(free, fixed, dim) for dim in wanted}

    def gathered(differences: dict[int, Tensor]) -> Tensor:
        """Of each free pixel, what its differences say that it is more than its neighbours."""
        sums = torch.zeros_like(start)
        for dim, values in differences.items():
            linked, count = links[dim] * values, values.shape[dim]
            sums.narrow(dim, 0, count).sub_(linked)
            sums.narrow(dim, 1, count).add_(linked)
        return free * sums

    def applied(x: Tensor) -> Tensor:
        return gathered({dim: torch.diff(x, dim=dim) for dim in wanted}) + _PULL * free * x

    residual = gathered(wanted) + _PULL * free * start - applied(start)
    found, direction, squares = start, residual, _squares(residual)
    for _ in range(_STEPS):
        curved = applied(direction)
        length = squares / (direction * curved).sum((2, 3), keepdim=True).clamp(min=1e-12)
        found, residual = found + length * direction, residual - length * curved
        before, squares = squares, _squares(residual)
        direction = residual + squares / before.clamp(min=1e-12) * direction
    return found


def _links(free: Tensor, fixed: Tensor, dim: int) -> Tensor:
    """Of each pixel and the next, 1 where one is free and the other free or fixed."""
    count = free.shape[dim] - 1
    one, next_free = free.narrow(dim, 0, count), free.narrow(dim, 1, count)
    return one * next_free + one * fixed.narrow(dim, 1, count) + fixed.narrow(dim, 0, count) * next_free


def _squares(x: Tensor) -> Tensor:
    return x.square().sum((2, 3), keepdim=True)
