"""A contact sheet *source | region | result*: it shows at a glance what was edited and where."""

from __future__ import annotations

from PIL import Image, ImageDraw, ImageFont

from adaptedit.pictures.image16 import Image16, as_8bit
from adaptedit.region import Region

PAPER = (250, 250, 248)
INK = (60, 60, 64)
FRAME = (214, 214, 210)
MIN_HEIGHT, MAX_HEIGHT = 256, 512
MAX_WIDTH = 2048  # of a panel; only a picture that is far wider than high would need more


def sheet(source: Image.Image | Image16, region: Region, result: Image.Image | Image16) -> Image.Image:
    """Labelled panels side by side, RGB; all three arguments have the same size.

    Panels are scaled to one common height between 256 and 512 pixels, or to a width of 2048.
    """
    width, height = source.size
    panel_height = min(max(height, MIN_HEIGHT), MAX_HEIGHT)
    scale = min(panel_height / height, MAX_WIDTH / width)
    panel = (max(1, round(width * scale)), max(1, round(height * scale)))
    source_rgb = _on_paper(source)
    pictures = {"source": source_rgb, "region": region.overlay(source_rgb), "result": _on_paper(result)}

    font_size = panel_height // 20 + 4
    margin, gap, label_height = panel_height // 16, panel_height // 24, font_size * 2
    canvas = Image.new(
        "RGB",
        (2 * margin + 3 * panel[0] + 2 * gap, 2 * margin + label_height + panel[1]),
        PAPER,
    )
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(size=font_size)
    for column, (label, picture) in enumerate(pictures.items()):
        left, top = margin + column * (panel[0] + gap), margin + label_height
        draw.text((left + panel[0] // 2, top - font_size), label, fill=INK, font=font, anchor="mm")
        draw.rectangle((left - 1, top - 1, left + panel[0], top + panel[1]), outline=FRAME)
        canvas.paste(picture.convert("RGB").resize(panel, Image.Resampling.LANCZOS), (left, top))
    return canvas


def _on_paper(picture: Image.Image | Image16) -> Image.Image:
    """RGB, with transparency shown as the sheet's own paper."""
    image = as_8bit(picture)
    if not image.has_transparency_data:
        return image.convert("RGB")
    rgba = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", rgba.size, (*PAPER, 255)), rgba).convert("RGB")
