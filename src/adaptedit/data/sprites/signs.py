"""Signs with a word on them, drawn; so that there is text to edit."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

WORDS = (
    "OPEN", "SALE", "STOP", "EXIT", "TAXI", "CAFE", "FREE", "HELLO", "NEW", "SOLD", "HOTEL", "PIZZA",
    "WAIT", "GO", "YES", "NO", "BOOKS", "TEA", "MENU", "SHOP",
)  # fmt: skip
_SIZE, _EDGE = (192, 96), 8


@cache
def sign(word: str) -> npt.NDArray[np.uint8]:
    """A white board with a dark rim and the word, (96, 192, 4) uint8 RGBA."""
    board = Image.new("RGBA", _SIZE, (0, 0, 0, 0))
    draw = ImageDraw.Draw(board)
    box = (0, 0, _SIZE[0] - 1, _SIZE[1] - 1)
    draw.rounded_rectangle(box, radius=14, fill="#f4f1e8", outline="#55504a", width=_EDGE)
    size = 78
    while draw.textlength(word, ImageFont.load_default(size)) > _SIZE[0] - 4 * _EDGE:
        size -= 2
    centre = (_SIZE[0] // 2, _SIZE[1] // 2)
    draw.text(centre, word, "#1e1d22", ImageFont.load_default(size), anchor="mm", stroke_width=2)
    return np.asarray(board)
