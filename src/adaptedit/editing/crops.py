"""Which parts of the picture the backbone gets to see: a crop around the region, or one around each part."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from adaptedit.errors import AdaptEditError
from adaptedit.morphology import Components, Indices, connected_components
from adaptedit.region import Box, Region, Size

INVISIBLE = 1 / 512  # a weight below this moves no 8-bit value, not even from 0 to 255, by half a level
CONTEXT = 2.0  # side of the crop over the longer side of what is edited
WHOLE = 0.7  # a crop that covers more than this share of the picture is not worth its loss of context
COARSER = 1.5  # saving one run of the backbone is worth that much detail
MOST = 8  # crops
MANY = 64  # parts; more are specks and share one crop


def split(
    alpha: Region, *, working: Size, context: float = CONTEXT, minimum: int = 128
) -> list[tuple[Box, Region]]:
    """The crops to edit in, and for each box the part of alpha (pixels that may change) that is edited there.

    Parts far apart get a crop each, which keeps detail that one wide crop would lose. Two share a crop, and
    a run of the backbone, if that is at most 1.5 times as wide as the wider of their own, or not wider than
    the working size (W, H). Where more than 8 crops are left, the nearest ones are joined too.
    Raises AdaptEditError if alpha is empty.
    """
    around = alpha.bbox(INVISIBLE)
    if around is None:
        raise AdaptEditError("the region is empty: nothing to edit; give a region or describe what to change")
    parts = connected_components(alpha.mask > INVISIBLE)
    if parts.count > MANY:
        box = crop_box(around, size=alpha.size, context=context, minimum=minimum)
        return [(box, alpha.crop(box))]
    numbers = parts.largest_first()
    boxes: list[Box] = [tuple(box) for box in parts.boxes(numbers).tolist()]
    found = []
    for group in _joined(boxes, max(working), context, minimum):
        around = _around([boxes[index] for index in group])
        box = crop_box(around, size=alpha.size, context=context, minimum=minimum)
        found.append((box, _without(alpha, parts, np.delete(numbers, group), box)))
    return found


def crop_box(box: Box, *, size: Size, context: float = CONTEXT, minimum: int = 128) -> Box:
    """A square around `box`, inside the picture of `size` (W, H).

    Its side is `context` times the longer side of the box, at least `minimum` pixels, cut where the picture
    is smaller; it becomes the whole picture if it would cover more than 70 % of it. It holds all of the box,
    if possible at the same relative place as in the picture: "on the left" stays true in the crop.
    Raises AdaptEditError for a context below 1.
    """
    if not 1.0 <= context < float("inf"):
        raise AdaptEditError(f"context is {context:g}; give 1 (no surroundings) or more, such as 2")
    side = max(round(context * max(box[2] - box[0], box[3] - box[1])), minimum)
    left, right = _interval(box[0], box[2], side, size[0])
    top, bottom = _interval(box[1], box[3], side, size[1])
    if (right - left) * (bottom - top) > WHOLE * size[0] * size[1]:
        return 0, 0, size[0], size[1]
    return left, top, right, bottom


def _interval(low: int, high: int, side: int, limit: int) -> tuple[int, int]:
    """At most `side` pixels of [0, limit) that hold [low, high) at the same share of their length."""
    side = min(side, limit)
    start = round((low + high) / 2 * (1 - side / limit))
    start = max(min(start, low), high - side)
    return start, start + side


def _joined(boxes: Sequence[Box], working: int, context: float, minimum: int) -> list[list[int]]:
    """Indices of the boxes that share a crop; the group of the first box comes first."""

    def side(group: list[int]) -> float:
        box = _around([boxes[index] for index in group])
        return max(context * max(box[2] - box[0], box[3] - box[1]), minimum)

    def coarser(a: list[int], b: list[int]) -> float:
        """Width of the common crop relative to the largest allowed."""
        return side(a + b) / max(working, COARSER * max(side(a), side(b)))

    groups = [[index] for index in range(len(boxes))]
    while len(groups) > 1:
        first, second = min(combinations(groups, 2), key=lambda pair: coarser(*pair))
        if coarser(first, second) > 1 and len(groups) <= MOST:
            break
        groups = [group for group in groups if group not in (first, second)] + [sorted(first + second)]
    return sorted(groups)


def _around(boxes: Sequence[Box]) -> Box:
    left, top, right, bottom = zip(*boxes, strict=True)
    return min(left), min(top), max(right), max(bottom)


def _without(alpha: Region, parts: Components, others: Indices, box: Box) -> Region:
    """Alpha within the box, 0 on the parts with these numbers."""
    left, top, right, bottom = box
    window = np.s_[top:bottom, left:right]
    return Region(np.where(parts.mask(others, window), np.float32(0.0), alpha.mask[window]))
