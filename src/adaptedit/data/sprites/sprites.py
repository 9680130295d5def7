"""Objects ready to be laid on a scene: any noun, look and size, with its soft shadow, cached."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from adaptedit.data.sprites import looks
from adaptedit.data.sprites.signs import sign

Pixels = npt.NDArray[np.float32]
Picture = npt.NDArray[np.uint8]

_SIDE = 96  # pixels, longest side of a picture before it is sized
_PAD = 8  # pixels around a sprite, room for its shadow
_SHADOW = 0.42  # strongest darkening


@dataclass(frozen=True)
class Sprite:
    """All float32 in [0, 1]: colour (h, w, 3) premultiplied by alpha, alpha (h, w), shadow (h, w)."""

    colour: Pixels
    alpha: Pixels
    shadow: Pixels


class Sprites:
    """Sprites by noun, look and size.

    objects: nouns and their RGBA pictures (h, w, 4) uint8; a sign is drawn. textures: for the looks that need
    one. scale: of the scene over its usual 128 pixels, for the shadows.
    """

    def __init__(self, objects: dict[str, Picture], textures: dict[str, Picture], scale: int = 1) -> None:
        self._objects, self._textures, self._scale = objects, textures, scale
        self._picture = lru_cache(2048)(self._picture_of)
        self.get = lru_cache(8192)(self._make)

    def _picture_of(self, noun: str, look: str | None, word: str) -> Image.Image:
        picture = Image.fromarray(sign(word) if word else self._objects[noun])
        picture.thumbnail((_SIDE * self._scale, _SIDE * self._scale), Image.Resampling.LANCZOS)
        rgba = np.array(picture)
        if look is not None:
            rgba[..., :3] = np.round(looks.look(_unit(rgba[..., :3]), look, self._textures) * 255)
        return Image.fromarray(rgba)

    def _make(self, noun: str, look: str | None, size: int, word: str = "") -> Sprite:
        """The noun with its longest side `size` pixels; look None is its own; word: what a sign says."""
        picture = self._picture(noun, look, word)
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
