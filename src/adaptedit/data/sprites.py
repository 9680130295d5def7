"""Objects ready to be laid on a scene: any noun, colour and size, with its soft shadow, cached."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from adaptedit.data.colours import recolour

Pixels = npt.NDArray[np.float32]

_PAD = 8  # pixels around a sprite, room for its shadow
_SHADOW = 0.42  # strongest darkening


@dataclass(frozen=True)
class Sprite:
    """All float32 in [0, 1]: colour (h, w, 3) premultiplied by alpha, alpha (h, w), shadow (h, w)."""

    colour: Pixels
    alpha: Pixels
    shadow: Pixels


class Sprites:
    """Sprites by (noun, colour, size); `objects` maps a noun to its RGBA picture (h, w, 4) uint8.

    scale: of the scene over its usual 128 pixels, for the shadows.
    """

    def __init__(self, objects: dict[str, npt.NDArray[np.uint8]], scale: int = 1) -> None:
        self._objects, self._scale = objects, scale
        self._coloured: dict[tuple[str, str | None], Image.Image] = {}
        self._cache: dict[tuple[str, str | None, int], Sprite] = {}

    def get(self, noun: str, colour: str | None, size: int) -> Sprite:
        """The noun with its longest side `size` pixels; colour None is its own."""
        key = (noun, colour, size)
        if key not in self._cache:
            self._cache[key] = self._make(noun, colour, size)
        return self._cache[key]

    def _picture(self, noun: str, colour: str | None) -> Image.Image:
        key = (noun, colour)
        if key not in self._coloured:
            rgba = self._objects[noun].copy()
            if colour is not None:
                rgb = recolour(_unit(rgba[..., :3]), colour)
                rgba[..., :3] = np.round(rgb * 255)
            self._coloured[key] = Image.fromarray(rgba)
        return self._coloured[key]

    def _make(self, noun: str, colour: str | None, size: int) -> Sprite:
        picture = self._picture(noun, colour)
        scale = size / max(picture.size)
        width, height = (max(1, round(side * scale)) for side in picture.size)
        # PIL resizes RGBA premultiplied, so no fringe of the transparent colour appears.
        small = _unit(picture.resize((width, height), Image.Resampling.LANCZOS))
        pad = _PAD * self._scale
        rgba = np.pad(small, ((pad, pad), (pad, pad), (0, 0)))
        alpha = np.ascontiguousarray(rgba[..., 3])
        return Sprite(rgba[..., :3] * alpha[..., None], alpha, _shadow(alpha, height, self._scale))


def _shadow(alpha: Pixels, height: int, scale: int) -> Pixels:
    """The object's own outline, squashed to its foot and blurred."""
    h, w = alpha.shape
    flat = Image.fromarray((alpha * 255).astype(np.uint8)).resize(
        (w, max(4 * scale, h // 4)), Image.Resampling.BILINEAR
    )
    ground = Image.new("L", (w, h))
    top = min(h - flat.height, _PAD * scale + height - flat.height + 4 * scale)
    ground.paste(flat, (2 * scale, top))
    blurred = _unit(ground.filter(ImageFilter.GaussianBlur(2.2 * scale)))
    blurred[blurred < 0.02] = 0
    blurred[[0, -1]] = 0
    blurred[:, [0, -1]] = 0
    return np.asarray(blurred * _SHADOW, np.float32)


def _unit(picture: Image.Image | npt.NDArray[np.uint8]) -> Pixels:
    """8-bit values as float32 in [0, 1]."""
    return np.asarray(np.asarray(picture, np.float32) / 255, np.float32)
