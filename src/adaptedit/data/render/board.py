"""A sign's face: words in one colour on another."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from adaptedit.data.render.surfaces import COLOURS

_HEIGHT = 256
_MARGIN = 28
_CAPITAL = 0.7  # height of a capital in units of its font's size
_INK = {"white": "black", "yellow": "black", "pink": "black", "orange": "black", "turquoise": "black"}


def board(text: str, colour: str, aspect: float) -> npt.NDArray[np.uint8]:
    """(256, 256 * aspect, 3) uint8, its first row the lowest, as a mitsuba rectangle has it."""
    width = _width(aspect)
    shades = COLOURS[colour], COLOURS[_INK.get(colour, "white")]
    paint, ink = (tuple(round(255 * value) for value in shade) for shade in shades)
    face = Image.new("RGB", (width, _HEIGHT), paint)
    draw = ImageDraw.Draw(face)
    draw.rectangle([8, 8, width - 9, _HEIGHT - 9], outline=ink, width=6)
    size = _fitted(text, width)
    left, top, right, bottom = _box(text, size)
    at = width / 2 - (left + right) / 2, _HEIGHT / 2 - (top + bottom) / 2
    font, spacing, bold = _style(size)
    draw.multiline_text(at, text, ink, font, spacing=spacing, align="center", stroke_width=bold)
    return np.asarray(face)[::-1]


def capital(text: str, aspect: float) -> float:
    """The height of the text's capitals in units of the face's height."""
    return _CAPITAL * _fitted(text, _width(aspect)) / _HEIGHT


def _width(aspect: float) -> int:
    return max(32, round(_HEIGHT * aspect))


def _fitted(text: str, width: int) -> int:
    """The largest font size with which the text stays inside the border."""
    size = _HEIGHT
    while size > 8:
        left, top, right, bottom = _box(text, size)
        if right - left < width - 2 * _MARGIN and bottom - top < _HEIGHT - 2 * _MARGIN:
            break
        size = round(size * 0.92)
    return size


def _style(size: int) -> tuple[ImageFont.FreeTypeFont | ImageFont.ImageFont, int, int]:
    """Font, pixels between lines, and pixels of bold around each stroke."""
    return ImageFont.load_default(size), size // 6, size // 40


def _box(text: str, size: int) -> tuple[float, float, float, float]:
    font, spacing, bold = _style(size)
    draw = ImageDraw.Draw(Image.new("L", (1, 1)))
    return draw.multiline_textbbox((0, 0), text, font, spacing=spacing, stroke_width=bold)
