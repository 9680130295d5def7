"""Pairs of any size for the measurement: synthetic scenes, set into wider pictures with grain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from adaptedit.data.sample import EditSample
from adaptedit.data.sprites.backgrounds import Backgrounds
from adaptedit.data.sprites.synthetic import SyntheticPairs
from adaptedit.region import Region

LOCAL = ("add", "remove", "replace", "recolour")  # kinds of edit
SPLIT = "phrasings"
GRAIN = 4.0  # standard deviation, 8-bit levels: what a photograph has and a drawing has not


@dataclass
class _Window:
    """In place of `Backgrounds`: the part of a wider picture that the scene is drawn on."""

    pixels: np.ndarray

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        return self.pixels


def scenes(longest: int, count: int, seed: int = 0) -> list[EditSample]:
    """Pictures of longest x 3/4 longest pixels; the objects lie in a square of half their width.

    longest: 128 (a square scene and nothing around it) or a multiple of 256.
    """
    scale = max(longest // 256, 1)
    pairs = SyntheticPairs(SPLIT, scale=scale, pool=1)
    backgrounds = Backgrounds(_textures(), longest, seed=0, pool=16 if longest <= 1024 else 6)
    found = []
    for number in range(count):
        rng = np.random.default_rng([seed, longest, number])
        width, height = longest, longest if longest == 128 else longest * 3 // 4
        wide = backgrounds.draw(rng)[:height, :width].copy()
        side = pairs.size
        left, top = int(rng.integers(width - side + 1)), int(rng.integers(height - side + 1))
        pairs.backgrounds = _Window(wide[top : top + side, left : left + side])  # type: ignore[assignment]
        pair = pairs.draw(rng, LOCAL[rng.integers(len(LOCAL))])
        pairs.canvas.sprites.get.cache_clear()  # hundreds of megabytes at 4096 pixels
        mask = np.zeros((height, width), np.float32)
        mask[top : top + side, left : left + side] = pair.region.mask
        grain = rng.normal(0, GRAIN, (height, width, 1)).astype(np.float32)
        pictures = []
        for scene in (pair.source, pair.target):
            picture = wide * 255
            picture[top : top + side, left : left + side] = scene
            pictures.append(Image.fromarray((picture + grain + 0.5).clip(0, 255).astype(np.uint8)))
        found.append(
            EditSample(
                f"{longest}-{number}", pair.instruction, *pictures, Region.from_array(mask), pair.category
            )
        )
    return found


def _textures() -> list[np.ndarray]:
    from adaptedit.data.sprites import assets

    pack = assets.load()
    return [pack[f"texture/{name}"] for name in assets.TRAIN_TEXTURES]
