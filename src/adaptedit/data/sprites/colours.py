"""Named colours, and how an object takes one: the shading stays, hue and saturation become the colour's."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

# Display colour of each name, sRGB in [0, 1].
COLOURS: dict[str, tuple[float, float, float]] = {
    "red": (0.86, 0.12, 0.14),
    "orange": (0.96, 0.52, 0.06),
    "yellow": (0.97, 0.83, 0.12),
    "green": (0.16, 0.66, 0.24),
    "blue": (0.12, 0.36, 0.88),
    "purple": (0.52, 0.20, 0.78),
    "pink": (0.97, 0.48, 0.70),
    "white": (0.95, 0.95, 0.95),
    "black": (0.14, 0.14, 0.15),
}

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def luma(rgb: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """(H, W, 3) -> (H, W)."""
    return rgb @ _LUMA


def recolour(rgb: npt.NDArray[np.float32], name: str) -> npt.NDArray[np.float32]:
    """Give a sprite (H, W, 3) in [0, 1] a named colour, keeping its shading.

    The shading is the luma's difference from the sprite's median luma; the result is the display colour
    lightened or darkened by it (it reads well on glossy renders and is a fixed function of
    picture and name).
    """
    bright = luma(rgb)
    shade = (bright - np.median(bright[bright > 0.02]) if (bright > 0.02).any() else bright)[..., None] * 0.85
    base = np.array(COLOURS[name], np.float32)
    lighter = base + np.maximum(shade, 0) * (1.0 - base)
    darker = lighter + np.minimum(shade, 0) * (0.35 + 0.65 * base)
    return np.asarray(np.clip(darker, 0, 1), np.float32)
