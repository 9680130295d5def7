"""`Region`: where to edit. The one type that carries a mask, so that its polarity is never guessed."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from PIL import Image, ImageChops, ImageFilter

from adaptedit.errors import AdaptEditError
from adaptedit.files import write_atomically
from adaptedit.morphology import Mask, area_pool, connected_components, disc_maximum, disc_minimum
from adaptedit.pictures.read import read_image

if TYPE_CHECKING:
    from torch import Tensor

Box = tuple[int, int, int, int]  # left, top, right, bottom; right and bottom exclusive, as in PIL
Size = tuple[int, int]  # width, height, as in PIL
Polarity = Literal["white", "black", "alpha"]  # what a mask's file marks as the place to edit

TINT = (255, 0, 110)
MAX_PARTS = 256
MAX_TINGE = 16  # levels of difference between the colour channels that a grey mask may have


@dataclass(frozen=True, eq=False)
class Region:
    """A soft mask over a picture: float32 (H, W) in [0, 1], 1 = edit, 0 = keep.

    Sizes are (W, H) and boxes (left, top, right, bottom), in pixels, as in PIL. A read-only array is taken as
    it is, a writable one is copied. Raises AdaptEditError for another shape or values not in [0, 1].
    """

    mask: Mask

    def __post_init__(self) -> None:
        mask = np.asarray(self.mask)
        if mask.ndim != 2 or mask.size == 0 or mask.dtype.kind not in "buif":
            raise AdaptEditError(
                f"a mask is a non-empty array of numbers (H, W), got shape {mask.shape} of {mask.dtype}"
            )
        low, high = float(mask.min()), float(mask.max())
        if not (low >= 0.0 and high <= 1.0):  # also true for NaN
            hint = "; divide 0..255 values by 255" if 1.0 < high <= 255.0 else ""
            raise AdaptEditError(f"mask values must be finite and in [0, 1], got {low:g} to {high:g}{hint}")
        if mask.flags.writeable or mask.dtype != np.float32:
            mask = mask.astype(np.float32)
        mask.setflags(write=False)
        object.__setattr__(self, "mask", mask)

    # -- constructors: each name says what the values mean

    @classmethod
    def from_array(cls, mask: Any) -> Region:
        """From anything numpy reads as (H, W) of bool or numbers in [0, 1], 1 = edit."""
        return cls(np.array(mask))

    @classmethod
    def from_white_is_edit(cls, image: Image.Image, size: Size | None = None) -> Region:
        """From a grey picture (modes 1, L, LA, RGB, RGBA, P): white = edit; what is transparent is kept.

        Raises AdaptEditError if `size` is given and differs, if the picture is coloured (a photograph is not
        a mask), and if only its alpha channel varies (then `from_alpha` is meant).
        """
        return cls(_grey_values(image, size, background=0))

    @classmethod
    def from_black_is_edit(cls, image: Image.Image, size: Size | None = None) -> Region:
        """As `from_white_is_edit`, but black = edit."""
        return cls(1.0 - _grey_values(image, size, background=255))

    @classmethod
    def from_alpha(cls, image: Image.Image, size: Size | None = None) -> Region:
        """From the alpha channel: transparent = edit. Raises AdaptEditError if there is none."""
        if not image.has_transparency_data:
            raise AdaptEditError(
                f"the mask (mode {image.mode}) has no alpha channel; "
                "read it with polarity white or black, or make transparent what is to be edited"
            )
        _check_size(image.size, size)
        alpha = image.convert("RGBA").getchannel("A")
        return cls(1.0 - np.asarray(alpha, dtype=np.float32) / 255.0)

    @classmethod
    def from_box(cls, box: Box, size: Size) -> Region:
        """1 inside the box, 0 outside. Raises AdaptEditError for a box that is empty or leaves `size`."""
        left, top, right, bottom = _check_box(box, _positive(size))
        mask = np.zeros((size[1], size[0]), dtype=np.float32)
        mask[top:bottom, left:right] = 1.0
        return cls._own(mask)

    @classmethod
    def full(cls, size: Size) -> Region:
        """The whole picture."""
        width, height = _positive(size)
        return cls._own(np.ones((height, width), dtype=np.float32))

    @classmethod
    def load(cls, path: str | Path, size: Size | None = None) -> Region:
        """From a picture file, white = edit. Also raises AdaptEditError for a file that cannot be read."""
        image = read_image(path)
        try:
            return cls.from_white_is_edit(image, size)
        except AdaptEditError as error:
            raise AdaptEditError(f"{path}: {error}") from None

    @classmethod
    def _own(cls, mask: Mask) -> Region:
        mask.setflags(write=False)
        return cls(mask)

    # -- what it is

    @property
    def size(self) -> Size:
        """(W, H) in pixels."""
        return self.mask.shape[1], self.mask.shape[0]

    def bbox(self, threshold: float = 0.5) -> Box | None:
        """The smallest box that holds every pixel above the threshold; None if there is none."""
        on = self.mask > threshold
        rows, columns = np.flatnonzero(on.any(axis=1)), np.flatnonzero(on.any(axis=0))
        if rows.size == 0:
            return None
        return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1

    def coverage(self) -> float:
        """The mean of the mask: the share of the picture that is to be edited, in [0, 1]."""
        return float(self.mask.mean(dtype=np.float64))

    def confidence(self) -> float:
        """How sure a prediction is: the mean of the mask where it is above 0.5, in [0, 1]; 0 if nowhere."""
        sure = self.mask[self.mask > 0.5]
        return float(sure.mean(dtype=np.float64)) if sure.size else 0.0

    def components(self, min_area: int = 1) -> list[Region]:
        """The 8-connected parts of mask > 0.5 with at least `min_area` pixels, largest first.

        Each is a Region of the same size that has the mask's own values on its pixels and 0 elsewhere.
        Raises AdaptEditError for more than 256 parts: each takes the memory of a mask.
        """
        found = connected_components(self.mask > 0.5)
        numbers = found.largest_first(min_area)
        if len(numbers) > MAX_PARTS:
            raise AdaptEditError(
                f"the mask has {len(numbers)} parts of {min_area} pixels or more, over {MAX_PARTS}; "
                f"clean it or give a min_area above {found.areas()[numbers[MAX_PARTS]]}"
            )
        parts = []
        for number, (left, top, right, bottom) in zip(numbers, found.boxes(numbers), strict=True):
            window = np.s_[top:bottom, left:right]
            mask = np.zeros_like(self.mask)
            np.copyto(mask[window], self.mask[window], where=found.labels[window] == number)
            parts.append(Region._own(mask))
        return parts

    def to_tokens(self, h: int, w: int) -> Tensor:
        """The mask on a token grid: float32 (h, w) in [0, 1], each the mean over the token's exact area."""
        import torch  # here, because commands that only check files need no torch

        return torch.from_numpy(area_pool(self.mask, h, w).clip(0.0, 1.0).astype(np.float32))

    def overlay(self, image: Image.Image) -> Image.Image:
        """The picture in RGB with the region tinted and outlined, for people to look at."""
        _check_size(self.size, image.size, "the region", "the picture")
        shown = image.convert("RGB")
        shown.paste(TINT, mask=_to_grey(self.mask * 0.45))
        hard = Region.from_array(self.mask > 0.5)
        outline = hard.dilate(max(1, round(min(self.size) / 400))).mask - hard.mask
        shown.paste(TINT, mask=_to_grey(outline))
        return shown

    def to_image(self) -> Image.Image:
        """Mode L, white = edit, 256 levels."""
        return _to_grey(self.mask)

    def save(self, path: str | Path) -> None:
        """Writes a greyscale PNG, white = edit, 256 levels. Nothing is left behind if it fails."""
        if Path(path).suffix.lower() != ".png":
            raise AdaptEditError(f"{path}: a region is saved as PNG; end the name in .png")
        buffer = io.BytesIO()
        self.to_image().save(buffer, format="PNG")
        write_atomically(path, buffer.getvalue())

    # -- what it becomes

    def __and__(self, other: Region) -> Region:
        """Where both are: the smaller value of each pixel. Raises AdaptEditError for another size."""
        _check_size(other.size, self.size, "one region", "the other")
        return Region._own(np.minimum(self.mask, other.mask))

    def __or__(self, other: Region) -> Region:
        """Where either is: the larger value of each pixel. Raises AdaptEditError for another size."""
        _check_size(other.size, self.size, "one region", "the other")
        return Region._own(np.maximum(self.mask, other.mask))

    def __sub__(self, other: Region) -> Region:
        """Where this one is and the other is not."""
        return self & ~other

    def __invert__(self) -> Region:
        """Everything else."""
        return Region._own(1.0 - self.mask)

    def dilate(self, px: float) -> Region:
        """Grown by a disc of radius `px`: every pixel gets the maximum within that distance."""
        return self._morph(disc_maximum, px, margin=px)

    def erode(self, px: float) -> Region:
        """Shrunk by a disc of radius `px`; the picture's border does not shrink it."""
        return self._morph(disc_minimum, px, margin=1)  # no pixel of 0 is nearer than the box's margin

    def _morph(self, extreme: Callable[[Mask, float], Mask], px: float, margin: float) -> Region:
        """`extreme` over discs, worked out in the region's box and its margin, beyond which all is 0."""
        _check_radius(px)
        support = self.bbox(0.0)
        if support is None or px < 1:
            return self
        (left, top, right, bottom), wide = support, int(min(margin, max(self.size)))
        window = np.s_[max(top - wide, 0) : bottom + wide, max(left - wide, 0) : right + wide]
        mask = np.zeros_like(self.mask)
        mask[window] = extreme(self.mask[window], px)
        return Region._own(mask)

    def feather(self, px: float) -> Region:
        """Softened by a Gaussian of standard deviation `px`, in 256 levels; grows by less than 3 * px + 3.

        More than the picture's diagonal counts as the diagonal.
        """
        _check_radius(px)
        if px == 0:
            return self
        soft = _to_grey(self.mask).filter(ImageFilter.GaussianBlur(min(px, math.hypot(*self.size))))
        return Region(np.asarray(soft, dtype=np.float32) / 255.0)

    def shift(self, dx: int, dy: int) -> Region:
        """Moved right by dx and down by dy pixels; what comes in is 0, what leaves is lost."""
        height, width = self.mask.shape
        mask = np.zeros_like(self.mask)
        if abs(dx) < width and abs(dy) < height:
            mask[max(dy, 0) : height + min(dy, 0), max(dx, 0) : width + min(dx, 0)] = self.mask[
                max(-dy, 0) : height + min(-dy, 0), max(-dx, 0) : width + min(-dx, 0)
            ]
        return Region._own(mask)

    def resize(self, size: Size) -> Region:
        """Scaled to (W, H) with an antialiased linear filter."""
        if _positive(size) == self.size:
            return self
        scaled = Image.fromarray(self.mask).resize(size, Image.Resampling.BILINEAR)
        return Region._own(np.asarray(scaled).clip(0.0, 1.0))

    def crop(self, box: Box) -> Region:
        """The part inside the box, which must lie inside the picture."""
        left, top, right, bottom = _check_box(box, self.size)
        return Region(self.mask[top:bottom, left:right])


