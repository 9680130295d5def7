"""What users say about the region: points pick, boxes add and cut, nothing is ignored."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from adaptedit.editing.controls import adjust
from adaptedit.editing.refine import refine
from adaptedit.errors import AdaptEditError
from adaptedit.region import Region

SIZE = (60, 40)


@pytest.fixture
def found() -> Region:
    """Two parts that are likely, and a faint one."""
    mask = np.zeros((40, 60), np.float32)
    mask[5:15, 5:15], mask[5:15, 30:40], mask[25:35, 45:55] = 0.9, 0.8, 0.3
    return Region.from_array(mask)


def marked(region: Region) -> set[str]:
    places = {"left": (10, 10), "middle": (35, 10), "faint": (50, 30), "empty": (20, 30)}
    return {name for name, (x, y) in places.items() if region.mask[y, x] > 0.5}


def test_a_point_keeps_the_part_that_holds_it(found: Region) -> None:
    assert marked(found) == {"left", "middle"}
    assert marked(adjust(found, include=[(6, 6)])) == {"left"}
    assert marked(adjust(found, include=[(6, 6), (31, 14)])) == {"left", "middle"}
    assert marked(adjust(found, include=[(50, 30)])) == {"faint"}
    assert marked(adjust(found, exclude=[(6, 6)])) == {"middle"}
    kept = adjust(found, include=[(6, 6)])
    np.testing.assert_array_equal(kept.mask[5:15, 5:15], found.mask[5:15, 5:15])


def test_boxes_add_and_cut(found: Region) -> None:
    assert marked(adjust(found, include=[(15, 25, 25, 35)])) == {"left", "middle", "empty"}
    assert marked(adjust(found, exclude=[(0, 0, 20, 20)])) == {"middle"}
    assert marked(adjust(found, include=[(6, 6), (15, 25, 25, 35)])) == {"left", "empty"}


def test_within_invert_and_grow(found: Region) -> None:
    left_half = Region.from_box((0, 0, 30, 40), SIZE)
    assert marked(adjust(found, within=left_half)) == {"left"}
    assert marked(adjust(found, invert=True)) == {"faint", "empty"}
    assert adjust(found, grow=3).mask[10, 17] > 0.5 > found.mask[10, 17]
    assert adjust(found, grow=-3).mask[6, 6] < 0.5 < found.mask[6, 6]


@pytest.mark.parametrize(
    ("controls", "message"),
    [
        ({"include": [(20, 30)]}, "nothing was found at the point 20,30"),
        ({"exclude": [(20, 30)]}, "nothing was found at the point 20,30"),
        ({"include": [(60, 10)]}, "60,10 is neither a point"),
        ({"include": [(5, 5, 5, 9)]}, "5,5,5,9 is neither a point"),
        ({"exclude": [(1, 2, 3)]}, "1,2,3 is neither a point"),
        ({"exclude": [(0, 0, 60, 40)]}, "nothing is left"),
        ({"grow": -20}, "nothing is left"),
        ({"within": Region.full((40, 60))}, "40x60.*60x40"),
    ],
)
def test_what_cannot_be_meant_is_refused(found: Region, controls: dict[str, object], message: str) -> None:
    with pytest.raises(AdaptEditError, match=message):
        adjust(found, **controls)  # type: ignore[arg-type]


# -- refine


def test_a_blurred_edge_moves_to_the_pictures_own() -> None:
    picture = Image.new("RGB", (640, 480), (70, 90, 80))
    ImageDraw.Draw(picture).ellipse((200, 150, 420, 330), fill=(220, 180, 60))
    truth = np.asarray(picture)[..., 0] > 150
    coarse = Image.fromarray((truth * 255).astype(np.uint8)).resize((32, 24), Image.Resampling.BOX)
    rough = coarse.filter(ImageFilter.GaussianBlur(1)).resize(picture.size, Image.Resampling.BILINEAR)
    region = Region.from_white_is_edit(rough)

    def wrong(one: Region) -> int:
        return int(((one.mask > 0.5) != truth).sum())

    assert wrong(refine(region, picture, (64, 64))) < wrong(region) / 2
    assert refine(region, picture, (640, 640)) is region
    nothing = Region.from_array(np.zeros((480, 640)))
    assert refine(nothing, picture, (64, 64)) is nothing


@pytest.mark.parametrize("size", [(9000, 4), (3, 7000), (5000, 40), (2500, 2500)])
def test_windows_that_are_filtered_smaller_keep_a_pixel(size: tuple[int, int]) -> None:
    region = Region.from_box((size[0] // 3, 0, size[0], size[1]), size)
    assert refine(region, Image.new("RGB", size), (128, 128)).size == size


def test_refining_changes_nothing_far_from_the_edge() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    region = Region.from_box((100, 100, 200, 200), (300, 300))
    refined = refine(region, Image.fromarray(noise), (100, 100))
    assert refined.mask[:60].max() < 0.01 and refined.mask[140:160, 140:160].min() > 0.99
