"""What users say about the region: points pick, boxes add and cut, nothing is ignored."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from adaptedit.editing.controls import adjust
from adaptedit.editing.job import EditJob
from adaptedit.editing.options import EditOptions
from adaptedit.editing.refine import refine
from adaptedit.errors import AdaptEditError
from adaptedit.pictures.picture import Picture
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


def test_points_of_both_kinds_keep_what_each_holds(found: Region) -> None:
    for both in ([(6, 6), (50, 30)], [(50, 30), (6, 6)]):
        kept = adjust(found, include=both)
        assert marked(kept) == {"left", "faint"}
        assert kept.mask[6, 6] == found.mask[6, 6] and kept.mask[30, 50] == np.float32(0.51)
    assert marked(adjust(found, include=[(6, 6), (50, 30)], exclude=[(52, 33)])) == {"left"}
    with pytest.raises(AdaptEditError, match="nothing was found at the point 31,14"):
        adjust(found, include=[(6, 6)], exclude=[(31, 14)])  # it is no longer there


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
        ({"include": [(6, 6)] * 33, "exclude": [(6, 6)] * 32}, "65 points and boxes.*at most 64"),
        ({"grow": 1e300}, r"^grow is 1e\+300 pixels; give -65535 to 65535$"),
        ({"grow": float("nan")}, "grow is nan pixels; give -65535 to 65535"),
    ],
)
def test_what_cannot_be_meant_is_refused(found: Region, controls: dict[str, object], message: str) -> None:
    with pytest.raises(AdaptEditError, match=message):
        adjust(found, **controls)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"grow": 1e300}, r"grow is 1e\+300 pixels; give -65535 to 65535"),
        ({"grow": -65536}, "grow is -65536 pixels; give -65535 to 65535"),
        ({"grow": math.nan}, "grow is nan pixels"),
        ({"feather": -0.5}, "feather is -0.5 pixels; give 0 to 65535"),
        ({"feather": math.inf}, "feather is inf pixels; give 0 to 65535"),
        ({"feather": math.nan}, "feather is nan pixels"),
        ({"context": 0.9}, "context is 0.9; give 1 to 1000"),
        ({"context": math.nan}, "context is nan; give 1 to 1000"),
        ({"context": 1e9}, r"context is 1000000000\.0; give 1 to 1000"),
        ({"threshold": 0.0}, r"threshold is 0\.0; give a probability above 0 and below 1"),
        ({"threshold": 1}, "threshold is 1; give a probability above 0 and below 1"),
        ({"threshold": math.nan}, "threshold is nan"),
        ({"candidates": 0}, "candidates is 0; give 1 or more"),
        ({"steps": 0}, "steps is 0; give 1 to 1000"),
        ({"include": [(1, 1)] * 40, "exclude": [(0, 0, 2, 2)] * 40}, "80 points and boxes.*at most 64"),
        ({"instruction": "remove the \udcff"}, r"bytes that are not text \(UTF-8\); type it again"),
    ],
)
def test_a_job_refuses_absurd_numbers_before_a_model_is_needed(
    options: dict[str, object], message: str
) -> None:
    picture = Picture.open(Image.new("RGB", SIZE))
    with pytest.raises(AdaptEditError, match=message) as error:
        EditJob(picture, str(options.pop("instruction", "remove it")), EditOptions(**options))  # type: ignore[arg-type]
    assert "\n" not in str(error.value)


def test_a_job_takes_the_ends_of_what_it_allows() -> None:
    picture = Picture.open(Image.new("RGB", SIZE))
    for grow, feather, context in ((-65535, 0, 1), (65535, 65535, 1000), (0, None, 2)):
        EditJob(picture, "é 漢", EditOptions(grow=grow, feather=feather, context=context, steps=1))


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
