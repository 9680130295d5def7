"""Pictures in: the RGB that a model sees, and the original that the edit goes back into."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from adaptedit.errors import AdaptEditError
from adaptedit.pictures import metadata
from adaptedit.pictures.formats import READABLE
from adaptedit.pictures.image16 import Image16, as_8bit, decode, undecoded
from adaptedit.pictures.read import check_size, opened, upright

Source = str | Path | Image.Image | Image16 | NDArray[np.uint8] | NDArray[np.uint16]

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


@dataclass(frozen=True, eq=False)
class Picture:
    """A source picture: `rgb` to edit, and the original to put the edit into.

    rgb: PIL RGB, 8 bits a channel, upright; under transparent pixels, the file's hidden colours.
    original: upright (EXIF orientation applied), in the mode of the edited picture: a PIL image in L, LA, RGB
        or RGBA, or an `Image16`. Its `info` has what `metadata.kept` keeps.
    """

    rgb: Image.Image
    original: Image.Image | Image16

    @classmethod
    def open(cls, source: Source) -> Picture:
        """From a path, a PIL image, an `Image16`, or an array of uint8 or uint16 (H, W), (H, W, 3) or
        (H, W, 4) in RGB(A) order. For a file's bytes see `read`.

        PNG and TIFF files keep 16 bits a channel, as does a PIL image of mode I;16 or one that was opened
        but not yet decoded. Any other format is what PIL makes of it, in 8 bits.

        Raises AdaptEditError for unreadable files, animations, other arrays, and modes that are not grey,
        palette or RGB of 8 or 16 bits (32-bit, float, CMYK, ...).
        """
        if isinstance(source, (str, Path)):
            return cls.read(source)
        if isinstance(source, Image.Image):
            return cls._of(source, "the picture")
        original = source if isinstance(source, Image16) else _from_array(source)
        check_size(original.size, "the picture")
        return cls.with_original(original)

    @classmethod
    def read(
        cls,
        source: str | Path | bytes,
        *,
        name: str | None = None,
        formats: Sequence[str] = READABLE,
        max_pixels: int | None = None,
    ) -> Picture:
        """From a file, by its path or its bytes. name: starts the error messages; by default the path.

        Raises AdaptEditError as `open` does, TooManyPixels for a picture of more than `max_pixels`.
        """
        name = name or ("the picture" if isinstance(source, bytes) else str(source))
        with opened(source, name=name, formats=formats, max_pixels=max_pixels) as image:
            return cls._of(image, name)

    @classmethod
    def with_original(cls, original: Image.Image | Image16) -> Picture:
        """original: as the attribute of this name."""
        return cls(as_8bit(original).convert("RGB"), original)

    @classmethod
    def _of(cls, image: Image.Image, name: str) -> Picture:
        data = undecoded(image)
        seen = upright(image, name)
        samples = decode(image, data, seen, name)
        info = metadata.kept(image, seen.size)
        if samples is not None:
            return cls.with_original(Image16(samples, info))
        if seen.mode not in MODES:
            raise AdaptEditError(
                f"{name}: mode {seen.mode} is not supported; convert it to 8-bit RGB, RGBA or grey first"
            )
        transparent = seen.has_transparency_data
        whole = seen.convert("RGBA") if transparent else seen
        kept = whole.convert(MODES[seen.mode][transparent])
        kept.info = dict(info.items())
        return cls.with_original(kept)

    @property
    def size(self) -> tuple[int, int]:
        """(W, H) in pixels."""
        return self.rgb.size

    @property
    def bytes(self) -> int:
        """Memory of the pixels. PIL gives four bytes to each pixel, but for one to grey."""
        pixels = self.size[0] * self.size[1]
        if isinstance(self.original, Image16):
            return 4 * pixels + self.original.samples.nbytes
        return 4 * pixels + (pixels if self.mode == "L" else 4 * pixels)

    @property
    def mode(self) -> str:
        """The mode of the edited picture: L, LA, RGB or RGBA, or one of `Image16`."""
        return self.original.mode

    def restore(self, edited_rgb: Image.Image) -> Image.Image | Image16:
        """The edited RGB in this picture's mode and depth, with its own alpha and metadata.

        Grey pixels (r = g = b) keep their exact value in L and LA. At 16 bits, a pixel that equals that of
        `rgb` keeps its exact samples and any other is moved by its change, see `Image16.edited`.
        Raises AdaptEditError for another size or mode.
        """
        if edited_rgb.mode != "RGB" or edited_rgb.size != self.size:
            raise AdaptEditError(
                f"the edit must be RGB and {self.size[0]}x{self.size[1]} pixels, "
                f"got {edited_rgb.mode} and {edited_rgb.size[0]}x{edited_rgb.size[1]}"
            )
        if isinstance(self.original, Image16):
            return self.original.edited(self.rgb, edited_rgb)
        image = edited_rgb.convert("L") if self.mode in ("L", "LA") else edited_rgb.copy()
        if self.mode in ("LA", "RGBA"):
            image.putalpha(self.original.getchannel("A"))
        image.info = self.original.info.copy()
        return image


def _from_array(array: NDArray[np.uint8] | NDArray[np.uint16]) -> Image.Image | Image16:
    shape, dtype = getattr(array, "shape", None), getattr(array, "dtype", type(array).__name__)
    shaped = shape and 0 not in shape and (len(shape) == 2 or (len(shape) == 3 and shape[2] in (3, 4)))
    if not isinstance(array, np.ndarray) or dtype not in (np.uint8, np.uint16) or not shaped:
        raise AdaptEditError(
            f"a picture is a path, a PIL image or a non-empty array of uint8 or uint16, (H, W), (H, W, 3) or "
            f"(H, W, 4), got {dtype} of shape {shape}"
        )
    if array.dtype == np.uint16:
        return Image16(array.astype(np.uint16))
    return Image.fromarray(np.ascontiguousarray(array))
