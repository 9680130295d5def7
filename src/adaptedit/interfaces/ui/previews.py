"""Pictures small enough to send to a page; whoever wants the pixels downloads the picture."""

from __future__ import annotations

import base64
import io

from PIL import Image

from adaptedit.interfaces.ui.canvas import shown_size
from adaptedit.pictures.image16 import as_8bit
from adaptedit.pictures.picture import Picture
from adaptedit.region import Size

SMALL = 512 * 512  # pixels up to which a preview is lossless
THUMBNAIL = 144  # pixels of its longer side


def preview(picture: Picture) -> str:
    """A WebP data URL of `shown_size`, transparency kept."""
    return _webp(picture, shown_size(picture.size))


def thumbnail(picture: Picture) -> str:
    """A WebP data URL, 144 pixels at its longer side or less."""
    scale = min(1.0, THUMBNAIL / max(picture.size))
    return _webp(picture, (max(1, round(picture.size[0] * scale)), max(1, round(picture.size[1] * scale))))


def _webp(picture: Picture, size: Size) -> str:
    seen = as_8bit(picture.original)
    seen = seen.convert("RGBA" if seen.has_transparency_data else "RGB")
    if seen.size != size:
        seen = seen.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
    buffer = io.BytesIO()
    in_rgb = picture.mode.startswith("RGB")  # the profile of a grey picture does not fit its RGB
    profile = picture.original.info.get("icc_profile", b"") if in_rgb else b""
    lossless = size[0] * size[1] <= SMALL
    seen.save(buffer, format="WEBP", lossless=lossless, quality=90, method=2, icc_profile=profile)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
