"""What an object may be made of or patterned with: fixed functions of its picture, like the colours."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image

from adaptedit.data.sprites.colours import COLOURS, luma, recolour

Pixels = npt.NDArray[np.float32]

_METALS = {  # three stops, dark to light, sRGB in [0, 1]
    "gold": ((0.36, 0.20, 0.02), (0.93, 0.69, 0.15), (1.0, 0.96, 0.66)),
    "silver": ((0.22, 0.24, 0.27), (0.70, 0.72, 0.76), (1.0, 1.0, 1.0)),
    "copper": ((0.30, 0.11, 0.05), (0.80, 0.43, 0.26), (1.0, 0.83, 0.70)),
    "chocolate": ((0.12, 0.05, 0.02), (0.37, 0.19, 0.09), (0.68, 0.46, 0.30)),
}
_TEXTURES = {"wood": "wood_1", "stone": "rock_1", "brick": "brick_wall_1"}
_PATTERNS: dict[
    str, Callable[[Pixels, Pixels], npt.NDArray[np.bool_]]
] = {  # (y, x) in [0, 1] -> white or not
    "striped": lambda y, x: (x + y) * 6 % 1 < 0.5,
    "polka dot": lambda y, x: (x * 5 % 1 - 0.5) ** 2 + (y * 5 % 1 - 0.5) ** 2 < 0.09,
    "checked": lambda y, x: (np.floor(x * 6) + np.floor(y * 6)) % 2 < 1,
}

MATERIALS = (*_METALS, *_TEXTURES)
PATTERNS = tuple(_PATTERNS)
LOOKS: tuple[str | None, ...] = (None, *COLOURS, *MATERIALS, *PATTERNS)  # None: its own


def look(rgb: Pixels, name: str, textures: dict[str, npt.NDArray[np.uint8]]) -> Pixels:
    """A sprite (H, W, 3) in [0, 1] in a named colour, material or pattern, its shading kept.

    textures: by the names of data/sprites/assets.py.
    """
    if name in COLOURS:
        return recolour(rgb, name)
    bright = luma(rgb)
    if name in _METALS:
        low, high = np.percentile(bright, (5, 95))
        level = np.clip((bright - low) / max(high - low, 0.05), 0, 1)
        stops = np.array(_METALS[name], np.float32)
        channels = [np.interp(level, (0, 0.55, 1), stops[:, channel]) for channel in range(3)]
        return np.stack(channels, -1).astype(np.float32)
    height, width = bright.shape
    if name in _TEXTURES:
        picture = Image.fromarray(textures[_TEXTURES[name]]).resize((width, height))
        shade = 0.55 + 0.9 * (bright - np.median(bright))[..., None]
        return np.asarray(np.clip(np.asarray(picture, np.float32) / 255 * (shade + 0.45), 0, 1), np.float32)
    y, x = np.mgrid[:height, :width].astype(np.float32) / max(height, width)
    white = np.clip(0.9 + 0.5 * (bright - np.median(bright)), 0, 1)[..., None]
    return np.where(_PATTERNS[name](y, x)[..., None], white, rgb * 0.9).astype(np.float32)
