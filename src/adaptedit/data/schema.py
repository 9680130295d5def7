"""One training or evaluation sample: a picture, what was asked, where it changed, what should come out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

GRID = 16  # cells per side of the labels
UNKNOWN = -100  # a cell that is not labelled (what torch's cross-entropy leaves out)


Labels = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True)
class EditSample:
    """source, target: (H, W, 3) uint8. mask: (H, W) uint8, 255 = edit. kind: one of `phrases.KINDS`, or idle.
    shown, wanted: (16, 16) integers or None, what each cell of 8 pixels shows in the source and in the target
    (index of a noun or of a sign's word + 1; 0 = background, or UNKNOWN): the grounding labels that the VL
    encoder is pre-trained on.
    frames: (16, 16, 3) float32 or None, of the object that an edit puts or changes in each cell: its centre,
    x and y, and its longest side, in sides of the picture; NaN where there is none. things: (16, 16, 2)
    integers or None, what it is: index of a noun or of a sign's word, and of its look in `looks.LOOKS`.
    """

    source: npt.NDArray[np.uint8]
    target: npt.NDArray[np.uint8]
    mask: npt.NDArray[np.uint8]
    instruction: str
    kind: str
    shown: Labels | None = None
    wanted: Labels | None = None
    frames: npt.NDArray[np.float32] | None = None
    things: Labels | None = None
