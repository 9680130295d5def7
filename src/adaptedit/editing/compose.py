"""The edit of a crop, back in a picture of any size: sharp as the source, no seam, nothing else moved.

The order of use: `exact_alpha` says which pixels may change, `crops.split` what the backbone gets to see,
`resize` makes that its size, `without_drift` matches the edit to its surroundings, `stitch` puts it back.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from adaptedit.errors import AdaptEditError
from adaptedit.region import Box, Region, Size

STRIP = 512  # rows that are put together at once: bounds the memory, whatever the picture

# 8-bit levels at working size: changes that count as none and as a new surface.
SMALL_CHANGE, LARGE_CHANGE = 8, 32
DRIFT = 24  # 8-bit levels; a larger change outside the region is no drift of tone

Plane = NDArray[np.float32]


def exact_alpha(region: Region, feather: float, grow: float = 0.0) -> Region:
    """Which pixels may change under preserve="exact": 1 on the region, falling to 0 around it.

    The region, cut at 0.5 (or at half its maximum if it is fainter) and grown by `grow` pixels, is grown by
    `feather` more and blurred over about as many on both sides: its own pixels keep weight 1, and from
    2 * feather + 3 pixels on everything is exactly 0. The tails of a predicted mask thus never reach the
    picture.
    """
    hard = Region.from_array(region.mask > min(0.5, float(region.mask.max()) / 2)).dilate(grow)
    soft = hard.dilate(feather).feather(feather / 3)
    return hard | soft


def resize(image: Image.Image, size: Size) -> Image.Image:
    """Lanczos, after a box reduction by a whole factor where the picture shrinks by far."""
    if image.size == tuple(size):
        return image
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


def without_drift(edited: Image.Image, reference: Image.Image, alpha: Region) -> Image.Image:
    """The edit without the backbone's own change of tone, so that it matches its surroundings.

    edited, reference: RGB of the working size, see `transfer_detail`; alpha of any size. Where alpha is 0
    the edit should equal the reference. The difference there, where it is under 24 levels, is
    averaged (a Gaussian of a quarter of the picture, over those pixels alone) and subtracted everywhere,
    inside too. Nothing is changed if there is no such pixel.
    """
    kept = cv2.erode((alpha.resize(edited.size).mask == 0).astype(np.uint8), np.ones((5, 5), np.uint8))
    change = _pixels(edited) - _pixels(reference)
    weight = (kept * (np.abs(change).max(axis=2) < DRIFT)).astype(np.float32)
    if not weight.any():
        return edited
    sigma = max(edited.size) / 4
    total = cv2.GaussianBlur(weight, (0, 0), sigma)
    drift = cv2.GaussianBlur(change * weight[..., None], (0, 0), sigma) / np.maximum(total, 1e-6)[..., None]
    return _picture(_pixels(edited) - drift)


def stitch(
    source: Image.Image,
    edited_crop: Image.Image,
    box: Box,
    alpha: Region,
    reference: Image.Image | None = None,
) -> Image.Image:
    """Puts the edit of source.crop(box) into the RGB source, weighted by alpha (of the box's size).

    Where alpha is 0 the pixels are the source's own bits; where it is 1 they are those of
    `transfer_detail(source.crop(box), edited_crop, reference)`. Raises AdaptEditError if alpha has another
    size.
    """
    left, top, right, bottom = box
    if alpha.size != (right - left, bottom - top):
        raise AdaptEditError(
            f"alpha is {alpha.size[0]}x{alpha.size[1]} and the crop {right - left}x{bottom - top} pixels; "
            "make them the same size"
        )
    result = source.copy()
    change = _Change(source.crop(box), edited_crop, reference)
    for first, last in _strips(bottom - top):
        weight = alpha.mask[first:last, :, None]
        kept = _pixels(source.crop((left, top + first, right, top + last)))
        result.paste(_picture(kept + weight * (change.rows(kept, first, last) - kept)), (left, top + first))
    return result


def transfer_detail(
    source: Image.Image, edited_small: Image.Image, reference: Image.Image | None = None
) -> Image.Image:
    """The edit at the source's size, as sharp as the source wherever the edit kept it. All pictures RGB.

    An edit at working size has no fine detail. Adding the enlarged *change*, edited_small - reference, to
    the source keeps the source's detail, but also that of a removed object, as a ghost. So the enlarged
    change is added where it is small and the enlarged edit itself is taken where it is large, with a smooth
    weight between.

    reference: what the backbone makes of the unedited crop, of the size of `edited_small`; by default the
    resized source. With the VAE's own reconstruction the VAE's losses cancel instead of counting as change.

    Chosen by eye: a change is small up to 8 levels of 255 (noise, VAE losses) and large from 32 on (a
    new surface); the largest channel counts, spread by 2 working pixels so that the halo of a removed edge
    goes too. Without any change the result is the source, bit for bit. A source that is not
    larger than the edit is treated in the same way, at its own size.
    """
    change, result = _Change(source, edited_small, reference), source.copy()
    for first, last in _strips(source.height):
        kept = _pixels(source.crop((0, first, source.width, last)))
        result.paste(_picture(change.rows(kept, first, last)), (0, first))
    return result


class _Change:
    """What `transfer_detail` does, for any range of rows."""

    def __init__(self, source: Image.Image, edited_small: Image.Image, reference: Image.Image | None) -> None:
        self.size = size = source.size
        reference = resize(reference or source, edited_small.size)
        if edited_small.width >= size[0] and edited_small.height >= size[1]:
            edited_small, reference = resize(edited_small, size), resize(reference, size)
        self.small = _pixels(edited_small)
        self.change = self.small - _pixels(reference)
        largest = np.abs(self.change).max(axis=2).clip(0, 255).astype(np.uint8)
        wide = Image.fromarray(cv2.dilate(largest, np.ones((5, 5), np.uint8)))
        spread = wide.filter(ImageFilter.GaussianBlur(1))
        t = ((np.asarray(spread, np.float32) - SMALL_CHANGE) / (LARGE_CHANGE - SMALL_CHANGE)).clip(0, 1)
        self.renewed = t * t * (3 - 2 * t)

    def rows(self, source: Plane, first: int, last: int) -> Plane:
        """source: its rows [first, last), float32 (rows, W, 3) in [0, 255] -> the same with the edit."""
        renewed = self._enlarged(self.renewed, first, last).clip(0, 1)[..., None]
        kept = source + self._enlarged(self.change, first, last)
        return np.asarray(kept + renewed * (self._enlarged(self.small, first, last) - kept))

    def _enlarged(self, planes: Plane, first: int, last: int) -> Plane:
        """(h, w) or (h, w, C) -> rows [first, last) of it at the source's size, bicubic."""
        if planes.ndim == 3:
            return np.stack([self._enlarged(planes[..., c], first, last) for c in range(3)], axis=-1)
        scale = planes.shape[0] / self.size[1]
        image = Image.fromarray(np.ascontiguousarray(planes))
        box = (0, first * scale, planes.shape[1], last * scale)
        return np.asarray(image.resize((self.size[0], last - first), Image.Resampling.BICUBIC, box))


def _strips(rows: int) -> list[tuple[int, int]]:
    return [(first, min(first + STRIP, rows)) for first in range(0, rows, STRIP)]


def _pixels(image: Image.Image) -> Plane:
    """PIL RGB -> float32 (H, W, 3) in [0, 255]."""
    assert image.mode == "RGB", image.mode
    return np.asarray(image, dtype=np.float32).copy()


def _picture(pixels: Plane) -> Image.Image:
    return Image.fromarray((pixels + 0.5).clip(0, 255).astype(np.uint8))
