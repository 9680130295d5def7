"""A small scene in pixels: its picture, outlines and labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from adaptedit.data.cells import GRID
from adaptedit.data.sprites.backgrounds import Pixels
from adaptedit.data.sprites.looks import LOOKS
from adaptedit.data.sprites.scene import SIZE, Placed
from adaptedit.data.sprites.sprites import Sprite, Sprites


class Canvas:
    """Draws with `sprites`, which are made for this scale: a scene has a side of `scale` times 128 pixels."""

    def __init__(self, sprites: Sprites, scale: int) -> None:
        self.sprites, self.scale, self.size = sprites, scale, SIZE * scale

    def picture(self, background: Pixels, objects: Sequence[Placed]) -> npt.NDArray[np.uint8]:
        """Lay the objects on the background, first to last; (size, size, 3) uint8."""
        canvas = background.copy()
        for placed in objects:
            sprite = self._sprite(placed)
            there, here = self._window(placed, sprite.alpha.shape)
            keep = (1 - sprite.shadow[here]) * (1 - sprite.alpha[here])
            canvas[there] = canvas[there] * keep[..., None] + sprite.colour[here]
        return (canvas * 255 + 0.5).astype(np.uint8)

    def outline(self, placed: Placed, flat: bool) -> Pixels:
        """Where the object alone can be seen, with its shadow unless `flat`."""
        mask = np.zeros((self.size, self.size), np.float32)
        sprite = self._sprite(placed)
        there, here = self._window(placed, sprite.alpha.shape)
        shadow = 0 if flat else np.minimum(sprite.shadow[here] * 8, 1)
        mask[there] = np.maximum(sprite.alpha[here], shadow)
        return mask

    def without(self, mask: Pixels, objects: Sequence[Placed]) -> Pixels:
        """The mask less what these objects hide."""
        for placed in objects:
            sprite = self._sprite(placed)
            there, here = self._window(placed, sprite.alpha.shape)
            mask[there] *= 1 - sprite.alpha[here]
        return mask

    def labels(self, objects: Sequence[Placed], names: Sequence[str]) -> npt.NDArray[np.uint8]:
        """Which of `names` each cell of 8x8 pixels shows at its centre, as `CellLabels.shown` says: a sign is
        called by its word."""
        labels = np.zeros((self.size, self.size), np.uint8)
        for placed in objects:
            sprite = self._sprite(placed)
            there, here = self._window(placed, sprite.alpha.shape)
            labels[there][sprite.alpha[here] > 0.5] = names.index(placed.word or placed.noun.name) + 1
        return labels[4 * self.scale :: 8 * self.scale, 4 * self.scale :: 8 * self.scale].copy()

    def frames(
        self, objects: Sequence[Placed], mask: npt.NDArray[np.uint8], names: Sequence[str]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        """Which of the objects each cell that the mask touches belongs to, the nearest, in the objects' own
        sizes: `CellLabels.frames` and `CellLabels.things`."""
        frames = np.full((GRID, GRID, 3), np.nan, np.float32)
        things = np.zeros((GRID, GRID, 2), np.int64)
        if not objects:
            return frames, things
        where = np.array([(o.x, o.y, o.size) for o in objects], np.float32) / SIZE
        what = np.array([(names.index(o.word or o.noun.name), LOOKS.index(o.look)) for o in objects])
        cells = (np.mgrid[:GRID, :GRID][::-1] + 0.5) / GRID  # x, y of the centres
        away = np.abs(where[:, :2, None, None] - cells).max(1) / where[:, 2, None, None]
        side = self.size // GRID
        touched = mask.reshape(GRID, side, GRID, side).max((1, 3)) >= 64
        nearest = away.argmin(0)[touched]
        frames[touched], things[touched] = where[nearest], what[nearest]
        return frames, things

    def _sprite(self, placed: Placed) -> Sprite:
        return self.sprites.get(placed.noun.name, placed.look, placed.size * self.scale, placed.word)

    def _window(
        self, placed: Placed, shape: tuple[int, int]
    ) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """Where a sprite of this shape falls on the scene, and which part of it does; (rows, columns)."""
        top, left = placed.y * self.scale - shape[0] // 2, placed.x * self.scale - shape[1] // 2
        (rows, here_rows), (columns, here_columns) = (
            (
                slice(max(start, 0), min(start + side, self.size)),
                slice(max(-start, 0), min(side, self.size - start)),
            )
            for start, side in ((top, shape[0]), (left, shape[1]))
        )
        return (rows, columns), (here_rows, here_columns)
