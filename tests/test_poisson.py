"""Pixels from differences."""

from __future__ import annotations

import torch
from torch import Tensor

from adaptedit.tiny.inpaint.poisson import joined


def scene() -> tuple[Tensor, Tensor, Tensor]:
    """A picture, which of its pixels are free, and which are fixed: those around."""
    picture = torch.rand(1, 3, 40, 48, generator=torch.Generator().manual_seed(0))
    free = torch.zeros(1, 1, 40, 48)
    free[..., 10:26, 8:30] = 1
    fixed = torch.zeros_like(free)
    fixed[..., 8:28, 6:32] = 1
    return picture, free, fixed * (1 - free)


def test_a_patch_of_another_tone_joins_its_surroundings() -> None:
    picture, free, fixed = scene()
    start = picture + 0.2 * free
    result = joined(start, free, fixed, torch.diff(picture, dim=2), torch.diff(picture, dim=3))
    assert (result - picture).abs().max() < 0.02
    assert torch.equal(result * (1 - free), picture * (1 - free))


def test_with_nothing_fixed_beside_it_a_patch_keeps_its_tone() -> None:
    picture, free, fixed = scene()
    start = picture + 0.2 * free
    result = joined(
        start, free, torch.zeros_like(fixed), torch.diff(picture, dim=2), torch.diff(picture, dim=3)
    )
    assert (result - start).abs().max() < 1e-4


def test_what_fixed_pixels_are_spreads_over_a_patch_without_differences() -> None:
    picture, free, fixed = scene()
    flat = torch.where(free > 0, 0.1, torch.full_like(picture, 0.7))
    none = torch.zeros_like(picture)
    result = joined(flat, free, fixed, none[..., 1:, :], none[..., 1:])
    assert (result - 0.7).abs().amax() < 0.15 and (result[..., 10, 8:30] - 0.7).abs().amax() < 0.05
