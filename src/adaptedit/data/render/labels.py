"""Grounding labels: which noun a picture shows in each cell of a 16x16 grid."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from adaptedit.data.cells import GRID
from adaptedit.data.render.engine import Frame
from adaptedit.data.render.models import chosen
from adaptedit.data.render.scene import Scene

NOUNS: tuple[str, ...] = (*dict.fromkeys(noun for noun, _, _ in chosen().values()), "sign")


def labels(scene: Scene, frame: Frame) -> npt.NDArray[np.uint8]:
    """(16, 16) uint8: the index + 1 of the noun that takes more of a cell than any other and than the
    background (floor, walls, table top, sky), which is 0."""
    shares = np.zeros((len(NOUNS) + 1, GRID, GRID), np.float32)
    for thing in scene.things:
        if thing.key in frame.cover:
            cover = Image.fromarray(frame.cover[thing.key])
            shares[NOUNS.index(thing.noun) + 1] += cover.resize((GRID, GRID), Image.Resampling.BOX)
    shares[0] = 1 - shares.sum(0)
    return np.asarray(shares.argmax(0), np.uint8)
