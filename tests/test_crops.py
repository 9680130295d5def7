"""Crops: each holds its part of what may change, together they hold all of it, none is needlessly wide."""

from __future__ import annotations

import numpy as np
import pytest

from adaptedit.editing.compose import exact_alpha
from adaptedit.editing.crops import CONTEXT, INVISIBLE, MANY, MOST, _joined, crop_box, split
from adaptedit.errors import AdaptEditError
from adaptedit.region import Box, Region, Size
from test_region import flood_fill

WORKING = (128, 128)


def boxes(size: Size, *chosen: Box) -> Region:
    region = Region.from_box(chosen[0], size)
    for box in chosen[1:]:
        region = region | Region.from_box(box, size)
    return region


def test_the_crop_is_inside_the_picture_and_holds_the_box() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        size = (int(rng.integers(1, 300)), int(rng.integers(1, 300)))
        (x0, x1), (y0, y1) = (sorted(rng.choice(side + 1, 2, replace=False).tolist()) for side in size)
        left, top, right, bottom = crop_box((x0, y0, x1, y1), size=size, minimum=int(rng.integers(1, 200)))
        assert 0 <= left <= x0 < x1 <= right <= size[0] and 0 <= top <= y0 < y1 <= bottom <= size[1]
        whole = (left, top, right, bottom) == (0, 0, *size)
        fits = right - left < size[0] and bottom - top < size[1]
        assert whole or not fits or right - left == bottom - top


def test_the_box_lies_in_the_crop_as_it_lies_in_the_picture() -> None:
    size = (1000, 1000)
    assert crop_box((480, 490, 520, 510), size=size, context=5, minimum=1) == (400, 400, 600, 600)
    assert crop_box((480, 490, 520, 510), size=size, context=5, minimum=500) == (250, 250, 750, 750)
    left, top, right, bottom = crop_box((180, 680, 220, 720), size=size, context=5, minimum=1)
    assert ((200 - left) / (right - left), (700 - top) / (bottom - top)) == (0.2, 0.7)
    assert crop_box((0, 960, 40, 1000), size=size, context=5, minimum=1) == (0, 800, 200, 1000)


def test_a_crop_that_is_not_worth_it_is_the_whole_picture() -> None:
    assert crop_box((100, 100, 550, 500), size=(1000, 1000)) == (0, 0, 1000, 1000)
    assert crop_box((10, 10, 20, 20), size=(1000, 60), minimum=128) == (10, 0, 138, 60)
    with pytest.raises(AdaptEditError, match="context is 0.5"):
        crop_box((480, 490, 520, 510), size=(1000, 1000), context=0.5)


def test_parts_far_apart_are_cropped_each_for_itself_and_near_ones_together() -> None:
    size = (2000, 1500)
    far = boxes(size, (100, 100, 200, 200), (1700, 1200, 1800, 1300))
    crops = split(far, working=WORKING)
    assert [(right - left, bottom - top) for (left, top, right, bottom), _ in crops] == [(200, 200)] * 2
    near = boxes(size, (100, 100, 200, 200), (210, 100, 220, 200))
    assert len(split(near, working=WORKING)) == 1
    assert len(split(far, working=(4000, 4000))) == 1  # nothing is gained by looking closer


def test_the_crops_hold_all_of_what_may_change_and_no_part_twice() -> None:
    rng = np.random.default_rng(1)
    for _ in range(40):
        size = (int(rng.integers(200, 900)), int(rng.integers(200, 900)))
        chosen = []
        for _ in range(int(rng.integers(1, 14))):
            x, y = (int(rng.integers(0, side - 30)) for side in size)
            chosen.append((x, y, x + int(rng.integers(1, 30)), y + int(rng.integers(1, 30))))
        alpha = exact_alpha(boxes(size, *chosen), float(rng.integers(0, 5)))
        crops = split(alpha, working=(64, 64), minimum=32)
        assert 1 <= len(crops) <= MOST
        total = np.zeros_like(alpha.mask)
        for (left, top, right, bottom), weight in crops:
            assert weight.size == (right - left, bottom - top)
            total[top:bottom, left:right] += weight.mask
        visible = alpha.mask > INVISIBLE
        np.testing.assert_array_equal(total[visible], alpha.mask[visible])
        assert total[~visible].max(initial=0) <= INVISIBLE * len(crops)


def test_boxes_and_weights_are_those_of_a_search_by_hand() -> None:
    rng = np.random.default_rng(2)
    several = 0
    for trial in range(60):
        height, width = (int(side) for side in rng.integers(20, 90, 2))
        mask = np.zeros((height, width), np.float32)
        for _ in range(int(rng.integers(1, 90 if trial % 3 == 0 else 9))):
            y, x, size = rng.integers(0, height), rng.integers(0, width), rng.integers(1, 5)
            mask[y : y + size, x : x + size] = rng.choice([0.001, 0.3, 1.0])
        mask[0, 0] = 1
        crops = split(Region(mask), working=(16, 16), minimum=12)
        expected = split_by_hand(mask, working=16, minimum=12)
        assert [box for box, _ in crops] == [box for box, _ in expected]
        for (_, weight), (_, by_hand) in zip(crops, expected, strict=True):
            np.testing.assert_array_equal(weight.mask, by_hand)
        several += len(crops) > 1
    assert several > 20


def split_by_hand(mask: np.ndarray, working: int, minimum: int) -> list[tuple[Box, np.ndarray]]:
    """`split`, by lists of the parts' pixels: largest first, of equal ones the one that starts first."""
    parts = sorted(flood_fill(mask > INVISIBLE), key=lambda part: (-len(part), min(part)))
    boxes = []
    for part in parts:
        ys, xs = np.divmod(sorted(part), mask.shape[1])
        boxes.append((int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1))
    groups = [[*range(len(parts))]] if len(parts) > MANY else _joined(boxes, working, CONTEXT, minimum)
    found = []
    for group in groups:
        left, top, right, bottom = zip(*(boxes[index] for index in group), strict=True)
        around = (min(left), min(top), max(right), max(bottom))
        box = crop_box(around, size=(mask.shape[1], mask.shape[0]), minimum=minimum)
        weight = mask.copy()
        for index in set(range(len(parts))) - set(group):
            weight.flat[list(parts[index])] = 0
        found.append((box, weight[box[1] : box[3], box[0] : box[2]]))
    return found


def test_specks_without_number_are_one_crop_and_nothing_is_an_error() -> None:
    mask = np.zeros((400, 400))
    mask[::20, ::20] = 1
    assert len(split(Region.from_array(mask), working=(64, 64), minimum=16)) == 1
    with pytest.raises(AdaptEditError, match="region is empty"):
        split(Region.from_array(np.zeros((20, 20))), working=WORKING)
