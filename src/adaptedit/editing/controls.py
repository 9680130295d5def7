"""What a user says about the region beside the instruction: boxes, points, a drawn limit, a wider edge."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from adaptedit.errors import AdaptEditError
from adaptedit.morphology import connected_components
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
    """The region as the user wants it, in this order (our choice).

    include: a point keeps only the parts of the region that hold a point, even faint ones (0.1); a box is
    added. exclude: a point drops the part that holds it, a box is cut out. within: nothing outside it stays.
    invert: everything else instead. grow: pixels, shrinks where negative.

    Raises AdaptEditError for a point or box outside the picture, a point where the region is not, and if
    nothing is left.
    """
    points, boxes = places(include, region.size)
    if points:
        region = _parts(region, points)
    for box in boxes:
        region = region | Region.from_box(box, region.size)
    points, boxes = places(exclude, region.size)
    if points:
        region = region - _parts(region, points)
    for box in boxes:
        region = region - Region.from_box(box, region.size)
    if within is not None:
        region = region & within
    if invert:
        region = ~region
    region = region.dilate(grow) if grow >= 0 else region.erode(-grow)
    if region.mask.max() < FAINTEST:
        raise AdaptEditError("nothing is left of the region; include more, exclude less, or draw it")
    return region


def places(given: Sequence[Box | Point], size: Size) -> tuple[list[Point], list[Box]]:
    """The points and the boxes among them. AdaptEditError for one that is not in a picture of `size`."""
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


def _parts(region: Region, points: Sequence[Point]) -> Region:
    """The connected parts that hold the points: of what is likely, or else of what is possible."""
    mask = np.zeros_like(region.mask)
    for x, y in points:
        value = float(region.mask[y, x])
        if value <= FAINTEST:
            raise AdaptEditError(
                f"nothing was found at the point {x},{y}; point at the region, or include a box around it"
            )
        likely = region.mask > (0.5 if value > 0.5 else FAINTEST)
        here = y * region.size[0] + x
        part = next(pixels for pixels in connected_components(likely) if here in pixels)
        mask.flat[part] = np.maximum(region.mask.flat[part], 0.51 if value <= 0.5 else 0.0)
    return Region.from_array(mask)