def load_region(path: str | Path, polarity: Polarity, size: Size) -> Region:
    """From a picture file of `size`. polarity: what marks the place to edit; alpha: what is transparent.

    Raises AdaptEditError, with the file's name, for a file that cannot be read or is not such a mask.
    """
    mask = read_image(path)
    readers = {
        "white": Region.from_white_is_edit,
        "black": Region.from_black_is_edit,
        "alpha": Region.from_alpha,
    }
    try:
        return readers[polarity](mask, size)
    except AdaptEditError as error:
        raise AdaptEditError(f"{path}: {error}") from None


def _to_grey(mask: Mask) -> Image.Image:
    return Image.fromarray((mask * 255.0 + 0.5).astype(np.uint8))


def _grey_values(image: Image.Image, size: Size | None, background: int) -> Mask:
    """(H, W) in [0, 1], 1 = white. Where alpha varies, the mask is seen in front of `background`."""
    _check_size(image.size, size)
    if image.mode in ("1", "L") and not image.has_transparency_data:
        return np.asarray(image.convert("L"), dtype=np.float32) / 255.0
    if image.mode not in ("1", "L", "LA", "P", "PA", "RGB", "RGBA"):
        raise AdaptEditError(f"a mask of mode {image.mode} is not supported; convert it to 8-bit grey first")
    rgba = image.convert("RGBA")
    alpha, colour = rgba.getchannel("A"), rgba.convert("RGB")
    if _varies(alpha):
        if not any(_varies(channel) for channel in colour.split()):
            raise AdaptEditError(
                "the mask has one colour and varies only in its transparency; "
                "read it with polarity alpha (transparent = edit), or flatten it to black and white first"
            )
        colour = Image.composite(colour, Image.new("RGB", colour.size, (background,) * 3), alpha)
    red, green, blue = colour.split()
    tinge = ImageChops.lighter(ImageChops.difference(red, green), ImageChops.difference(green, blue))
    if _highest(tinge) > MAX_TINGE:
        raise AdaptEditError(
            "the mask is coloured; give a black and white picture, "
            "or read it with polarity alpha if its transparent part is to be edited"
        )
    return np.asarray(colour.convert("L"), dtype=np.float32) / 255.0


