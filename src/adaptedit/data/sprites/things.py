"""Single objects on a piece of background: what the object decoder learns its dictionary from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from adaptedit.data.sprites import nouns
from adaptedit.data.sprites.looks import LOOKS, MATERIALS, PATTERNS
from adaptedit.data.sprites.scene import SIZE, SIZES, Placed, pick
from adaptedit.data.sprites.signs import WORDS
from adaptedit.data.sprites.synthetic import NEW_SIZE, SyntheticPairs

_SIDE, _EDGE = 72, 2  # pixels of the piece; how far from its middle the object may lie


@dataclass(frozen=True)
class Thing:
    """source, target (72, 72, 3) uint8, without and with it; frame (3,) float32, its centre x, y and longest
    side, in sides of the piece; name: index in `SyntheticPairs.labels`; look: in LOOKS."""

    source: npt.NDArray[np.uint8]
    target: npt.NDArray[np.uint8]
    frame: npt.NDArray[np.float32]
    name: int
    look: int


class Things:
    """Draws things of the nouns, looks, signs and backgrounds of some pairs."""

    def __init__(self, pairs: SyntheticPairs) -> None:
        self._pairs = pairs

    def draw(self, rng: np.random.Generator) -> Thing:
        sign = rng.random() < 0.1
        noun = nouns.SIGN if sign else pick(rng, [n for n in self._pairs.nouns if n is not nouns.SIGN])
        others = LOOKS[1:] if rng.random() < 0.5 else (*MATERIALS, *PATTERNS)
        look = None if sign or rng.random() < 0.5 else pick(rng, others)
        size = NEW_SIZE if rng.random() < 0.4 else pick(rng, (48, 52, 56, 60) if sign else SIZES)
        x, y = (int(v) for v in SIZE // 2 + rng.integers(-_EDGE, _EDGE, 2, endpoint=True))
        placed = Placed(noun, look, x, y, size, pick(rng, WORDS) if sign else "")
        background = self._pairs.backgrounds.draw(rng)
        start = (SIZE - _SIDE) // 2
        source, target = (
            self._pairs.canvas.picture(background, there)[start : start + _SIDE, start : start + _SIDE]
            for there in ([], [placed])
        )
        frame = np.array([x - start, y - start, size], np.float32) / np.float32(_SIDE)
        name = self._pairs.labels.index(placed.word or noun.name)
        return Thing(source, target, frame, name, LOOKS.index(look))
