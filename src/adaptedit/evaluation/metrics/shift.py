"""Shift and zoom of the background: the commonest complaint about editors, as numbers."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from adaptedit.data.sample import EditSample
from adaptedit.evaluation.metrics.registration import Plane, register
from adaptedit.evaluation.metrics.sides import inside
from adaptedit.evaluation.metrics.views import fitted
from adaptedit.region import Region, Size

LONGEST = 512  # pixels of the longer side at which larger pictures are measured
SMALLEST = 0.05  # share of the picture that must be background
FOUND = 0.5  # correlation of the aligned backgrounds' details below which there is no alignment


class Shift:
    """How the background of the result lies against the source's; our own measure.

    shift-x, shift-y: where the source's centre went, in the source's pixels, right and down positive;
    shift: their length. zoom: size in the result over size in the source; zoom-error: |zoom - 1|, which can
    be averaged. An unchanged background has 0, 1 and 0.
    aligned: 1 if a shift and zoom were found under which the backgrounds' details correlate, else 0, as for
    a black or an unrelated picture; the other columns are then absent, so read them beside its mean.

    The background is what is outside the sample's region; without one, the whole picture, of which the
    changed parts are left out by their residuals. A result of another size is first brought to the source's.
    Searched: zooms of 0.8 to 1.25, and shifts up to a quarter of each side. Less than about 0.2 pixels may
    read as 0 where the picture is smooth or compressed. See `register`.
    """

    columns: tuple[str, ...] = ("shift", "shift-x", "shift-y", "zoom", "zoom-error", "aligned")

    def __call__(self, sample: EditSample, result: Image.Image, found: Region | None) -> dict[str, float]:
        size = sample.source.size
        background = np.ones((size[1], size[0]), dtype=bool)
        if sample.region is not None:
            background = ~inside(sample.region.dilate(max(2.0, 0.01 * max(size))))
        if background.mean() < SMALLEST:
            return {}
        factor = min(1.0, LONGEST / max(size))
        small = round(size[0] * factor), round(size[1] * factor)
        weights = Image.fromarray(background.astype(np.float32)).resize(small, Image.Resampling.BOX)
        alignment = register(
            _luminance(sample.source, small),
            _luminance(fitted(result, size), small),
            (np.asarray(weights) > 0.99).astype(np.float64),
        )
        if alignment.correlation < FOUND:
            return {"aligned": 0.0}
        x, y = alignment.x * size[0] / small[0], alignment.y * size[1] / small[1]
        return {
            "shift": math.hypot(x, y),
            "shift-x": x,
            "shift-y": y,
            "zoom": alignment.zoom,
            "zoom-error": abs(alignment.zoom - 1.0),
            "aligned": 1.0,
        }


def _luminance(image: Image.Image, size: Size) -> Plane:
    grey = image.convert("F")
    if size != image.size:
        grey = grey.resize(size, Image.Resampling.BOX)
    return np.asarray(grey, dtype=np.float64) / 255