def _varies(channel: Image.Image) -> bool:
    values = np.asarray(channel)
    return bool(values.min() != values.max())


def _highest(channel: Image.Image) -> int:
    return int(np.asarray(channel).max())


def _positive(size: Size) -> Size:
    if len(size) != 2 or min(size) < 1:
        raise AdaptEditError(f"a size is (width, height) of at least 1 pixel each, got {tuple(size)}")
    return size


def _check_radius(px: float) -> None:
    if not 0 <= px < float("inf"):
        raise AdaptEditError(f"the number of pixels must be finite and not negative, got {px}")


def _check_size(got: Size, expected: Size | None, what: str = "the mask", whose: str = "the picture") -> None:
    if expected is not None and tuple(got) != tuple(expected):
        raise AdaptEditError(
            f"{what} is {got[0]}x{got[1]} pixels and {whose} {expected[0]}x{expected[1]}; "
            "make them the same size"
        )


def _check_box(box: Box, size: Size) -> Box:
    left, top, right, bottom = box
    if not (0 <= left < right <= size[0] and 0 <= top < bottom <= size[1]):
        raise AdaptEditError(
            f"the box {tuple(box)} must be (left, top, right, bottom), not empty and "
            f"inside {size[0]}x{size[1]} pixels"
        )
    return left, top, right, bottom
