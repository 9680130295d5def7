"""Detail of the ground, borrowed where something goes."""

from __future__ import annotations

import torch
from torch import Tensor

from adaptedit.backbones.tiny.borrow import borrow

HOLE = (slice(None), slice(None), slice(40, 76), slice(50, 80))


def stripes() -> Tensor:
    """Slanting ones, on a ground that grows darker to the right."""
    y, x = torch.meshgrid(torch.arange(128.0), torch.arange(128.0), indexing="ij")
    wave = 0.15 * torch.sin((2 * x + y) * torch.pi / 12) - 0.001 * x
    return (0.55 + wave).expand(1, 3, -1, -1)


def scene(ground: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Source with an object, what was drawn in its place (flat), the matte, and that nothing covers it."""
    source, drawn, matte = ground.clone(), ground.clone(), torch.zeros(len(ground), 1, 128, 128)
    source[HOLE] = torch.rand(len(ground), 3, 36, 30, generator=torch.Generator().manual_seed(0))
    drawn[HOLE] = ground[HOLE].mean()
    matte[HOLE] = 1
    return source, drawn, matte, torch.zeros_like(matte)


def test_a_pattern_goes_on_behind_what_was_taken_away() -> None:
    ground = stripes()
    source, drawn, matte, covered = scene(ground)
    filled = borrow(source, drawn, matte, covered)
    before, after = ((picture - ground)[HOLE].abs().mean() for picture in (drawn, filled))
    assert after < 0.1 * before
    changed = (filled - drawn).abs().amax((0, 1)) > 1e-6
    assert not changed[:32].any() and not changed[84:].any() and not changed[:, :42].any()


def test_without_a_hole_nothing_is_borrowed() -> None:
    source, drawn, matte, covered = scene(stripes())
    assert torch.equal(borrow(source, drawn, torch.full_like(matte, 0.2), covered), drawn)


def test_where_no_shift_fits_what_was_drawn_stays() -> None:
    noise = torch.rand(1, 3, 128, 128, generator=torch.Generator().manual_seed(1))
    source, drawn, matte, covered = scene(noise)
    assert torch.equal(borrow(source, drawn, matte, covered), drawn)
    everywhere = torch.ones_like(matte)
    assert torch.equal(borrow(source, drawn, everywhere, covered), drawn)


def test_an_object_in_the_hole_stays_and_the_ground_around_it_is_filled() -> None:
    ground = stripes()
    source, drawn, matte, covered = scene(ground)
    drawn[..., 50:66, 58:72], covered[..., 50:66, 58:72] = 0.9, 1.0
    filled = borrow(source, drawn, matte, covered)
    assert (filled[..., 50:66, 58:72] == drawn[..., 50:66, 58:72]).all()
    beside = (slice(None), slice(None), slice(42, 74), slice(51, 57))
    assert (filled - ground)[beside].abs().mean() < 0.1 * (drawn - ground)[beside].abs().mean()


def test_a_batch_is_filled_one_by_one() -> None:
    noise = torch.rand(1, 3, 128, 128, generator=torch.Generator().manual_seed(1))
    source, drawn, matte, covered = scene(torch.cat([stripes(), noise, stripes().flip(3)]))
    together = borrow(source, drawn, matte, covered)
    for i in range(3):
        one = slice(i, i + 1)
        alone = borrow(source[one], drawn[one], matte[one], covered[one])
        assert torch.allclose(together[one], alone, atol=1e-5)
    assert not torch.equal(together[0], drawn[0]) and torch.equal(together[1], drawn[1])


def test_what_is_borrowed_passes_gradients_on() -> None:
    source, drawn, matte, covered = scene(stripes())
    drawn.requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        filled = borrow(source.bfloat16(), drawn, matte, covered)
    filled.float().square().sum().backward()
    assert drawn.grad is not None and drawn.grad.isfinite().all() and drawn.grad[0, 0, 0, 0] != 0
