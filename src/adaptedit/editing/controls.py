"""What a user says about the region besides the instruction: boxes, points, a drawn limit, a wider edge."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from adaptedit.editing.limits import MOST_PIXELS, MOST_PLACES, check_number
from adaptedit.errors import AdaptEditError
from adaptedit.morphology import Bools, connected_components
from adaptedit.region import Box, Region, Size

Point = tuple[int, int]  # x, y in pixels

FAINTEST = 0.1  # probability that a point may still pick


def adjust(
    region: Region,
    *,
    include: Sequence[Box | Point] = (),
    exclude: Sequence[Box | Point] = (),
    within: Region | None = None,
    invert: bool = False,
    grow: float = 0.0,
) -> Region:
    """The region as the user wants it, in this order.

    include: a point keeps only the parts of the region that hold a point, even faint ones (0.1); a box is
    added. exclude: a point drops the part that holds it, a box is cut out. within: nothing outside it stays.
    invert: everything else instead. grow: pixels, shrinks where negative.

    Raises AdaptEditError for a point or box outside the picture, more than 64 of them, a point outside
    the region, a `grow` beyond 65535 pixels, and if nothing is left.
    """
    places([*include, *exclude], region.size)
    check_number("grow", grow, -MOST_PIXELS, MOST_PIXELS, " pixels")
    points, boxes = places(include, region.size)
    if points:
        region = _parts(region, points)
    region = _filled(region, boxes, 1.0)
    points, boxes = places(exclude, region.size)
    if points:
        region = region - _parts(region, points)
    region = _filled(region, boxes, 0.0)
    if within is not None:
        region = region & within
    if invert:
        region = ~region
    region = region.dilate(grow) if grow >= 0 else region.erode(-grow)
    if region.mask.max() < FAINTEST:
        raise AdaptEditError("nothing is left of the region; include more, exclude less, or draw it")
    return region


def places(given: Sequence[Box | Point], size: Size) -> tuple[list[Point], list[Box]]:
    """The points and the boxes among them.

    Raises AdaptEditError for one that is not in a picture of `size`, and for more than 64.
    """
    if len(given) > MOST_PLACES:
        raise AdaptEditError(
            f"{len(given)} points and boxes are too many; give at most {MOST_PLACES}, or draw the region"
        )
    points: list[Point] = []
    boxes: list[Box] = []
    for one in given:
        if len(one) == 4 and 0 <= one[0] < one[2] <= size[0] and 0 <= one[1] < one[3] <= size[1]:
            boxes.append(one)
        elif len(one) == 2 and 0 <= one[0] < size[0] and 0 <= one[1] < size[1]:
            points.append(one)
        else:
            raise AdaptEditError(
                f"{','.join(map(str, one))} is neither a point x,y nor a box left,top,right,bottom in the "
                f"picture of {size[0]}x{size[1]} pixels"
            )
    return points, boxes


def _filled(region: Region, boxes: Sequence[Box], value: float) -> Region:
    """The region with one value in all of the boxes."""
    if not boxes:
        return region
    mask = region.mask.copy()
    for left, top, right, bottom in boxes:
        mask[top:bottom, left:right] = value
    return Region(mask)


def _parts(region: Region, points: Sequence[Point]) -> Region:
    """The connected parts that hold the points: of the likely pixels, or else of the possible ones."""
    faint: list[Point] = []
    likely: list[Point] = []
    for x, y in points:
        value = float(region.mask[y, x])
        if value <= FAINTEST:
            raise AdaptEditError(
                f"nothing was found at the point {x},{y}; point at the region, or include a box around it"
            )
        (likely if value > 0.5 else faint).append((x, y))
    mask = np.zeros_like(region.mask)
    if faint:
        np.maximum(region.mask, 0.51, out=mask, where=_holding(region.mask > FAINTEST, faint))
    if likely:
        np.copyto(mask, region.mask, where=_holding(region.mask > 0.5, likely))
    return Region(mask)


def _holding(on: Bools, points: Sequence[Point]) -> Bools:
    """(H, W): the connected parts of `on` that hold the points, all of which are on it."""
    found = connected_components(on)
    return found.mask([found.labels[y, x] for x, y in points])
