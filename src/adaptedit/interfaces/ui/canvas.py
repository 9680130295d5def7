"""The page's canvas: a region as a layer to paint on, and the painted layer as a region again.

A layer is a PNG of the size that the page shows, its alpha the mask: 0 = keep, 255 = edit. The page shows it
tinted and half transparent, paints with 255 and erases with 0.
"""

from __future__ import annotations

import base64
import binascii
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from adaptedit.errors import AdaptEditError
from adaptedit.pictures.read import opened
from adaptedit.region import TINT, Region, Size

LONGEST = 1600  # pixels of the longer side that the page gets to see
NOISE = 2  # levels of alpha that a browser may change by itself
UNSEEN = (NOISE + 0.5) / 255  # a mask below this is nowhere to be seen
LONGEST_URL = 8 * LONGEST**2  # characters; four bytes a pixel, not compressed, take 5.4
PNG_URL = "data:image/png;base64,"


@dataclass(frozen=True, eq=False, kw_only=True)
class Canvas:
    """What the page was last given to paint on.

    size: (W, H) of the picture. serial: comes back with the layer, so that one painted on an older canvas is
    not taken for this one's. region: what is marked, or None.
    found_for: the instruction and threshold that it was found for; None if it was drawn.
    """

    size: Size
    serial: int = 0
    region: Region | None = None
    found_for: tuple[str, float] | None = None

    def levels(self) -> NDArray[np.uint8]:
        """The mask as the page gets it: (h, w) of `shown_size`."""
        width, height = shown_size(self.size)
        if self.region is None:
            return np.zeros((height, width), np.uint8)
        return np.array(self.region.resize((width, height)).to_image())

    def layer(self) -> str | None:
        """The layer as a data URL; None where nothing is marked."""
        if self.region is None:
            return None
        levels = self.levels()
        layer = Image.new("RGB", levels.shape[::-1], TINT)
        layer.putalpha(Image.fromarray(levels))
        buffer = io.BytesIO()
        layer.save(buffer, format="PNG", compress_level=1)
        return PNG_URL + base64.b64encode(buffer.getvalue()).decode()

    def read(self, painted: Any) -> tuple[Region | None, bool]:
        """The region as the page has it now, and whether the user has painted on it.

        painted: {"serial": int, "layer": a data URL, or None where all was cleared}. Where nobody painted,
        the region is what it was, to the last bit. Raises AdaptEditError for what is no such layer.
        """
        if not isinstance(painted, dict) or painted.get("serial") != self.serial:
            return self.region, False
        if painted.get("layer") is None:
            return None, False
        levels, before = _alpha(painted["layer"], shown_size(self.size)), self.levels()
        changed = np.abs(levels.astype(np.int16) - before) > NOISE
        if not changed.any():
            return self.region, False
        share = Region.from_array(changed).resize(self.size).mask
        new = Region.from_array(levels / np.float32(255)).resize(self.size).mask
        old = np.zeros_like(new) if self.region is None else self.region.mask
        return Region.from_array(np.where(share == 1, new, old + share * (new - old)).clip(0, 1)), True


def shown_size(size: Size) -> Size:
    """(w, h) of a picture of `size` as the page shows it: its longer side is at most 1600."""
    scale = min(1.0, LONGEST / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _alpha(url: Any, size: Size) -> NDArray[np.uint8]:
    damaged = AdaptEditError("the painted layer cannot be read; reload the page")
    if not isinstance(url, str) or len(url) > LONGEST_URL:
        raise damaged
    try:
        data = base64.b64decode(url.removeprefix(PNG_URL), validate=True)
        with opened(data, formats=("PNG",), max_pixels=LONGEST**2) as layer:
            found = np.array(layer.getchannel("A")) if (layer.size, layer.mode) == (size, "RGBA") else None
            what = f"{layer.mode} and {layer.size[0]}x{layer.size[1]} pixels"
    except (AdaptEditError, binascii.Error):
        raise damaged from None
    if found is None:
        raise AdaptEditError(
            f"the painted layer is {what}, expected RGBA and {size[0]}x{size[1]}; reload the page"
        )
    return found
