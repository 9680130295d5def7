"""Array functions under `Region`: maximum over a disc, connected components, exact area pooling."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.float32]
Pixels = NDArray[np.intp]


def disc_maximum(values: Mask, radius: float) -> Mask:
    """(H, W) -> (H, W): the maximum over the pixels at distance <= radius that lie inside the array.

    The disc is taken apart into its rows. A row of any width is the maximum of two shifted copies of a
    running maximum whose span is a power of two: O(radius) passes and the memory of a few arrays.
    """
    height, width = values.shape
    reach = int(radius)
    running = np.pad(values, ((0, 0), (reach, reach)), constant_values=-np.inf)
    span = 1  # running[:, x] is the maximum of padded[:, x : x + span]
    result = values.copy()
    row = np.empty_like(values)
    for dy in range(reach, -1, -1):  # the rows far from the centre are the short ones
        half = int((radius * radius - dy * dy) ** 0.5)
        while 2 * span <= 2 * half + 1:
            running = np.maximum(running[:, :-span], running[:, span:])
            span *= 2
        if dy >= height:
            continue
        left, right = reach - half, reach + half + 1 - span
        np.maximum(running[:, left : left + width], running[:, right : right + width], out=row)
        np.maximum(result[dy:], row[: height - dy], out=result[dy:])
        np.maximum(result[: height - dy], row[dy:], out=result[: height - dy])
    return result


def connected_components(on: NDArray[np.bool_]) -> list[Pixels]:
    """8-connected components of a (H, W) mask, as ascending flat pixel indices, the largest component first.

    The unit is the horizontal run, not the pixel: runs of neighbouring rows that touch are joined by hooking
    roots onto smaller roots and compressing the paths, until no edge joins two roots.
    """
    row_length = on.shape[1] + 1  # one empty column ends every run, so flat positions order all runs
    padded = np.zeros((on.shape[0], row_length), dtype=np.int8)
    padded[:, :-1] = on
    steps = np.diff(padded.ravel(), prepend=0, append=0)
    starts, ends = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)  # ends are exclusive
    if starts.size == 0:
        return []

    # Run i touches, in the row above, the runs that end at or after its start and start at or before its end.
    first = np.searchsorted(ends, starts - row_length, side="left")
    last = np.searchsorted(starts, ends - row_length, side="right")
    counts = np.maximum(last - first, 0)
    below = np.repeat(np.arange(starts.size), counts)
    above = np.arange(below.size) - np.repeat(np.cumsum(counts) - counts, counts) + np.repeat(first, counts)

    root = np.arange(starts.size)
    while True:
        a, b = root[above], root[below]
        if np.array_equal(a, b):
            break
        np.minimum.at(root, np.maximum(a, b), np.minimum(a, b))
        while not np.array_equal(root, shorter := root[root]):
            root = shorter

    lengths = ends - starts
    position = np.repeat(starts - (np.cumsum(lengths) - lengths), lengths) + np.arange(lengths.sum())
    pixels = position - position // row_length  # without the extra column
    owner = np.repeat(root, lengths)
    order = np.argsort(owner, kind="stable")
    parts = np.split(pixels[order], np.flatnonzero(np.diff(owner[order])) + 1)
    return sorted(parts, key=len, reverse=True)


def area_pool(values: Mask, height: int, width: int) -> NDArray[np.float64]:
    """(H, W) -> (height, width): the mean over each cell's exact area; the overall mean is kept."""
    rows, columns = _overlap(values.shape[0], height), _overlap(values.shape[1], width)
    pooled: NDArray[np.float64] = rows @ values @ columns.T
    return pooled


def _overlap(pixels: int, cells: int) -> NDArray[np.float64]:
    """(cells, pixels): the share of each cell that each pixel covers; rows sum to 1."""
    edges = np.arange(cells + 1) * (pixels / cells)
    left = np.maximum(edges[:-1, None], np.arange(pixels))
    right = np.minimum(edges[1:, None], np.arange(1, pixels + 1))
    shares: NDArray[np.float64] = np.maximum(right - left, 0.0) * (cells / pixels)
    return shares
