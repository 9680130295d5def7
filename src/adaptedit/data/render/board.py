"""A sign's face: words in one colour on another."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from adaptedit.data.render.surfaces import COLOURS

_HEIGHT = 256
_INK = {"white": "black", "yellow": "black", "pink": "black", "orange": "black", "turquoise": "black"}


def board(text: str, colour: str, aspect: float) -> npt.NDArray[np.uint8]:
    """(256, 256 * aspect, 3) uint8, its first row the lowest, as a mitsuba rectangle has it."""
    width = max(32, round(_HEIGHT * aspect))
    shades = COLOURS[colour], COLOURS[_INK.get(colour, "white")]
    paint, ink = (tuple(round(255 * value) for value in shade) for shade in shades)
    face = Image.new("RGB", (width, _HEIGHT), paint)
    draw = ImageDraw.Draw(face)
    draw.rectangle([8, 8, width - 9, _HEIGHT - 9], outline=ink, width=6)
    size = _HEIGHT
    while size > 8:
        font = ImageFont.load_default(size)
        bold = size // 40
        box = draw.multiline_textbbox((0, 0), text, font, spacing=size // 6, stroke_width=bold)
        if box[2] - box[0] < width - 56 and box[3] - box[1] < _HEIGHT - 56:
            break
        size = round(size * 0.92)
    at = width / 2 - (box[0] + box[2]) / 2, _HEIGHT / 2 - (box[1] + box[3]) / 2
    draw.multiline_text(at, text, ink, font, spacing=size // 6, align="center", stroke_width=bold)
    return np.asarray(face)[::-1]
