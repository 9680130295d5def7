"""Resize, match, stitch: outside the region not one bit moves."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from adaptedit.editing import compose
from adaptedit.editing.compose import exact_alpha, resize, stitch, transfer_detail, without_drift
from adaptedit.editing.crops import split
from adaptedit.errors import AdaptEditError
from adaptedit.region import Region


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def random_region(rng: np.random.Generator, size: tuple[int, int]) -> Region:
    (left, right), (top, bottom) = (sorted(rng.choice(side + 1, 2, replace=False)) for side in size)
    return Region.from_box((int(left), int(top), int(right), int(bottom)), size)


@pytest.mark.parametrize("feather", [0, 1, 2.5, 5, 9])
def test_exact_alpha_is_one_on_the_region_and_zero_beyond_its_bound(feather: float) -> None:
    region = Region.from_box((40, 45, 61, 52), (101, 97))
    predicted = Region.from_array(np.maximum(region.mask, 0.02))  # a sigmoid's tail, everywhere
    alpha = exact_alpha(predicted, feather)
    assert (alpha.mask[region.mask == 1] == 1).all()
    assert not alpha.mask[region.dilate(2 * feather + 3).mask == 0].any()
    assert feather == 0 or ((alpha.mask > 0) & (alpha.mask < 1)).any()


def test_a_faint_region_counts_from_half_its_own_maximum() -> None:
    faint = Region.from_array(Region.from_box((40, 40, 60, 60), (200, 200)).mask * 0.2)
    assert exact_alpha(faint, 2).mask[50, 50] == 1
    assert exact_alpha(Region.from_array(np.zeros((20, 20))), 3).coverage() == 0


def test_stitch_keeps_the_outside_and_takes_the_inside() -> None:
    rng = np.random.default_rng(1)
    for trial in range(25):
        size = (int(rng.integers(3, 260)), int(rng.integers(3, 260)))
        source = noise(*size, seed=trial)
        alpha = exact_alpha(random_region(rng, size), float(rng.integers(0, 6)))
        ((box, weight),) = split(alpha, working=(300, 300), minimum=int(rng.integers(1, 100)))
        edit = noise(64, 64, seed=1000 + trial)
        before, after = np.asarray(source).copy(), np.asarray(stitch(source, edit, box, weight))
        np.testing.assert_array_equal(after[alpha.mask == 0], before[alpha.mask == 0])
        np.testing.assert_array_equal(np.asarray(source), before)
        full = np.zeros_like(before)
        full[box[1] : box[3], box[0] : box[2]] = transfer_detail(source.crop(box), edit)
        np.testing.assert_array_equal(after[alpha.mask == 1], full[alpha.mask == 1])


def test_without_a_reference_stitch_takes_a_crop_of_the_right_size_as_it_is() -> None:
    source, edit, box = noise(50, 40), noise(20, 10, seed=1), (5, 7, 25, 17)
    after = stitch(source, edit, box, Region.full(edit.size))
    np.testing.assert_array_equal(np.asarray(after.crop(box)), np.asarray(edit))
    half = Region.from_array(Region.full(edit.size).mask * 0.5)
    between = np.asarray(stitch(source, edit, box, half).crop(box), float)
    mean = (np.asarray(source.crop(box), float) + np.asarray(edit, float)) / 2
    assert abs(between - mean).max() <= 0.5


def test_stitch_refuses_an_alpha_of_another_size_than_the_crop() -> None:
    source = noise(50, 40)
    with pytest.raises(AdaptEditError, match="50x40 and the crop 20x10"):
        stitch(source, noise(8, 8), (5, 7, 25, 17), Region.full(source.size))
    nothing = stitch(source, noise(8, 8), (5, 7, 25, 17), Region.from_array(np.zeros((10, 20))))
    np.testing.assert_array_equal(np.asarray(nothing), np.asarray(source))


def test_strips_of_rows_leave_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    source, edit = noise(60, 300), noise(32, 64, seed=1)
    in_strips = []
    for rows in (7, 512):
        monkeypatch.setattr(compose, "STRIP", rows)
        in_strips.append(np.asarray(transfer_detail(source, edit), int))
    assert abs(in_strips[0] - in_strips[1]).max() <= 1  # a rounding of the resampling weights


def test_a_drift_of_tone_is_taken_off_and_an_edit_is_not() -> None:
    y, x = np.mgrid[:128, :128] / 128.0
    scene = np.asarray(Image.fromarray((60 + 120 * x * y).astype(np.uint8)).convert("RGB"), float)
    edit = scene.copy()
    edit[40:70, 50:80] = (200, 30, 30)
    drift = np.stack([8 + 8 * x, -6 - 0 * x, 4 * y], axis=-1)
    alpha = exact_alpha(Region.from_box((50, 40, 80, 70), (128, 128)), 2)
    pictures = [Image.fromarray(one.clip(0, 255).astype(np.uint8)) for one in (edit + drift, scene)]
    matched = np.asarray(without_drift(*pictures, alpha), float)
    before, after = (
        abs(one - edit)[50:60, 60:70].mean() for one in (np.asarray(pictures[0], float), matched)
    )
    assert before > 5 and after < 1.5
    unchanged = without_drift(pictures[1], pictures[1], alpha)
    np.testing.assert_array_equal(np.asarray(unchanged), np.asarray(pictures[1]))
    everywhere = without_drift(*pictures, Region.full((128, 128)))
    np.testing.assert_array_equal(np.asarray(everywhere), np.asarray(pictures[0]))


@pytest.mark.parametrize("size", [(300, 200), (129, 400), (131, 90), (128, 128), (60, 90)])
def test_no_change_gives_the_source_itself(size: tuple[int, int]) -> None:
    source = noise(*size)
    unchanged = transfer_detail(source, resize(source, (128, 128)))
    np.testing.assert_array_equal(np.asarray(unchanged), np.asarray(source))
    lossy = noise(128, 128, seed=3)  # what a bad VAE makes of it
    same = transfer_detail(source, lossy, reference=lossy)
    np.testing.assert_array_equal(np.asarray(same), np.asarray(source))


def test_a_removed_object_leaves_no_ghost_and_the_rest_stays_sharp() -> None:
    texture = np.random.default_rng(4).normal(128, 12, (640, 640, 1)).repeat(3, axis=2)
    background = Image.fromarray(texture.clip(0, 255).astype(np.uint8))
    source = background.copy()
    draw = ImageDraw.Draw(source)
    draw.ellipse((220, 220, 420, 420), fill=(200, 30, 30))
    for x in range(225, 415, 10):
        draw.line((x, 260, x, 380), fill=(255, 240, 60), width=2)
    removed = np.asarray(transfer_detail(source, resize(background, (128, 128))), float)

    red_over_green = removed[..., 0] - removed[..., 1]
    assert abs(red_over_green).max() < 12  # the disc had 170, its stripes 15
    far = np.hypot(*(np.mgrid[:640, :640] - 320)) > 150
    np.testing.assert_array_equal(removed[far], np.asarray(background, float)[far])


def test_resize_shrinks_without_aliasing_and_keeps_equal_sizes() -> None:
    image = noise(40, 30)
    assert resize(image, (40, 30)) is image
    stripes = Image.fromarray(np.tile(np.array([[0, 255]], np.uint8), (2000, 1000))).convert("RGB")
    assert abs(np.asarray(resize(stripes, (128, 128)), float) - 127.5).max() < 8
