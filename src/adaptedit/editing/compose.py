"""From a picture of any size to the backbone's small square and back, without touching what is not edited.

The order of use: `exact_alpha` says which pixels may change, `crop_box` what the backbone gets to see,
`resize` makes that its size, and `stitch` puts the edit into the full picture.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from adaptedit.errors import AdaptEditError
from adaptedit.region import Box, Region, Size

INVISIBLE = 1 / 512  # a weight below this moves no 8-bit value, not even from 0 to 255, by half a level
WHOLE = 0.7  # a crop that covers more than this share of the picture is not worth its loss of context

# transfer_detail: changes, in 8-bit levels at working size, that count as none and as a new surface.
SMALL_CHANGE, LARGE_CHANGE = 8, 32


def crop_box(region: Region, *, size: Size, context: float = 2.5, minimum: int = 128) -> Box:
    """The part of the picture that the backbone gets to see: a square around the region (our choice).

    Its side is `context` times the longer side of the region's bounding box, at least `minimum` pixels. It
    is shifted inside the picture of `size` (W, H), cut where it does not fit, and becomes the whole picture
    if it would cover more than 70 % of it. It holds every pixel of the region that is not invisibly faint.
    Raises AdaptEditError if the region is empty or made for a picture of another size.
    """
    if region.size != tuple(size):
        raise AdaptEditError(
            f"the region is {region.size[0]}x{region.size[1]} pixels and the picture {size[0]}x{size[1]}; "
            "make them the same size"
        )
    core, support = region.bbox(_threshold(region)), region.bbox(INVISIBLE)
    if core is None or support is None:
        raise AdaptEditError("the region is empty: nothing to edit; give a region or describe what to change")
    side = max(round(context * max(core[2] - core[0], core[3] - core[1])), minimum)
    side = max(side, support[2] - support[0], support[3] - support[1])
    left, right = _interval(core[0], core[2], support[0], support[2], side, size[0])
    top, bottom = _interval(core[1], core[3], support[1], support[3], side, size[1])
    if (right - left) * (bottom - top) > WHOLE * size[0] * size[1]:
        return 0, 0, size[0], size[1]
    return left, top, right, bottom


def _interval(low: int, high: int, first: int, last: int, side: int, limit: int) -> tuple[int, int]:
    """`side` pixels centred on [low, high), moved to hold [first, last), then inside [0, limit)."""
    start = (low + high - side) // 2
    start = max(min(start, first), last - side)
    start = max(min(start, limit - side), 0)
    return start, min(start + side, limit)


def exact_alpha(region: Region, feather: float) -> Region:
    """Which pixels may change under preserve="exact": 1 on the region, falling to 0 around it (our choice).

    The region, cut at 0.5 (or at half its maximum if it is fainter), is grown by `feather` pixels and blurred
    over about as many on both sides: its own pixels keep weight 1, and from 2 * feather + 3 pixels on
    everything is exactly 0. The tails of a predicted mask thus never reach the picture.
    """
    hard = Region.from_array(region.mask > _threshold(region))
    soft = hard.dilate(feather).feather(feather / 3)
    return Region(np.maximum(soft.mask, hard.mask))


def _threshold(region: Region) -> float:
    return min(0.5, float(region.mask.max()) / 2)


def resize(image: Image.Image, size: Size) -> Image.Image:
    """Lanczos, after a box reduction by a whole factor where the picture shrinks by far."""
    if image.size == tuple(size):
        return image
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


def stitch(
    source: Image.Image,
    edited_crop: Image.Image,
    box: Box,
    alpha: Region,
    reference: Image.Image | None = None,
) -> Image.Image:
    """Puts the edit of source.crop(box) into the RGB source, weighted by alpha (of the source's size).

    Where alpha is 0 the pixels are the source's own bits; where it is 1 they are those of
    `transfer_detail(source.crop(box), edited_crop, reference)`. Raises AdaptEditError if alpha has another
    size or reaches visibly out of the box.
    """
    left, top, right, bottom = box
    if alpha.size != source.size:
        raise AdaptEditError(f"alpha is {alpha.size} and the picture {source.size}; make them the same size")
    reach = alpha.bbox(INVISIBLE)
    if reach is None:
        return source.copy()
    if reach[0] < left or reach[1] < top or reach[2] > right or reach[3] > bottom:
        raise AdaptEditError(f"alpha reaches {reach}, outside the crop {box}; make the crop around alpha")

    crop = source.crop(box)
    edit = _pixels(transfer_detail(crop, edited_crop, reference))
    weight = alpha.mask[top:bottom, left:right, None]
    kept = _pixels(crop)
    result = source.copy()
    result.paste(_picture(kept + weight * (edit - kept)), (left, top))
    return result


def transfer_detail(
    source: Image.Image, edited_small: Image.Image, reference: Image.Image | None = None
) -> Image.Image:
    """The edit at the source's size, as sharp as the source wherever the edit kept it. All pictures RGB.

    An edit at working size knows no fine detail. Adding the enlarged *change*, edited_small - reference, to
    the source keeps the source's detail, but also that of a removed object, as a ghost. So the enlarged
    change is added where it is small and the enlarged edit itself is taken where it is large, with a smooth
    weight between.

    reference: what the backbone makes of the unedited crop, of the size of `edited_small`; by default the
    resized source. With the VAE's own reconstruction the VAE's losses cancel instead of counting as change.

    Our choice, by eye: a change is small up to 8 levels of 255 (noise, VAE losses) and large from 32 on (a
    new surface); the largest channel counts, spread by 2 working pixels so that the halo of a removed edge
    goes too. Without any change the result is the source, bit for bit. A source that is in no direction
    larger than the edit is treated alike, at its own size.
    """
    size = source.size
    reference = resize(reference or source, edited_small.size)
    if edited_small.width >= size[0] and edited_small.height >= size[1]:
        edited_small, reference = resize(edited_small, size), resize(reference, size)
    small = _pixels(edited_small)
    change = small - _pixels(reference)

    largest = Image.fromarray(np.abs(change).max(axis=2).clip(0, 255).astype(np.uint8))
    spread = largest.filter(ImageFilter.MaxFilter(5)).filter(ImageFilter.GaussianBlur(1))
    t = ((np.asarray(spread, np.float32) - SMALL_CHANGE) / (LARGE_CHANGE - SMALL_CHANGE)).clip(0, 1)
    renewed = _enlarge(t * t * (3 - 2 * t), size).clip(0, 1)
    sharp = _pixels(source)
    for channel in range(3):  # one at a time: a 12-megapixel plane is 48 MB
        kept = sharp[..., channel] + _enlarge(change[..., channel], size)
        new = _enlarge(small[..., channel], size)
        sharp[..., channel] = kept + renewed * (new - kept)
    return _picture(sharp)


def _enlarge(plane: NDArray[np.float32], size: Size) -> NDArray[np.float32]:
    return np.asarray(Image.fromarray(np.ascontiguousarray(plane)).resize(size, Image.Resampling.BICUBIC))


def _pixels(image: Image.Image) -> NDArray[np.float32]:
    """PIL RGB -> float32 (H, W, 3) in [0, 255]."""
    assert image.mode == "RGB", image.mode
    return np.asarray(image, dtype=np.float32).copy()


def _picture(pixels: NDArray[np.float32]) -> Image.Image:
    return Image.fromarray((pixels + 0.5).clip(0, 255).astype(np.uint8))
