"""What each cell of a picture shows: labels that `tiny` is pre-trained on, beside their sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from adaptedit.data.sample import EditSample
from adaptedit.region import Region

GRID = 16  # cells per side of the labels
UNKNOWN = -100  # a cell that is not labelled (what torch's cross-entropy leaves out)

Labels = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True, eq=False)
class CellLabels:
    """shown, wanted: (16, 16) integers, what each cell shows in the source and in the target: index of a noun
    or of a sign's word + 1; 0 = background, or UNKNOWN. The VL encoder is pre-trained on them.
    frames: (16, 16, 3) float32 or None, of the object that an edit puts or changes in each cell: its centre,
    x and y, and its longest side, in sides of the picture; NaN where there is none. things: (16, 16, 2)
    integers or None, what it is: index of a noun or of a sign's word, and of its look in `looks.LOOKS`.
    """

    shown: Labels
    wanted: Labels
    frames: npt.NDArray[np.float32] | None = None
    things: Labels | None = None


@dataclass(frozen=True, kw_only=True)
class LabelledSample(EditSample):
    """A pair that the project has made itself: target, region and labels are always there.

    The pictures are square and of one size; the category is the kind of edit.
    """

    target: Image.Image
    region: Region
    labels: CellLabels
