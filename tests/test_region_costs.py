"""Region work costs what the picture's size says, whatever is in the mask and however one points at it."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import cv2
import numpy as np
import pytest

from adaptedit.editing.compose import exact_alpha
from adaptedit.editing.controls import MOST_PLACES, adjust
from adaptedit.editing.crops import split
from adaptedit.errors import AdaptEditError
from adaptedit.morphology import Components, connected_components
from adaptedit.region import Region


@pytest.fixture(scope="module")
def specks() -> Region:
    """2 megapixels; every fourth one is a part of its own."""
    mask = np.zeros((1400, 1500), np.float32)
    mask[::2, ::2] = 1
    return Region(mask)


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The shapes of the masks whose components were worked out."""
    shapes: list[tuple[int, ...]] = []
    search = cv2.connectedComponents

    def counted(image: np.ndarray, **options: int) -> object:
        shapes.append(image.shape)
        return search(image, **options)

    monkeypatch.setattr(cv2, "connectedComponents", counted)
    # Its statistics take memory for every thread, which no limit on Python's own shows.
    monkeypatch.setattr(cv2, "connectedComponentsWithStats", None)
    return shapes


def peak(work: Callable[[], object]) -> int:
    """Bytes that arrays and Python objects take at most, beyond what is there before."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_half_a_million_parts_are_a_few_arrays(specks: Region) -> None:
    found = connected_components(specks.mask > 0.5)
    assert found.count == 700 * 750
    assert found.areas().tolist() == [0] + [1] * found.count
    numbers = found.largest_first()
    assert found.boxes(numbers[[0, 1, 750]]).tolist() == [[0, 0, 1, 1], [2, 0, 3, 1], [0, 2, 1, 3]]
    assert len(found.largest_first(min_area=2)) == 0
    np.testing.assert_array_equal(found.mask(numbers), specks.mask > 0.5)
    np.testing.assert_array_equal(found.mask([]), np.zeros_like(specks.mask))
    assert peak(lambda: connected_components(specks.mask > 0.5).largest_first()) < 24 * specks.mask.size
    with pytest.raises(AdaptEditError, match="525000 parts"):
        specks.components()


@pytest.mark.parametrize("points", [1, 4, 31])
def test_points_share_one_search_for_each_threshold(
    specks: Region, searches: list[tuple[int, ...]], points: int
) -> None:
    include = [(2 * index, 4) for index in range(points)]
    kept = adjust(specks, include=include)
    assert len(searches) == 1
    assert kept.mask.sum() == points and all(kept.mask[y, x] == 1 for x, y in include)

    searches.clear()
    without = adjust(specks, exclude=include)
    assert len(searches) == 1
    assert specks.mask.sum() - without.mask.sum() == points

    searches.clear()
    faint = Region(np.where(np.arange(1500) < 700, specks.mask, specks.mask / 4))
    both = [(2 * (index % 2) * 500, 4 + 2 * index) for index in range(points)]
    adjust(faint, include=[*both, (0, 0)], exclude=both)
    assert len(searches) <= 3  # what is faint is likely once it is included


def test_pointing_costs_a_few_arrays_and_boxes_cost_one(specks: Region) -> None:
    include = [(2 * index, 4) for index in range(MOST_PLACES)]
    assert peak(lambda: adjust(specks, include=include)) < 24 * specks.mask.size
    boxes = [(index, index, 1500 - index, 1400 - index) for index in range(MOST_PLACES)]
    assert peak(lambda: adjust(specks, include=boxes)) < 5 * specks.mask.nbytes
    assert adjust(specks, include=boxes).coverage() == 1
    assert adjust(specks, exclude=boxes, invert=True).coverage() == 1


def test_specks_without_number_are_cropped_by_their_common_box(
    specks: Region, searches: list[tuple[int, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Components, "largest_first", None)
    monkeypatch.setattr(Components, "mask", None)
    mask = np.zeros((1400, 1500), np.float32)
    mask[300:420:2, 500:640:2] = specks.mask[300:420:2, 500:640:2]
    ((box, weight),) = split(Region(mask), working=(64, 64), minimum=16)
    assert len(searches) == 1
    left, top, right, bottom = box
    assert left <= 500 and top <= 300 and right >= 639 and bottom >= 419
    np.testing.assert_array_equal(weight.mask, mask[top:bottom, left:right])


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("px", [3.0, 256.0, 1e9, 1e300])
def test_growing_takes_less_than_six_masks_whatever_the_radius(px: float, soft: bool) -> None:
    mask = np.random.default_rng(0).random((700, 900), dtype=np.float32)
    region = Region(mask if soft else np.asarray(mask > 0.999, np.float32))
    for work in (region.dilate, region.erode, region.feather):
        assert peak(lambda work=work: work(px)) < 6 * mask.nbytes  # type: ignore[misc]
    assert peak(lambda: exact_alpha(region, px)) < 8 * mask.nbytes
