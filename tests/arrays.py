"""A pair's pictures as arrays."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from adaptedit.data.cells import LabelledSample

Pixels = npt.NDArray[np.uint8]


def arrays(sample: LabelledSample) -> tuple[Pixels, Pixels, Pixels]:
    """source, target (H, W, 3), mask (H, W); 255 = edit."""
    mask = np.asarray(sample.region.to_image())
    return np.asarray(sample.source), np.asarray(sample.target), mask
