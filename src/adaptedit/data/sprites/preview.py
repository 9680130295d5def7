"""A contact sheet of samples, for people to look at."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from adaptedit.data.schema import EditSample

_LABEL, _GAP = 16, 8


def contact_sheet(samples: list[EditSample], columns: int = 2) -> Image.Image:
    """source | mask | target under each instruction, `columns` samples per row."""
    side = samples[0].source.shape[0]
    cell = 3 * side + _GAP, side + _LABEL + _GAP
    rows = -(-len(samples) // columns)
    canvas = Image.new("RGB", (columns * cell[0] + _GAP, rows * cell[1] + _GAP), "white")
    draw = ImageDraw.Draw(canvas)
    for index, sample in enumerate(samples):
        left, top = _GAP + index % columns * cell[0], _GAP + index // columns * cell[1]
        draw.text((left, top), f"{sample.kind}: {sample.instruction}", fill="black")
        parts = [sample.source, np.repeat(sample.mask[..., None], 3, 2), sample.target]
        canvas.paste(Image.fromarray(np.concatenate(parts, 1)), (left, top + _LABEL))
    return canvas
