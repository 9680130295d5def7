"""How well the region that an editor found is the one that was meant."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from adaptedit.data.sample import EditSample
from adaptedit.evaluation.metrics.change import change_mask
from adaptedit.evaluation.metrics.sides import inside
from adaptedit.region import Region

Hard = NDArray[np.bool_]

NAMES = ("IoU", "F1", "precision", "recall", "boundary-F", "coverage-error")
TOLERANCE = 0.008  # of the picture's diagonal


class RegionScores:
    """In [0, 1]; higher is better, except for coverage-error: |found share of the picture - true share|.

    IoU, F1, precision, recall: of pixels; found is mask >= 0.5, truth is the annotators' mask >= 0.5.
    boundary-F: F1 of outline pixels that lie within 0.8 % of the diagonal, rounded up to whole pixels, of the
    other outline (DAVIS, Perazzi et al. 2016). Columns ending in -change: against `change_mask`.
    Columns with @dev: found is mask >= `threshold`, chosen on other data with `best_threshold`; else absent.

    An editor that finds no region (None) has no scores; one that looked and found nothing gives an empty one.
    An empty region against an empty truth is right: all 1, error 0.
    """

    columns: tuple[str, ...] = tuple(
        f"{name}{truth}{at}" for at in ("", "@dev") for truth in ("", "-change") for name in NAMES
    )

    def __init__(self, threshold: float | None = None) -> None:
        self.thresholds = {"": 0.5} if threshold is None else {"": 0.5, "@dev": threshold}

    def __call__(self, sample: EditSample, result: Image.Image, found: Region | None) -> dict[str, float]:
        if found is None:
            return {}
        found = found.resize(sample.source.size)
        truths = {}
        if sample.region is not None:
            truths[""] = inside(sample.region)
        if sample.target is not None:
            truths["-change"] = inside(change_mask(sample.source, sample.target))
        return {
            f"{name}{truth}{at}": value
            for at, threshold in self.thresholds.items()
            for truth, mask in truths.items()
            for name, value in region_scores(found.mask >= threshold, mask).items()
        }


def region_scores(found: Hard, truth: Hard) -> dict[str, float]:
    """Two masks of one shape (H, W) -> `NAMES`."""
    both, either = int((found & truth).sum()), int((found | truth).sum())
    precision, recall = _share(both, int(found.sum())), _share(both, int(truth.sum()))
    values = (
        _share(both, either),
        _f1(precision, recall),
        precision,
        recall,
        boundary_f(found, truth),
        abs(float(found.mean()) - float(truth.mean())),
    )
    return dict(zip(NAMES, values, strict=True))


def boundary_f(found: Hard, truth: Hard) -> float:
    """See `RegionScores`. An outline is what the mask loses when eroded by one pixel, 4-connected."""
    tolerance = math.ceil(TOLERANCE * math.hypot(*truth.shape))
    ours, theirs = _outline(found), _outline(truth)
    return _f1(_near(ours, theirs, tolerance), _near(theirs, ours, tolerance))


def best_threshold(pairs: Iterable[tuple[Region, Region]]) -> float:
    """Which of 0.05, 0.10, … 0.95 has the highest mean IoU of (found, truth); if several, the nearest to 0.5.

    The pairs must not be those that are then reported.
    """
    grid = sorted((round(0.05 * step, 2) for step in range(1, 20)), key=lambda value: abs(value - 0.5))
    sums = np.zeros(len(grid))
    for found, truth in pairs:
        mask, wanted = found.resize(truth.size).mask, inside(truth)
        for index, threshold in enumerate(grid):
            hard = mask >= threshold
            sums[index] += _share(int((hard & wanted).sum()), int((hard | wanted).sum()))
    return grid[int(np.argmax(sums.round(9)))]


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 1.0


def _f1(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _outline(mask: Hard) -> Hard:
    from scipy import ndimage

    outline: Hard = mask & ~ndimage.binary_erosion(mask, border_value=1)
    return outline


def _near(outline: Hard, other: Hard, tolerance: int) -> float:
    """The share of the outline's pixels that are near the other."""
    from scipy import ndimage

    if not outline.any():
        return 1.0
    if not other.any():
        return 0.0
    distances = ndimage.distance_transform_edt(~other)
    return float((distances[outline] <= tolerance).mean())
