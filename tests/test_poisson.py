"""Pixels from gradients."""

from __future__ import annotations

import torch
from torch import Tensor

from adaptedit.tiny.inpaint.poisson import solve_screened_poisson


def scene() -> tuple[Tensor, Tensor, Tensor]:
    """A picture, a mask of its unknown pixels, and one of the known pixels around them."""
    picture = torch.rand(1, 3, 40, 48, generator=torch.Generator().manual_seed(0))
    unknown = torch.zeros(1, 1, 40, 48)
    unknown[..., 10:26, 8:30] = 1
    known = torch.zeros_like(unknown)
    known[..., 8:28, 6:32] = 1
    return picture, unknown, known * (1 - unknown)


def test_a_patch_of_another_tone_gets_the_tone_of_its_surroundings() -> None:
    picture, unknown, known = scene()
    init = picture + 0.2 * unknown
    result = solve_screened_poisson(
        init, unknown, known, torch.diff(picture, dim=2), torch.diff(picture, dim=3)
    )
    assert (result - picture).abs().max() < 0.02
    assert torch.equal(result * (1 - unknown), picture * (1 - unknown))


def test_a_patch_without_known_neighbours_keeps_its_tone() -> None:
    picture, unknown, known = scene()
    init = picture + 0.2 * unknown
    result = solve_screened_poisson(
        init, unknown, torch.zeros_like(known), torch.diff(picture, dim=2), torch.diff(picture, dim=3)
    )
    assert (result - init).abs().max() < 1e-4


def test_without_gradients_the_known_pixels_spread_over_a_patch() -> None:
    picture, unknown, known = scene()
    flat = torch.where(unknown > 0, 0.1, torch.full_like(picture, 0.7))
    none = torch.zeros_like(picture)
    result = solve_screened_poisson(flat, unknown, known, none[..., 1:, :], none[..., 1:])
    assert (result - 0.7).abs().amax() < 0.15 and (result[..., 10, 8:30] - 0.7).abs().amax() < 0.05
