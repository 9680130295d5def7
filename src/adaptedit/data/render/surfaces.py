"""What floors, walls, table tops and re-clad objects look like: pictures that tile, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from adaptedit.errors import AdaptEditError
from adaptedit.pictures.read import read_image

Pixels = npt.NDArray[np.uint8]

COLOURS: dict[str, tuple[float, float, float]] = {  # display (sRGB) values
    "red": (0.74, 0.08, 0.08),
    "orange": (0.90, 0.42, 0.06),
    "yellow": (0.93, 0.77, 0.12),
    "green": (0.15, 0.50, 0.20),
    "turquoise": (0.13, 0.62, 0.62),
    "blue": (0.10, 0.25, 0.68),
    "purple": (0.42, 0.18, 0.58),
    "pink": (0.92, 0.50, 0.63),
    "brown": (0.36, 0.22, 0.13),
    "white": (0.90, 0.90, 0.89),
    "grey": (0.48, 0.48, 0.48),
    "black": (0.06, 0.06, 0.07),
}
WALL_PAINTS: dict[str, tuple[float, float, float]] = {
    "white": (0.88, 0.87, 0.84),
    "cream": (0.88, 0.82, 0.68),
    "grey": (0.62, 0.62, 0.63),
    "light blue": (0.62, 0.75, 0.84),
    "dark blue": (0.16, 0.23, 0.40),
    "sage green": (0.60, 0.68, 0.56),
    "yellow": (0.90, 0.78, 0.42),
    "pink": (0.88, 0.68, 0.70),
    "terracotta": (0.72, 0.42, 0.30),
    "lilac": (0.72, 0.66, 0.82),
}


@dataclass(frozen=True)
class Surface:
    """words: how people name it ("wooden floor" comes from words + what it covers). tile: metres of one
    repetition. texture: a file of the fetched textures, or "" where `paint` draws it."""

    name: str
    words: str
    tile: float
    uses: str  # of: floor, wall, ground, table, material
    texture: str = ""
    held_out: bool = False


_PAINTED = {
    f"{name} paint": Surface(f"{name} paint", name, 1.0, "wall", held_out=name in ("lilac", "sage green"))
    for name in WALL_PAINTS
}
SURFACES: dict[str, Surface] = _PAINTED | {
    surface.name: surface
    for surface in (
        Surface("bricks", "brick", 1.6, "wall material", "brick_wall_1"),
        Surface("cinder blocks", "cinder block", 1.6, "wall", "cinder_blocks_1", True),
        Surface("stucco", "stucco", 1.2, "wall", "stucco_1"),
        Surface("concrete", "concrete", 2.0, "floor wall ground table material", "concrete_1"),
        Surface("asphalt", "asphalt", 2.5, "ground", "asphalt_1"),
        Surface("grass", "grass", 2.5, "ground", "grass_1"),
        Surface("dark grass", "dark grass", 2.5, "ground", "grass_2", True),
        Surface("rock", "rock", 1.5, "ground material", "rock_1"),
        Surface("paving", "paved", 2.0, "ground floor", "concrete_tiles_1"),
        Surface("wood", "wooden", 0.8, "floor table material", "wood_1"),
        Surface("pale wood", "pale wooden", 0.8, "floor table", "wood_2", True),
        Surface("dark planks", "dark plank", 1.2, "floor wall table", "wood_planks_1", True),
        Surface("marble", "marble", 1.0, "floor table material", "marble_1"),
        Surface("white tiles", "white tile", 1.2, "floor", "floor_tiles_white"),
        Surface("chequered tiles", "black and white tile", 1.2, "floor", "floor_tiles_bw_1"),
        Surface("cardboard", "cardboard", 0.6, "material", "cardboard_1"),
        Surface("parquet", "parquet", 1.2, "floor", held_out=True),
        Surface("oak planks", "oak plank", 1.6, "floor table"),
        Surface("grey planks", "grey plank", 1.6, "floor table"),
        Surface("terracotta tiles", "terracotta tile", 1.0, "floor"),
        Surface("blue tiles", "blue tile", 0.8, "floor wall"),
        Surface("green tiles", "green tile", 0.8, "wall", held_out=True),
        Surface("beige carpet", "beige carpet", 0.6, "floor"),
        Surface("red carpet", "red carpet", 0.6, "floor"),
        Surface("blue carpet", "blue carpet", 0.6, "floor", held_out=True),
        Surface("striped wallpaper", "striped", 0.6, "wall material"),
        Surface("dotted wallpaper", "polka dot", 0.5, "wall material"),
        Surface("checked cloth", "checked", 0.3, "table material"),
        Surface("white bricks", "white brick", 1.0, "wall"),
        Surface("sand", "sandy", 1.5, "ground"),
        Surface("gravel", "gravel", 1.5, "ground", held_out=True),
        Surface("snow", "snowy", 2.0, "ground"),
        Surface("leaves", "leaf-covered", 1.6, "ground"),
    )
}
METALS = {  # reflectance and roughness
    "gold": ((1.0, 0.71, 0.29), 0.18),
    "copper": ((0.93, 0.52, 0.38), 0.2),
    "steel": ((0.62, 0.62, 0.62), 0.22),
}


def usable(use: str, held_out: bool) -> list[Surface]:
    """The surfaces for a use; without the held-out ones, or those alone where there are any."""
    fit = [surface for surface in SURFACES.values() if use in surface.uses.split()]
    return [surface for surface in fit if surface.held_out == held_out] or fit


@lru_cache(maxsize=64)
def picture(name: str, textures: Path) -> Pixels:
    """The picture of a surface, (h, w, 3) uint8, tiling. AdaptEditError if its file was not fetched."""
    surface = SURFACES[name]
    if surface.texture:
        file = textures / f"{surface.texture}.png"
        if not file.is_file():
            raise AdaptEditError(f"no texture {file}: run `adaptedit data fetch --render`")
        return np.asarray(read_image(file).convert("RGB"))
    rng = np.random.default_rng(sum(name.encode()))
    if name in _PAINTED:
        drawn = np.ones((8, 8, 3)) * np.array(WALL_PAINTS[name.removesuffix(" paint")])
    else:
        drawn = PAINTERS[name](rng)
    return np.asarray(np.round(np.clip(drawn, 0, 1) * 255), np.uint8)


_SIDE = 256
Drawn = npt.NDArray[np.float64]


def _noise(rng: np.random.Generator, sigma: float | tuple[float, float]) -> Drawn:
    """Tiling noise (side, side, 1) of mean 0 and deviation 1."""
    noise = ndimage.gaussian_filter(rng.standard_normal((_SIDE, _SIDE)), sigma, mode="wrap")
    return np.asarray((noise - noise.mean()) / noise.std())[..., None]


def _planks(colour: tuple[float, float, float], rows: int = 8) -> Callable[[np.random.Generator], Drawn]:
    def draw(rng: np.random.Generator) -> Drawn:
        y, x = np.mgrid[:_SIDE, :_SIDE]
        row = y * rows // _SIDE
        column = (x + row * 97) % _SIDE * 2 // _SIDE
        tone = rng.uniform(0.82, 1.1, (rows, 2))[row, column][..., None]
        seam = (y % (_SIDE // rows) < 2) | ((x + row * 97) % (_SIDE // 2) < 2)
        grain = np.array(colour) * (tone + 0.05 * _noise(rng, (0.8, 14)))
        return np.asarray(grain * np.where(seam, 0.55, 1)[..., None])

    return draw


def _tiles(colour: tuple[float, float, float], count: int = 4) -> Callable[[np.random.Generator], Drawn]:
    def draw(rng: np.random.Generator) -> Drawn:
        y, x = np.mgrid[:_SIDE, :_SIDE]
        cell = _SIDE // count
        tone = rng.uniform(0.88, 1.08, (count, count))[y // cell, x // cell][..., None]
        grout = ((y % cell < 4) | (x % cell < 4))[..., None]
        return np.asarray(np.where(grout, 0.7, np.array(colour) * (tone + 0.03 * _noise(rng, 3))))

    return draw


def _grainy(colour: tuple[float, float, float], depth: float, sigma: float = 1.0) -> Callable[..., Drawn]:
    def draw(rng: np.random.Generator) -> Drawn:
        return np.asarray(np.array(colour) * (1 + depth * _noise(rng, sigma) + depth / 2 * _noise(rng, 12)))

    return draw


def _bricks(rng: np.random.Generator) -> Drawn:
    y, x = np.mgrid[:_SIDE, :_SIDE]
    row = y // 32
    shifted = (x + row % 2 * 32) % _SIDE
    tone = rng.uniform(0.9, 1.05, (8, 4))[row, shifted // 64][..., None]
    mortar = ((y % 32 < 3) | (shifted % 64 < 3))[..., None]
    return np.asarray(np.where(mortar, 0.62, 0.86 * tone + 0.02 * _noise(rng, 2)) * np.ones(3))


def _parquet(rng: np.random.Generator) -> Drawn:
    y, x = np.mgrid[:_SIDE, :_SIDE]
    turned = (y // 64 + x // 64) % 2 == 1
    strip = np.where(turned, x, y) % 64 // 16
    tone = rng.uniform(0.8, 1.1, (4, 4, 4))[y // 64, x // 64, strip][..., None]
    seam = (np.where(turned, x, y) % 16 < 1) | (y % 64 < 1) | (x % 64 < 1)
    return np.asarray(np.array((0.66, 0.45, 0.26)) * tone * np.where(seam, 0.6, 1)[..., None])


def _stripes(rng: np.random.Generator) -> Drawn:
    wide = (np.arange(_SIDE) // 32 % 2)[None, :, None] * np.ones((_SIDE, 1, 1))
    return np.asarray(np.where(wide > 0, np.array((0.85, 0.83, 0.76)), np.array((0.30, 0.42, 0.55))))


def _dots(rng: np.random.Generator) -> Drawn:
    y, x = np.mgrid[:_SIDE, :_SIDE] % 64 - 32
    return np.asarray(np.where((y**2 + x**2 < 200)[..., None], 0.9, np.array((0.78, 0.30, 0.34))))


def _checks(rng: np.random.Generator) -> Drawn:
    y, x = np.mgrid[:_SIDE, :_SIDE] // 64 % 2
    return np.asarray(np.array((0.85, 0.80, 0.76)) * (1 - np.array((0.05, 0.38, 0.38)) * (x + y)[..., None]))


def _leaves(rng: np.random.Generator) -> Drawn:
    kinds = np.array([(0.60, 0.34, 0.16), (0.68, 0.50, 0.22), (0.44, 0.24, 0.14), (0.38, 0.35, 0.18)])
    index = np.argmax([_noise(rng, 4)[..., 0] for _ in kinds], 0)
    return np.asarray(kinds[index] * (1 + 0.12 * _noise(rng, 1)))


PAINTERS: dict[str, Callable[[np.random.Generator], Drawn]] = {
    "parquet": _parquet,
    "oak planks": _planks((0.72, 0.54, 0.34)),
    "grey planks": _planks((0.52, 0.50, 0.47)),
    "terracotta tiles": _tiles((0.70, 0.38, 0.24)),
    "blue tiles": _tiles((0.25, 0.42, 0.62)),
    "green tiles": _tiles((0.30, 0.52, 0.40)),
    "beige carpet": _grainy((0.72, 0.64, 0.52), 0.08),
    "red carpet": _grainy((0.52, 0.20, 0.19), 0.1),
    "blue carpet": _grainy((0.26, 0.32, 0.45), 0.1),
    "striped wallpaper": _stripes,
    "dotted wallpaper": _dots,
    "checked cloth": _checks,
    "white bricks": _bricks,
    "sand": _grainy((0.78, 0.68, 0.50), 0.06),
    "gravel": _grainy((0.52, 0.50, 0.47), 0.22, 1.5),
    "snow": _grainy((0.93, 0.94, 0.96), 0.02, 3),
    "leaves": _leaves,
}
