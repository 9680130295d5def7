"""A contact sheet of samples, for people to look at."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw

from adaptedit.data.sample import EditSample

_LABEL, _GAP = 16, 8


def contact_sheet(samples: Sequence[EditSample], columns: int = 2) -> Image.Image:
    """source | mask | target under each instruction, `columns` samples per row; all of the first's width.
    White where a sample has no mask or no target."""
    side = samples[0].source.width
    cell = 3 * side + _GAP, side + _LABEL + _GAP
    rows = -(-len(samples) // columns)
    canvas = Image.new("RGB", (columns * cell[0] + _GAP, rows * cell[1] + _GAP), "white")
    draw = ImageDraw.Draw(canvas)
    for index, sample in enumerate(samples):
        left, top = _GAP + index % columns * cell[0], _GAP + index // columns * cell[1]
        draw.text((left, top), f"{sample.category}: {sample.instruction}", fill="black")
        mask = sample.region.to_image() if sample.region else None
        for place, part in enumerate((sample.source, mask, sample.target)):
            if part is not None:
                canvas.paste(part, (left + place * side, top + _LABEL))
    return canvas
