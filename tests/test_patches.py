"""Holes that removed objects leave are filled with patches from the same picture."""

from __future__ import annotations

import torch
from torch import Tensor

from adaptedit.tiny.inpaint import neighbours
from adaptedit.tiny.inpaint.patches import fill_holes

Place = tuple[slice, slice, slice, slice]

HOLE = (slice(None), slice(None), slice(40, 76), slice(50, 80))


def stripes() -> Tensor:
    """Slanting stripes, on a ground that gets darker to the right."""
    y, x = torch.meshgrid(torch.arange(128.0), torch.arange(128.0), indexing="ij")
    wave = 0.15 * torch.sin((2 * x + y) * torch.pi / 12) - 0.001 * x
    return (0.55 + wave).expand(1, 3, -1, -1)


def scene(ground: Tensor, *holes: Place) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Source, drawing, matte and coverage. The source has noise as an object in each hole, the drawing a flat
    colour; nothing covers the holes."""
    source, drawn, matte = ground.clone(), ground.clone(), torch.zeros(len(ground), 1, 128, 128)
    for hole in holes or (HOLE,):
        source[hole] = torch.rand(source[hole].shape, generator=torch.Generator().manual_seed(0))
        drawn[hole] = ground[hole].mean()
        matte[hole] = 1
    return source, drawn, matte, torch.zeros_like(matte)


def test_a_pattern_continues_behind_a_removed_object() -> None:
    ground = stripes()
    source, drawn, matte, coverage = scene(ground)
    filled = fill_holes(source, drawn, matte, coverage)
    before, after = ((picture - ground)[HOLE].abs().mean() for picture in (drawn, filled))
    assert after < 0.1 * before
    changed = (filled - drawn).abs().amax((0, 1)) > 1e-6
    assert not changed[:32].any() and not changed[84:].any() and not changed[:, :42].any()


def test_without_a_hole_nothing_changes() -> None:
    source, drawn, matte, coverage = scene(stripes())
    assert torch.equal(fill_holes(source, drawn, torch.full_like(matte, 0.2), coverage), drawn)


def test_where_no_shift_matches_only_the_edge_of_the_drawing_changes() -> None:
    source, drawn, matte, coverage = scene(stripes())
    drawn[HOLE] = torch.tensor([1.0, 0.0, 0.0])[:, None, None]  # like nothing in the picture
    filled = fill_holes(source, drawn, matte, coverage)
    assert (filled - drawn)[..., 46:70, 56:74].abs().max() < 0.05
    everywhere = torch.ones_like(matte)
    assert torch.equal(fill_holes(source, drawn, everywhere, coverage), drawn)


def test_a_new_background_is_not_a_hole() -> None:
    ground = stripes()
    source, drawn, matte, coverage = scene(ground, HOLE)
    drawn[..., 48:], matte[..., 48:] = ground.flip(2)[..., 48:], 1
    assert torch.equal(fill_holes(source, drawn, matte, coverage), drawn)


def test_outlines_drawn_on_smooth_ground_disappear() -> None:
    y, x = torch.meshgrid(torch.arange(128.0), torch.arange(128.0), indexing="ij")
    ground = (0.4 + 0.0015 * x + 0.001 * y).expand(1, 3, -1, -1)
    source, drawn, matte, coverage = scene(ground)
    drawn[HOLE] = ground[HOLE]
    drawn[..., 44:72, 54], drawn[..., 44:72, 75] = 0.45, 0.55
    filled = fill_holes(source, drawn, matte, coverage)
    assert (filled - ground)[HOLE].abs().max() < 0.1 * (drawn - ground)[HOLE].abs().max()


def test_another_object_at_the_edge_of_a_hole_stays_sharp() -> None:
    ground = stripes()
    source, drawn, matte, coverage = scene(ground)
    other = (slice(None), slice(None), slice(60, 96), slice(70, 100))
    matte[other] = 0
    for picture in (source, drawn):
        picture[other] = torch.tensor([0.9, 0.8, 0.1])[:, None, None]
    filled = fill_holes(source, drawn, matte, coverage)
    assert (filled - drawn)[other].abs().max() < 0.02
    assert (filled - ground)[..., 42:58, 52:68].abs().mean() < 0.2 * (drawn - ground)[HOLE].abs().mean()


def test_each_hole_has_its_own_shifts() -> None:
    ground = stripes().clone()
    ground[..., :64] = ground[..., :64].flip(2)  # slanting the other way: no shift fits both
    ground[..., 60:68] = 0.5
    left: Place = (slice(None), slice(None), slice(30, 60), slice(20, 40))
    right: Place = (slice(None), slice(None), slice(70, 100), slice(85, 105))
    source, drawn, matte, coverage = scene(ground, left, right)
    filled = fill_holes(source, drawn, matte, coverage)
    for hole in (left, right):
        assert (filled - ground)[hole].abs().mean() < 0.2 * (drawn - ground)[hole].abs().mean()


def test_a_hole_larger_than_any_one_patch_is_filled_from_several() -> None:
    ground = stripes()
    wide: Place = (slice(None), slice(None), slice(50, 80), slice(20, 108))
    beside: Place = (slice(None), slice(None), slice(0, 30), slice(40, 90))
    source, drawn, matte, coverage = scene(ground, wide, beside)
    filled = fill_holes(source, drawn, matte, coverage)
    assert (filled - ground)[wide].abs().mean() < 0.3 * (drawn - ground)[wide].abs().mean()


def test_an_object_in_the_hole_stays_and_the_ground_around_it_is_filled() -> None:
    ground = stripes()
    source, drawn, matte, coverage = scene(ground)
    drawn[..., 50:66, 58:72], coverage[..., 50:66, 58:72] = 0.9, 1.0
    filled = fill_holes(source, drawn, matte, coverage)
    assert (filled[..., 50:66, 58:72] == drawn[..., 50:66, 58:72]).all()
    beside = (slice(None), slice(None), slice(42, 74), slice(51, 57))
    assert (filled - ground)[beside].abs().mean() < 0.2 * (drawn - ground)[beside].abs().mean()


def test_a_batch_is_filled_one_by_one() -> None:
    source, drawn, matte, coverage = scene(torch.cat([stripes(), stripes() * 0.5, stripes().flip(3)]))
    matte[1] = 0
    together = fill_holes(source, drawn, matte, coverage)
    for i in range(3):
        one = slice(i, i + 1)
        alone = fill_holes(source[one], drawn[one], matte[one], coverage[one])
        assert torch.allclose(together[one], alone, atol=1e-5)
    assert not torch.equal(together[0], drawn[0]) and torch.equal(together[1], drawn[1])


def test_gradients_pass_through_the_drawing() -> None:
    source, drawn, matte, coverage = scene(stripes())
    drawn.requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        filled = fill_holes(source.bfloat16(), drawn, matte, coverage)
    filled.float().square().sum().backward()
    assert drawn.grad is not None and drawn.grad.isfinite().all() and drawn.grad[0, 0, 0, 0] != 0


def test_cached_blur_matrices_are_the_same_under_autocast() -> None:
    parts = scene(stripes())
    filled = fill_holes(*parts)
    for cached in (neighbours._wide_blur_matrix, neighbours._blur_matrix):
        cached.cache_clear()
    with torch.autocast("cpu", torch.bfloat16):
        fill_holes(*parts)
    assert torch.equal(fill_holes(*parts), filled)
