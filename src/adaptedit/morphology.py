"""Array functions under `Region`: extremes over a disc, connected components, exact area pooling.

A mask may come from anybody: its size and the radius say what it costs, not what is in it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

Mask = NDArray[np.float32]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int32]
Indices = NDArray[np.intp]

STRIP = 1 << 16  # pixels worked on at once: a few arrays of so many fit a core's cache


def disc_maximum(values: Mask, radius: float) -> Mask:
    """(H, W) -> (H, W): the maximum over the pixels at distance <= radius that lie inside the array."""
    return _disc(values, radius, np.maximum)


def disc_minimum(values: Mask, radius: float) -> Mask:
    """(H, W) -> (H, W): the minimum over the pixels at distance <= radius that lie inside the array."""
    return _disc(values, radius, np.minimum)


def _disc(values: Mask, radius: float, pick: np.ufunc) -> Mask:
    radius = min(radius, math.hypot(*values.shape))  # no two pixels are further apart
    square = int(radius * radius)  # whole, as every squared distance between pixels is
    if not np.array_equal(values, values != 0):
        return _disc_of_soft(values, square, pick)
    if pick is np.maximum:
        return _near(values != 0, square).astype(np.float32)
    return (~_near(values == 0, square)).astype(np.float32)


def _near(on: Bools, square: int) -> Bools:
    """(H, W) -> (H, W): where a pixel that is on lies at a squared distance of at most `square`.

    First how many rows each pixel is from the nearest one that is on in its column; then, in each row, the
    union of the intervals that the discs around those cut out of it. Whole numbers, so exact at every
    distance, as OpenCV's distance transform in 32-bit floats is not; O(H * W) whatever the radius.
    """
    height, width = on.shape
    reach = math.isqrt(square)
    far = reach + 1  # rows; the disc does not come so far
    halves = np.array([math.isqrt(square - rows * rows) for rows in range(far)] + [-1], dtype=np.int32)

    rows = np.empty(on.shape, dtype=np.int32)
    y = np.arange(height, dtype=np.int32)[:, None]
    for strip in _strips(width, height):
        above = np.maximum.accumulate(np.where(on[:, strip], y, -far), axis=0)
        below = np.minimum.accumulate(np.where(on[:, strip], y, height + far)[::-1], axis=0)[::-1]
        rows[:, strip] = np.minimum(np.minimum(y - above, below - y), far)

    near = np.empty_like(on)
    x = np.arange(width, dtype=np.int32)
    for strip in _strips(height, width):
        half = halves[rows[strip]]
        right = np.maximum.accumulate(x + half, axis=1)
        left = np.minimum.accumulate((x - half)[:, ::-1], axis=1)[:, ::-1]
        near[strip] = (right >= x) | (left <= x)
    return near


def _disc_of_soft(values: Mask, square: int, pick: np.ufunc) -> Mask:
    """The maximum (or minimum, by `pick`) of any values over a disc, given by its squared radius.

    The disc is taken apart into its rows. A row of any width is the maximum of two shifted copies of a
    running maximum whose span is a power of two: O(radius) passes, over strips that stay in the cache.
    """
    height, width = values.shape
    tallest, widest = min(math.isqrt(square), height - 1), min(math.isqrt(square), width - 1)
    result = values.copy()
    nearest = 0  # dy from which on the disc's rows are looked at each for itself
    if height > 1 and square >= (width - 1) ** 2:  # the nearer ones are as wide as the array
        reach = min(math.isqrt(square - (width - 1) ** 2), tallest)
        pick(result, _disc_of_soft(pick.reduce(values, axis=1)[None], reach**2, pick).T, out=result)
        nearest = reach + 1

    outside = -np.inf if pick is np.maximum else np.inf
    running = np.pad(values, ((0, 0), (widest, widest)), constant_values=outside)
    span = 1  # running[:, x] is the maximum of padded[:, x : x + span]
    buffer = np.empty_like(values[next(_strips(height, width))])
    rows = ((dy, min(math.isqrt(square - dy * dy), width - 1)) for dy in range(tallest, nearest - 1, -1))
    for bits, same_span in groupby(rows, key=lambda row: (2 * row[1] + 1).bit_length()):
        while 2 * span < 1 << bits:  # the rows far from the centre are the short ones
            for strip in _strips(height, running.shape[1]):
                pick(running[strip, :-span], running[strip, span:], out=running[strip, :-span])
            span *= 2
        chords = [(dy, widest - half, widest + half + 1 - span) for dy, half in same_span]
        for strip in _strips(height, width):
            start, stop = strip.start, strip.stop
            row = buffer[: stop - start]
            for dy, left, right in chords:
                pick(running[strip, left : left + width], running[strip, right : right + width], out=row)
                if start + dy < height:
                    below = result[start + dy : stop + dy]
                    pick(below, row[: len(below)], out=below)
                if stop > dy:
                    above = result[max(start - dy, 0) : stop - dy]
                    pick(above, row[-len(above) :], out=above)
    return result


@dataclass(frozen=True, eq=False)
class Components:
    """The connected parts of a mask, numbered from 1 to `count` in no certain order.

    labels: int32 (H, W), the number of each pixel's part, 0 where the mask is off. What is asked of them is
    worked out for all parts at once: there can be as many as a quarter of the pixels.
    """

    labels: Ints
    count: int

    def areas(self) -> Indices:
        """(count + 1,): the pixels of each part, by its number; 0 at 0."""
        areas = np.bincount(self.labels.ravel(), minlength=self.count + 1)
        areas[0] = 0
        return areas

    def largest_first(self, min_area: int = 1) -> Indices:
        """The numbers of the parts of at least so many pixels; of equal ones, the one that starts first."""
        areas = self.areas()
        found = np.flatnonzero(areas >= max(min_area, 1))
        return found[np.lexsort((self._starts(self.labels)[found], -areas[found]))]

    def boxes(self, numbers: Indices) -> Indices:
        """(n,) -> (n, 4): left, top, right, bottom of these parts; right and bottom exclusive."""
        height, width = self.labels.shape
        left, right = (
            self._starts(turned)[numbers] // height for turned in (self.labels.T, self.labels.T[::-1])
        )
        top, bottom = (self._starts(turned)[numbers] // width for turned in (self.labels, self.labels[::-1]))
        return np.stack([left, top, width - right, height - bottom], axis=-1)

    def mask(self, numbers: ArrayLike, window: tuple[slice, slice] = np.s_[:, :]) -> Bools:
        """(h, w): which pixels of the window belong to these parts."""
        chosen = np.zeros(self.count + 1, dtype=np.bool_)
        chosen[np.asarray(numbers, dtype=np.intp)] = True
        return np.asarray(chosen[self.labels[window]])

    def _starts(self, labels: Ints) -> Indices:
        """(count + 1,): where each part comes first as `labels` is read row by row."""
        starts = np.zeros(self.count + 1, dtype=np.intp)
        for strip in reversed([*_strips(*labels.shape)]):
            flat = labels[strip].ravel()
            on = np.flatnonzero(flat)[::-1]
            starts[flat[on]] = on + strip.start * labels.shape[1]  # of equal numbers, the last one stays
        return starts


def connected_components(on: Bools) -> Components:
    """The 8-connected components of a (H, W) mask."""
    # OpenCV's statistics would take memory by the core: 9 GB on 16 cores, for 16 megapixels of specks.
    count, labels = cv2.connectedComponents(on.view(np.uint8), connectivity=8, ltype=cv2.CV_32S)
    return Components(np.asarray(labels, dtype=np.int32), count - 1)


def _strips(length: int, across: int) -> Iterator[slice]:
    """[0, length) in parts of about STRIP pixels, where each unit of length is `across` pixels."""
    step = max(STRIP // across, 1)
    for start in range(0, length, step):
        yield slice(start, min(start + step, length))


def area_pool(values: Mask, height: int, width: int) -> NDArray[np.float64]:
    """(..., H, W) -> (..., height, width): the mean over each cell's exact area; the overall mean is kept."""
    rows, columns = _overlap(values.shape[-2], height), _overlap(values.shape[-1], width)
    pooled: NDArray[np.float64] = rows @ values @ columns.T
    return pooled


def _overlap(pixels: int, cells: int) -> NDArray[np.float64]:
    """(cells, pixels): the share of each cell that each pixel covers; rows sum to 1."""
    edges = np.arange(cells + 1) * (pixels / cells)
    left = np.maximum(edges[:-1, None], np.arange(pixels))
    right = np.minimum(edges[1:, None], np.arange(1, pixels + 1))
    shares: NDArray[np.float64] = np.maximum(right - left, 0.0) * (cells / pixels)
    return shares
