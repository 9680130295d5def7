"""Pictures in and out: the RGB that a model sees, and what must come back as it was (mode, alpha, ICC)."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from adaptedit.errors import AdaptEditError
from adaptedit.files import read_image, upright, write_atomically

Source = str | Path | Image.Image | NDArray[np.uint8]

# The mode of the edited picture, by the mode of the source without and with transparency.
# A palette cannot hold the edit's new colours and a bitmap no greys: P becomes RGB, 1 becomes L.
MODES = {
    "1": ("L", "LA"),
    "L": ("L", "LA"),
    "LA": ("L", "LA"),
    "P": ("RGB", "RGBA"),
    "PA": ("RGB", "RGBA"),
    "RGB": ("RGB", "RGBA"),
    "RGBA": ("RGB", "RGBA"),
}

# Per extension: PIL's format and options; WebP is lossless so that what was kept stays kept.
FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    ".png": ("PNG", {}),
    ".jpg": ("JPEG", {"quality": 95, "subsampling": 0}),
    ".jpeg": ("JPEG", {"quality": 95, "subsampling": 0}),
    ".webp": ("WEBP", {"lossless": True, "exact": True}),
    ".tif": ("TIFF", {"compression": "tiff_adobe_deflate"}),
    ".tiff": ("TIFF", {"compression": "tiff_adobe_deflate"}),
    ".bmp": ("BMP", {}),
}
WITHOUT_ALPHA = ("JPEG", "BMP")


@dataclass(frozen=True, eq=False)
class Picture:
    """A source picture: `rgb` to edit, and the rest to put back.

    rgb: PIL RGB, upright (EXIF orientation applied); under transparent pixels, the file's hidden colours.
    mode: the mode of the edited picture, one of L, LA, RGB, RGBA.
    alpha: the source's own alpha channel (PIL L), if the mode has one.
    icc_profile: the source's colour profile, if any.
    """

    rgb: Image.Image
    mode: str
    alpha: Image.Image | None
    icc_profile: bytes | None

    @classmethod
    def open(cls, source: Source) -> Picture:
        """From a path, a PIL image, or uint8 (H, W), (H, W, 3) or (H, W, 4) in RGB(A) order.

        Raises AdaptEditError for unreadable files, animations, other arrays, and modes that are not 8-bit
        grey, palette or RGB (16-bit, float, CMYK, ...).
        """
        if isinstance(source, (str, Path)):
            image, name = read_image(source), str(source)
        elif isinstance(source, Image.Image):
            image, name = upright(source, "the picture"), "the picture"
        else:
            image, name = _from_array(source), "the picture"
        if image.mode not in MODES:
            raise AdaptEditError(
                f"{name}: mode {image.mode} is not supported; convert it to 8-bit RGB, RGBA or grey first"
            )
        transparent = image.has_transparency_data
        rgba = image.convert("RGBA") if transparent else None
        return cls(
            rgb=(rgba or image).convert("RGB"),
            mode=MODES[image.mode][transparent],
            alpha=rgba.getchannel("A") if rgba else None,
            icc_profile=image.info.get("icc_profile"),
        )

    @property
    def size(self) -> tuple[int, int]:
        """(W, H) in pixels."""
        return self.rgb.size

    def restore(self, edited_rgb: Image.Image) -> Image.Image:
        """The edited RGB in this picture's mode, with its own alpha and colour profile.

        Grey pixels (r = g = b) keep their exact value in L and LA.
        Raises AdaptEditError for another size or mode.
        """
        if edited_rgb.mode != "RGB" or edited_rgb.size != self.size:
            raise AdaptEditError(
                f"the edit must be RGB and {self.size[0]}x{self.size[1]} pixels, "
                f"got {edited_rgb.mode} and {edited_rgb.size[0]}x{edited_rgb.size[1]}"
            )
        image = edited_rgb.convert("L") if self.mode in ("L", "LA") else edited_rgb.copy()
        image.info.clear()
        if self.alpha is not None:
            image.putalpha(self.alpha)
        if self.icc_profile:
            image.info["icc_profile"] = self.icc_profile
        return image


def save(image: Image.Image, path: str | Path) -> None:
    """Writes the picture in the format of the path's extension, whole or not at all.

    PNG, TIFF, BMP and WebP are lossless; JPEG has quality 95 and full colour resolution. Raises
    AdaptEditError for an unknown extension, transparency in a format that has none, and a failed write.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in FORMATS:
        raise AdaptEditError(f"{path}: unknown extension '{suffix}'; use one of {', '.join(FORMATS)}")
    kind, options = FORMATS[suffix]
    if kind in WITHOUT_ALPHA and image.has_transparency_data:
        raise AdaptEditError(f"{path}: {kind} cannot hold transparency; save as .png instead")
    buffer = io.BytesIO()
    try:
        image.save(buffer, format=kind, icc_profile=image.info.get("icc_profile"), **options)
    except (OSError, ValueError) as error:
        raise AdaptEditError(f"{path}: cannot be written as {kind} ({error}); try .png") from None
    write_atomically(path, buffer.getvalue())


def _from_array(array: NDArray[np.uint8]) -> Image.Image:
    shape, dtype = getattr(array, "shape", None), getattr(array, "dtype", type(array).__name__)
    shaped = shape and 0 not in shape and (len(shape) == 2 or (len(shape) == 3 and shape[2] in (3, 4)))
    if not isinstance(array, np.ndarray) or dtype != np.uint8 or not shaped:
        raise AdaptEditError(
            f"a picture is a path, a PIL image or a non-empty uint8 array (H, W), (H, W, 3) or (H, W, 4), "
            f"got {dtype} of shape {shape}"
        )
    return Image.fromarray(np.ascontiguousarray(array))
