"""A folder of render assets that is made here, of one cube, so that nothing is downloaded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from adaptedit.data.render import fetch, models, surfaces
from adaptedit.data.render.layout import HELD_OUT_LIGHTS, LIGHTS

CUBE = """
v -1 0 -1\nv 1 0 -1\nv 1 0 1\nv -1 0 1\nv -1 2 -1\nv 1 2 -1\nv 1 2 1\nv -1 2 1
usemtl paint
f 1 2 3 4\nf 5 8 7 6\nf 1 5 6 2\nf 2 6 7 3\nf 3 7 8 4\nf 4 8 5 1
"""
RED = "newmtl paint\nKd 0.8 0.1 0.1\n"


def obj(folder: Path, text: str, mtl: str | None = RED) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    if mtl is not None:
        (folder / "m.mtl").write_text(mtl)
    file = folder / "m.obj"
    file.write_text("mtllib m.mtl\n" + text)
    return file


def save_assets(folder: Path) -> Path:
    """As `fetch` leaves it: the cube under three names of each place, and of its held-out ones."""
    cube = obj(folder / "cube", CUBE)
    wanted: dict[tuple[str, bool], int] = {}
    for key, (noun, place, held_out) in models.chosen().items():
        wanted[place, held_out] = wanted.get((place, held_out), 0) + 1
        if wanted[place, held_out] <= 3:
            side = {"hand": 20, "top": 90, "room": 80, "any": 60, "street": 120}[place]
            record = {"name": noun, "width": f"{side}", "height": f"{side}", "depth": f"{side * 0.7}"}
            fetch.bake(cube, record, folder / "models" / key)
    rng = np.random.default_rng(0)
    (folder / "textures").mkdir()
    for surface in surfaces.SURFACES.values():
        if surface.texture:
            pixels = rng.integers(60, 200, (8, 8, 3), np.uint8)
            Image.fromarray(pixels).save(folder / "textures" / f"{surface.texture}.png")
    (folder / "lights").mkdir()
    for family in LIGHTS:
        for name in (*LIGHTS[family], *HELD_OUT_LIGHTS[family]):
            sky = rng.uniform(0.3, 1.5, (8, 16, 3)).astype(np.float32)
            np.save(folder / "lights" / name, sky)
    return folder
