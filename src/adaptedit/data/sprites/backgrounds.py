"""Varied backgrounds: packed textures, walls with floors, gradients, stripes, checks and soft noise; and
those that an instruction can name, which always look the same."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from adaptedit.data.sprites.colours import COLOURS

Pixels = npt.NDArray[np.float32]


class Backgrounds:
    """A pool of larger pictures, drawn once, from which each scene takes a random crop, flip and tint.

    textures: (h, w, 3) uint8 pictures. size: side of a scene in pixels. seed: decides the pool's drawn
    pictures, so that a held-out pool has other ones.
    """

    def __init__(self, textures: list[npt.NDArray[np.uint8]], size: int, seed: int, pool: int = 256) -> None:
        rng = np.random.default_rng(seed)
        self.size = size
        self.pool: list[npt.NDArray[np.uint8]] = []
        painters = [_gradient, _room, _stripes, _checks, _noise]
        for index in range(pool):
            if textures and index % 2:
                picture = _textured(rng, textures[(index // 2) % len(textures)], int(size * 1.5))
            else:
                picture = painters[(index // 2) % len(painters)](rng, int(size * 1.5))
            self.pool.append((np.clip(picture, 0, 1) * 255).astype(np.uint8))

    def draw(self, rng: np.random.Generator) -> Pixels:
        """One background, (size, size, 3) float32 in [0, 1]."""
        picture = self.pool[rng.integers(len(self.pool))]
        slack = picture.shape[0] - self.size
        top, left = rng.integers(slack + 1, size=2)
        picture = picture[top : top + self.size, left : left + self.size]
        if rng.random() < 0.5:
            picture = picture[:, ::-1]
        gain = (rng.uniform(0.85, 1.1) * rng.uniform(0.95, 1.05, 3) / 255).astype(np.float32)
        return np.asarray(np.minimum(picture * gain, np.float32(1)), np.float32)


_NAMED = {  # as an instruction says it -> texture
    "a brick wall": "brick_wall_1",
    "wooden planks": "wood_planks_1",
    "a wooden table": "wood_1",
    "grass": "grass_1",
    "a lawn": "grass_1",
    "marble": "marble_1",
    "concrete": "concrete_1",
    "water": "water_1",
    "rock": "rock_1",
    "cardboard": "cardboard_1",
    "white tiles": "floor_tiles_white",
    "asphalt": "asphalt_1",
    "a metal grill": "metal_grill_1",
}


class Places:
    """The backgrounds that an instruction can name: some textures, plain colours, stripes and checks."""

    def __init__(self, textures: dict[str, npt.NDArray[np.uint8]], size: int) -> None:
        self._textures, self._size = textures, size
        self.names = [name for name, texture in _NAMED.items() if texture in textures]
        self.names += [f"{words} {colour} background" for colour in COLOURS for words in ("a", "a plain")]
        self.names += [f"{colour} {pattern}" for colour in COLOURS for pattern in ("stripes", "checks")]

    def picture(self, name: str) -> Pixels:
        """(size, size, 3) float32 in [0, 1]."""
        if name in _NAMED:
            texture = Image.fromarray(self._textures[_NAMED[name]])
            sized = texture.resize((self._size, self._size), Image.Resampling.LANCZOS)
            return np.asarray(np.asarray(sized) / 255, np.float32)
        y, x = np.mgrid[: self._size, : self._size].astype(np.float32) / self._size
        if name.endswith("background"):
            colour, pale = name.split()[-2], np.zeros_like(x, bool)
        else:
            colour, pattern = name.split()
            pale = x * 8 % 2 < 1 if pattern == "stripes" else (x * 8 // 1 + y * 8 // 1) % 2 < 1
        base = 0.9 * np.array(COLOURS[colour], np.float32)
        lit = base * (1.05 - 0.15 * y)[..., None]
        return np.asarray(np.where(pale[..., None], 0.45 + 0.55 * lit, lit), np.float32)


def _colour(rng: np.random.Generator) -> Pixels:
    """A wall-paint colour: seldom very dark, seldom very saturated."""
    value, saturation = rng.uniform(0.35, 0.97), rng.uniform(0, 0.4)
    return (value * (1 - saturation * rng.random(3))).astype(np.float32)


def _ramp(rng: np.random.Generator, size: int) -> Pixels:
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[:size, :size].astype(np.float32) / size - 0.5
    return np.asarray((np.cos(angle) * x + np.sin(angle) * y + 0.7) / 1.4, np.float32)[..., None]


def _gradient(rng: np.random.Generator, size: int) -> Pixels:
    ramp = _ramp(rng, size)
    return np.asarray(_colour(rng) * ramp + _colour(rng) * (1 - ramp), np.float32)


def _room(rng: np.random.Generator, size: int) -> Pixels:
    """A wall over a floor."""
    horizon = int(size * rng.uniform(0.35, 0.65))
    picture = _gradient(rng, size)
    picture[horizon:] = _gradient(rng, size)[horizon:] * 0.85
    return picture


def _stripes(rng: np.random.Generator, size: int) -> Pixels:
    wave = 0.5 + 0.5 * np.sign(np.sin(_ramp(rng, size) * rng.uniform(30, 80)))
    base = _colour(rng)
    return np.asarray(base * wave + base * rng.uniform(0.75, 0.95) * (1 - wave), np.float32)


def _checks(rng: np.random.Generator, size: int) -> Pixels:
    cell = int(rng.integers(10, 28))
    y, x = np.mgrid[:size, :size] // cell
    odd = ((x + y) % 2).astype(np.float32)[..., None]
    base = _colour(rng)
    return np.asarray(base * odd + base * rng.uniform(0.75, 0.95) * (1 - odd), np.float32)


def _noise(rng: np.random.Generator, size: int) -> Pixels:
    coarse = Image.fromarray(rng.integers(0, 255, (12, 12), np.uint8)).resize(
        (size, size), Image.Resampling.BICUBIC
    )
    soft = np.asarray(coarse, np.float32)[..., None] / 255
    return np.asarray(_colour(rng) * soft + _colour(rng) * (1 - soft), np.float32)


def _textured(rng: np.random.Generator, texture: npt.NDArray[np.uint8], size: int) -> Pixels:
    picture = (
        np.asarray(Image.fromarray(texture).resize((size, size), Image.Resampling.LANCZOS), np.float32) / 255
    )
    return np.asarray(picture * (0.8 + 0.4 * _ramp(rng, size)), np.float32)
