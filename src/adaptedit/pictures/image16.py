"""16 bits a channel, which PIL holds for grey only and otherwise cuts to 8 without a word."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile
from PIL.ExifTags import Base

from adaptedit.errors import AdaptEditError
from adaptedit.pictures.read import orientation

Samples = NDArray[np.uint16]

MODES = {1: "I;16", 2: "LA;16", 3: "RGB;16", 4: "RGBA;16"}  # by the number of channels
STEP = 257  # 16-bit levels from one 8-bit level to the next: 65535 / 255
GREY_WITH_ALPHA = 4  # the colour type in a PNG's header
WHITE_IS_ZERO = 0  # TIFF's photometric interpretation

# EXIF orientation -> what makes it upright.
TURNS: dict[int, Callable[[Samples], Samples]] = {
    2: np.fliplr,
    3: lambda samples: np.rot90(samples, 2),
    4: np.flipud,
    5: lambda samples: samples.swapaxes(0, 1),
    6: lambda samples: np.rot90(samples, -1),
    7: lambda samples: np.rot90(samples, 2).swapaxes(0, 1),
    8: np.rot90,
}


@dataclass(frozen=True, eq=False)
class Image16:
    """A picture of 16 bits a channel. `numpy.asarray` gives its samples, `as_8bit` a PIL image.

    samples: uint16, (H, W) for grey, (H, W, 2) for grey with alpha, (H, W, 3) RGB, (H, W, 4) RGBA.
    info: what `metadata.kept` keeps of the source, and `save` writes.
    """

    samples: Samples
    info: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shape, dtype = self.samples.shape, self.samples.dtype
        fits = len(shape) == 2 or (len(shape) == 3 and shape[2] in (2, 3, 4))
        if dtype != np.uint16 or 0 in shape or not fits:
            raise AdaptEditError(
                f"16-bit samples are uint16, (H, W) or (H, W, 2 to 4) and not empty, got {dtype} of {shape}"
            )

    @property
    def size(self) -> tuple[int, int]:
        """(W, H) in pixels."""
        return self.samples.shape[1], self.samples.shape[0]

    @property
    def mode(self) -> str:
        """One of I;16 (PIL's name for grey), LA;16, RGB;16, RGBA;16."""
        return MODES[channels(self.samples).shape[2]]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.samples, dtype=dtype, copy=copy)

    def edited(self, before: Image.Image, after: Image.Image) -> Image16:
        """The change between two 8-bit RGB views of this picture: samples + 257 * (after - before).

        Clipped to 0..65535. A pixel that did not change keeps its samples, and all keep their alpha.
        """
        mode, count = ("RGB", 3) if "RGB" in self.mode else ("L", 1)
        old, new = (channels(np.asarray(view.convert(mode))) for view in (before, after))
        samples = self.samples.copy()
        colours = channels(samples)
        for channel in range(count):  # one at a time: a 12-megapixel plane is 48 MB
            change = new[..., channel].astype(np.int32) - old[..., channel]
            colours[..., channel] = np.clip(colours[..., channel] + STEP * change, 0, 65535)
        return Image16(samples, dict(self.info))


def as_8bit(image: Image.Image | Image16) -> Image.Image:
    """16-bit samples to the nearest of 256 levels, as PIL L, LA, RGB or RGBA. A PIL image as it is."""
    if isinstance(image, Image.Image):
        return image
    return Image.fromarray(((image.samples.astype(np.uint32) + STEP // 2) // STEP).astype(np.uint8))


def channels(samples: NDArray[Any]) -> NDArray[Any]:
    """(H, W) or (H, W, C) -> (H, W, C), a view of contiguous samples."""
    return samples.reshape(*samples.shape[:2], -1)


def undecoded(image: Image.Image) -> bytes | None:
    """The file behind an opened PNG or TIFF of 16 bits a channel; None for any other picture.

    To be called before PIL decodes it: after that the file is closed.
    """
    if not isinstance(image, ImageFile.ImageFile) or not image.tile or image.fp is None:
        return None
    start = image.fp.tell()
    if image.format == "PNG":
        image.fp.seek(24)
        bits = image.fp.read(1)[0]
    else:
        bits = max(_tiff_tags(image).get(Base.BitsPerSample, (8,)))
    data = None
    if bits == 16:
        image.fp.seek(0)
        data = image.fp.read()
    image.fp.seek(start)
    return data


def decode(image: Image.Image, data: bytes | None, seen: Image.Image, name: str) -> Samples | None:
    """The upright samples of a 16-bit picture, None if it has 8 bits a channel.

    image: as it was opened, decoded by now. data: its file, from `undecoded`. seen: what PIL makes of it,
    upright; all but its low bytes must be the same. Raises AdaptEditError if they are not: a layout that one
    of the two decoders does not know (planar, premultiplied alpha).
    """
    if data is None and not seen.mode.startswith("I;16"):
        return None
    whole = channels(np.asarray(seen))
    samples = whole if data is None else _by_opencv(data, orientation(image), whole)
    if samples is None:
        raise AdaptEditError(
            f"{name}: this layout of 16 bits a channel cannot be read exactly; "
            "save it as an ordinary 16-bit PNG and give that"
        )
    if _tiff_tags(image).get(Base.PhotometricInterpretation) == WHITE_IS_ZERO:
        samples = 65535 - samples
    if "transparency" in seen.info:  # a level or a colour, of 16 bits
        hidden = (samples == seen.info["transparency"]).all(axis=2)
        samples = np.dstack([samples, np.where(hidden, 0, 65535)])
    samples = np.ascontiguousarray(samples, np.uint16)
    return samples if samples.shape[2] > 1 else samples[..., 0]


def _by_opencv(data: bytes, turn: int, seen: NDArray[Any]) -> Samples | None:
    """(H, W, C) of the channels that PIL has seen, in 8 or 16 bits; None where the two decoders differ."""
    try:
        found: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        if error.code == cv2.Error.StsNoMem:
            raise MemoryError from None
        return None
    if found is None or found.dtype != np.uint16:
        return None
    samples = channels(found)
    samples = samples[..., [2, 1, 0, 3][: samples.shape[2]]] if samples.shape[2] > 1 else samples
    if data.startswith(b"\x89PNG") and data[25] == GREY_WITH_ALPHA:
        samples, seen = samples[..., [0, 3]], seen[..., [0, 3]]
    samples = TURNS.get(turn, np.asarray)(samples)[..., : seen.shape[2]]
    return samples if np.array_equal(samples if seen.dtype.itemsize > 1 else samples >> 8, seen) else None


def _tiff_tags(image: Image.Image) -> Any:
    return getattr(image, "tag_v2", {})
