"""Compute pixels from gradients: the screened Poisson equation, solved with conjugate gradients.

A gradient is the difference between a pixel and its neighbour. When patches from several places are pasted by
their gradients instead of their values, no seam shows where they meet. This is gradient-domain editing.
"""

from __future__ import annotations

import torch
from torch import Tensor

# Weight of a pixel's initial value, where a gradient has weight 1. The initial value takes over at about
# 18 pixels' distance from the known pixels (1 / sqrt(0.003)).
_SCREENING = 0.003
# Iterations of conjugate gradients. More make no visible difference.
_ITERATIONS = 20


def solve_screened_poisson(
    init: Tensor, unknown: Tensor, known: Tensor, grad_y: Tensor, grad_x: Tensor
) -> Tensor:
    """Change the unknown pixels of `init` so that their gradients come close to `grad_y` and `grad_x`.

    init: (1, C, H, W), the values of the known pixels and a first guess of the unknown ones.
    unknown, known: (1, 1, H, W), 0 or 1. No pixel is both. A pixel that is neither plays no part.
    grad_y: (1, C, H - 1, W), what each pixel should be minus the pixel above it.
    grad_x: (1, C, H, W - 1), what each pixel should be minus the pixel to its left.

    Returns `init` with new unknown pixels. Gradients count between two unknown pixels and between an unknown
    and a known one.
    """
    target = {2: grad_y, 3: grad_x}
    links = {dim: _links(unknown, known, dim) for dim in target}

    def divergence(gradients: dict[int, Tensor]) -> Tensor:
        """(1, C, H, W): at each unknown pixel, the gradients that lead to it minus those that lead away."""
        sums = torch.zeros_like(init)
        for dim, values in gradients.items():
            linked, count = links[dim] * values, values.shape[dim]
            sums.narrow(dim, 0, count).sub_(linked)
            sums.narrow(dim, 1, count).add_(linked)
        return unknown * sums

    def apply_matrix(x: Tensor) -> Tensor:
        """The left side of the linear equations."""
        return divergence({dim: torch.diff(x, dim=dim) for dim in target}) + _SCREENING * unknown * x

    residual = divergence(target) + _SCREENING * unknown * init - apply_matrix(init)
    solution, direction, squared_norm = init, residual, _squared_norm(residual)
    for _ in range(_ITERATIONS):
        product = apply_matrix(direction)
        step = squared_norm / (direction * product).sum((2, 3), keepdim=True).clamp(min=1e-12)
        solution, residual = solution + step * direction, residual - step * product
        previous, squared_norm = squared_norm, _squared_norm(residual)
        direction = residual + squared_norm / previous.clamp(min=1e-12) * direction
    return solution


def _links(unknown: Tensor, known: Tensor, dim: int) -> Tensor:
    """1 for each pair of neighbours along `dim` of which one is unknown and the other unknown or known."""
    count = unknown.shape[dim] - 1
    unknown_first, unknown_second = unknown.narrow(dim, 0, count), unknown.narrow(dim, 1, count)
    known_first, known_second = known.narrow(dim, 0, count), known.narrow(dim, 1, count)
    return unknown_first * unknown_second + unknown_first * known_second + known_first * unknown_second


def _squared_norm(x: Tensor) -> Tensor:
    """(1, C, H, W) -> (1, C, 1, 1)."""
    return x.square().sum((2, 3), keepdim=True)
