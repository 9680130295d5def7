"""Did the edit happen, and only there: three numbers for pairs with an exact mask."""

from __future__ import annotations

import numpy as np
from PIL import Image

from adaptedit.data.sample import EditSample
from adaptedit.evaluation.metrics.views import fitted
from adaptedit.region import Region


class Local:
    """Mean absolute differences of pixels in [0, 1]; our own metrics.

    L1-inside: result and target where the annotated region is 0.5 or more. L1-outside: result and source
    where it is 0. success: 1 if L1-inside is less than half of what doing nothing gives, else 0.
    """

    columns: tuple[str, ...] = ("L1-inside", "L1-outside", "success")

    def __call__(self, sample: EditSample, result: Image.Image, found: Region | None) -> dict[str, float]:
        if sample.region is None:
            return {}
        inside, outside = sample.region.mask >= 0.5, sample.region.mask == 0
        source, picture = _pixels(sample.source, sample), _pixels(result, sample)
        scores = {}
        if outside.any():
            scores["L1-outside"] = float(np.abs(picture - source)[outside].mean())
        if sample.target is not None and inside.any():
            target = _pixels(sample.target, sample)
            error, nothing = (float(np.abs(one - target)[inside].mean()) for one in (picture, source))
            scores |= {"L1-inside": error, "success": float(error < nothing / 2)}
        return scores


def _pixels(image: Image.Image, sample: EditSample) -> np.ndarray:
    return np.asarray(fitted(image, sample.source.size), dtype=np.float32) / 255
