"""A region's edge at full resolution: the predictor sees the picture at working size, the user does not."""

from __future__ import annotations

import cv2
import numpy as np
from PIL import Image

from adaptedit.region import Region, Size

REACH = 3.0  # working pixels; the radius of the filter
SMOOTHNESS = 1e-2  # variance of colours in [0, 1] below which an area counts as flat
LONGEST = 2048  # pixels; the filter's own working size for larger windows


def refine(region: Region, image: Image.Image, working: Size) -> Region:
    """The region with its edge moved to the picture's own edge, where one is near.

    region: soft, found at the working size and enlarged to that of `image` (RGB). A guided filter (He et al.
    2010, OpenCV's) fits the region locally as a linear function of the colours; radius and smoothness were
    chosen on held-out backgrounds (LOG.md). Nothing changes where the picture is not larger than the working
    size.
    """
    scale = max(image.size) / max(working)
    box = region.bbox(0.05)
    if scale <= 1.0 or box is None:
        return region
    radius = max(min(round(REACH * scale), *image.size), 1)  # beyond the short side it costs memory alone
    margin = 3 * radius
    left, top = max(box[0] - margin, 0), max(box[1] - margin, 0)
    right, bottom = min(box[2] + margin, image.width), min(box[3] + margin, image.height)
    window = np.s_[top:bottom, left:right]
    guide = np.asarray(image.crop((left, top, right, bottom)), np.float32) / 255
    height, width = guide.shape[:2]
    coarser = max(1.0, min(max(height, width) / LONGEST, min(height, width) / 16))
    fitted = cv2.ximgproc.guidedFilter(guide, region.mask[window], radius, SMOOTHNESS, scale=1.0 / coarser)
    mask = region.mask.copy()
    mask[window] = fitted.clip(0.0, 1.0)
    return Region.from_array(mask)
