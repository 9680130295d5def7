"""Where a ground-truth pair really differs, which is not always where its mask says."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from adaptedit.evaluation.metrics.views import fitted
from adaptedit.region import Region

LEVEL = 0.1  # of the value range; about five times what a JPEG of quality 90 changes
SMALLEST = 0.0005  # of the picture's area


def change_mask(source: Image.Image, target: Image.Image) -> Region:
    """1 where source and target (RGB) differ, else 0; of the source's size. Our own rule, step by step:

    the largest difference over the channels is above half of `LEVEL` in the pixel and above all of it in the
    mean of 3 x 3 pixels; closed by a 5 x 5 square; parts and then holes smaller than `SMALLEST` of the
    picture are removed. A pair that is misaligned or differs in tone all over gives a mask all over.
    """
    from scipy import ndimage

    pair = [np.asarray(image, dtype=np.float32) / 255 for image in (source, fitted(target, source.size))]
    difference = pair[1] - pair[0]
    around = ndimage.uniform_filter(difference, size=(3, 3, 1))
    changed = (np.abs(difference).max(axis=2) > LEVEL / 2) & (np.abs(around).max(axis=2) > LEVEL)
    changed = np.pad(changed, 4)
    changed = ndimage.binary_closing(changed, np.ones((5, 5)))[4:-4, 4:-4]
    smallest = SMALLEST * changed.size
    changed = _without_small_parts(changed, smallest)
    changed = ~_without_small_parts(~changed, smallest)
    return Region.from_array(changed)


def _without_small_parts(on: NDArray[np.bool_], smallest: float) -> NDArray[np.bool_]:
    from scipy import ndimage

    parts, _ = ndimage.label(on, np.ones((3, 3)))
    areas = np.bincount(parts.ravel())
    areas[0] = 0  # what is off
    large: NDArray[np.bool_] = areas[parts] >= max(smallest, 1)
    return large
