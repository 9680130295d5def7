"""A tiny asset pack that is drawn here, laid out as `assets.load` returns it: no test needs a download."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

Pack = dict[str, npt.NDArray[np.uint8]]

SIDE = 64
# Names and own colours as in data/nouns.py; the last two are held out. All are solid at their centre.
OBJECTS = {
    "apple": ("ellipse", (200, 30, 40)),
    "banana": ("ellipse", (235, 205, 40)),
    "pear": ("ellipse", (60, 160, 70)),
    "book": ("rectangle", (190, 40, 50)),
    "cat": ("ellipse", (150, 120, 100)),
    "car": ("rectangle", (210, 40, 40)),
    "tomato": ("ellipse", (220, 50, 40)),
    "basketball": ("ellipse", (230, 130, 40)),
}
TEXTURES = {
    "brick_wall_1": (170, 90, 70),
    "grass_1": (110, 150, 80),
    "wood_1": (160, 120, 80),
    "rock_1": (120, 115, 110),
    "marble_2": (210, 210, 215),
    "water_2": (90, 130, 170),
}


@cache
def pack() -> Pack:
    arrays = {f"object/{name}": _object(shape, colour) for name, (shape, colour) in OBJECTS.items()}
    return arrays | {f"texture/{name}": _texture(colour) for name, colour in TEXTURES.items()}


def save(folder: Path) -> Path:
    """The pack where `assets.load(folder)` finds it; returns the folder."""
    np.savez(folder / "pack.npz", **pack())
    return folder


def _object(shape: str, colour: tuple[int, int, int]) -> npt.NDArray[np.uint8]:
    """A shaded shape with a soft edge, wider than high for rectangles."""
    alpha = Image.new("L", (SIDE, SIDE if shape == "ellipse" else SIDE * 3 // 4))
    width, height = alpha.size
    getattr(ImageDraw.Draw(alpha), shape)((3, 3, width - 4, height - 4), fill=255)
    shading = np.linspace(1.15, 0.75, height)[:, None, None] * np.ones((1, width, 1))
    rgb = np.clip(shading * colour, 0, 255).astype(np.uint8)
    return np.dstack([rgb, np.asarray(alpha.filter(ImageFilter.GaussianBlur(1.5)))])


def _texture(colour: tuple[int, int, int]) -> npt.NDArray[np.uint8]:
    grain = np.random.default_rng(sum(colour)).uniform(0.8, 1.1, (SIDE, SIDE, 1))
    return np.clip(grain * colour, 0, 255).astype(np.uint8)
