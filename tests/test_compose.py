"""Crop, resize, stitch: the crop holds the region, and outside it not one bit moves."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from adaptedit.editing.compose import INVISIBLE, crop_box, exact_alpha, resize, stitch, transfer_detail
from adaptedit.errors import AdaptEditError
from adaptedit.region import Region


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def random_region(rng: np.random.Generator, size: tuple[int, int]) -> Region:
    (left, right), (top, bottom) = (sorted(rng.choice(side + 1, 2, replace=False)) for side in size)
    return Region.from_box((int(left), int(top), int(right), int(bottom)), size)


def test_the_crop_is_inside_the_picture_and_holds_the_region() -> None:
    rng = np.random.default_rng(0)
    for _ in range(150):
        size = (int(rng.integers(1, 300)), int(rng.integers(1, 300)))
        region = random_region(rng, size).feather(float(rng.integers(0, 9)))
        if region.bbox(INVISIBLE) is None:
            continue
        left, top, right, bottom = crop_box(region, size=size, minimum=int(rng.integers(1, 200)))
        assert 0 <= left < right <= size[0] and 0 <= top < bottom <= size[1]
        outside = region.mask.copy()
        outside[top:bottom, left:right] = 0
        assert outside.max() <= INVISIBLE
        whole = (left, top, right, bottom) == (0, 0, *size)
        fits = right - left < size[0] and bottom - top < size[1]
        assert whole or not fits or right - left == bottom - top


def test_the_crop_is_centred_where_there_is_room_and_whole_where_it_is_not_worth_it() -> None:
    region = Region.from_box((480, 490, 520, 510), (1000, 1000))
    assert crop_box(region, size=(1000, 1000), context=5, minimum=1) == (400, 400, 600, 600)
    assert crop_box(region, size=(1000, 1000), context=5, minimum=500) == (250, 250, 750, 750)
    corner = Region.from_box((0, 960, 40, 1000), (1000, 1000))
    assert crop_box(corner, size=(1000, 1000), context=5, minimum=1) == (0, 800, 200, 1000)
    large = Region.from_box((100, 100, 500, 500), (1000, 1000))
    assert crop_box(large, size=(1000, 1000)) == (0, 0, 1000, 1000)
    wide = Region.from_box((10, 10, 20, 20), (1000, 60))
    assert crop_box(wide, size=(1000, 60), minimum=128) == (0, 0, 128, 60)


def test_a_faint_region_is_found_and_an_empty_one_refused() -> None:
    faint = Region.from_array(Region.from_box((40, 40, 60, 60), (200, 200)).mask * 0.2)
    assert crop_box(faint, size=(200, 200), minimum=1) == (25, 25, 75, 75)
    assert exact_alpha(faint, 2).mask[50, 50] == 1
    empty = Region.from_array(np.zeros((20, 20)))
    with pytest.raises(AdaptEditError, match="nothing to edit"):
        crop_box(empty, size=(20, 20))
    assert exact_alpha(empty, 3).coverage() == 0
    with pytest.raises(AdaptEditError, match="200x200.*20x20"):
        crop_box(faint, size=(20, 20))


@pytest.mark.parametrize("feather", [0, 1, 2.5, 5, 9])
def test_exact_alpha_is_one_on_the_region_and_zero_beyond_its_bound(feather: float) -> None:
    region = Region.from_box((40, 45, 61, 52), (101, 97))
    predicted = Region.from_array(np.maximum(region.mask, 0.02))  # a sigmoid's tail, everywhere
    alpha = exact_alpha(predicted, feather)
    assert (alpha.mask[region.mask == 1] == 1).all()
    assert not alpha.mask[region.dilate(2 * feather + 3).mask == 0].any()
    assert feather == 0 or ((alpha.mask > 0) & (alpha.mask < 1)).any()


def test_stitch_keeps_the_outside_and_takes_the_inside() -> None:
    rng = np.random.default_rng(1)
    for trial in range(25):
        size = (int(rng.integers(3, 260)), int(rng.integers(3, 260)))
        source = noise(*size, seed=trial)
        alpha = exact_alpha(random_region(rng, size), float(rng.integers(0, 6)))
        box = crop_box(alpha, size=size, minimum=int(rng.integers(1, 100)))
        edit = noise(64, 64, seed=1000 + trial)
        before, after = np.asarray(source).copy(), np.asarray(stitch(source, edit, box, alpha))
        np.testing.assert_array_equal(after[alpha.mask == 0], before[alpha.mask == 0])
        np.testing.assert_array_equal(np.asarray(source), before)
        full = np.zeros_like(before)
        full[box[1] : box[3], box[0] : box[2]] = transfer_detail(source.crop(box), edit)
        np.testing.assert_array_equal(after[alpha.mask == 1], full[alpha.mask == 1])


def test_without_a_reference_stitch_takes_a_crop_of_the_right_size_as_it_is() -> None:
    source, edit, box = noise(50, 40), noise(20, 10, seed=1), (5, 7, 25, 17)
    after = stitch(source, edit, box, Region.from_box(box, source.size))
    np.testing.assert_array_equal(np.asarray(after.crop(box)), np.asarray(edit))
    half = Region.from_array(Region.from_box(box, source.size).mask * 0.5)
    between = np.asarray(stitch(source, edit, box, half).crop(box), float)
    mean = (np.asarray(source.crop(box), float) + np.asarray(edit, float)) / 2
    assert abs(between - mean).max() <= 0.5


def test_stitch_refuses_an_alpha_that_would_be_cut() -> None:
    source = noise(50, 40)
    with pytest.raises(AdaptEditError, match="outside the crop"):
        stitch(source, noise(8, 8), (5, 7, 25, 17), Region.full(source.size))
    with pytest.raises(AdaptEditError, match="same size"):
        stitch(source, noise(8, 8), (5, 7, 25, 17), Region.full((40, 50)))
    nothing = stitch(source, noise(8, 8), (5, 7, 25, 17), Region.from_array(np.zeros((40, 50))))
    np.testing.assert_array_equal(np.asarray(nothing), np.asarray(source))


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
