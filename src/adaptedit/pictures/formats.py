"""The one list of picture formats: which are read, which are written, and what each can hold."""

from __future__ import annotations

from typing import Any

# As PIL names them. A closed list, because PIL opens some 50 formats, and some of them run other programs.
READABLE = ("PNG", "JPEG", "WEBP", "BMP", "TIFF")
READABLE_IN_WORDS = "PNG, JPEG, WebP, BMP or TIFF"
WEB = ("PNG", "JPEG", "WEBP")  # what OpenAI's route takes
WEB_IN_WORDS = "PNG, JPEG or WebP"

# Per extension: the format's name in PIL, and the options for writing it.
WRITABLE: dict[str, tuple[str, dict[str, Any]]] = {
    ".png": ("PNG", {}),
    ".jpg": ("JPEG", {"quality": 95, "subsampling": 0}),
    ".jpeg": ("JPEG", {"quality": 95, "subsampling": 0}),
    ".webp": ("WEBP", {"lossless": True, "exact": True}),
    ".tif": ("TIFF", {}),
    ".tiff": ("TIFF", {}),
    ".bmp": ("BMP", {}),
}
WITHOUT_ALPHA = ("JPEG", "BMP")
WITH_16_BITS = ("PNG", "TIFF")
LONGEST_SIDE = {"JPEG": 65_500, "WEBP": 16_383}  # pixels; libjpeg's and libwebp's own limits
