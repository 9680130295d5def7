"""Edited pictures into files: what is exact in memory stays exact wherever the format can."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.ExifTags import Base
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from adaptedit.errors import AdaptEditError
from adaptedit.files import write_atomically
from adaptedit.pictures.formats import LONGEST_SIDE, WITH_16_BITS, WITHOUT_ALPHA, WRITABLE
from adaptedit.pictures.image16 import Image16, channels
from adaptedit.pictures.metadata import directories

IN_TIFF = ("L", "LA", "RGB", "RGBA", "I;16", "RGB;16", "RGBA;16")  # neither PIL nor OpenCV reads LA;16

DEFLATE, DIFFERENCES, UNASSOCIATED_ALPHA = 8, 2, 2  # TIFF's compression, predictor and extra sample
LONG = 4  # TIFF's type of 32-bit numbers
UP = 2  # PNG's filter: each byte less the one above
PNG_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # by the number of channels


def save(image: Image.Image | Image16, path: str | Path) -> None:
    """Writes the picture in the format of the path's extension, whole or not at all.

    PNG, WebP, TIFF and BMP are lossless: the file has the very pixels. JPEG is not, for no pixel. The result
    of an edit whose source was a JPEG is written with the source's own quantisation tables, subsampling and
    progression, so that its quality is the source's and what was not edited comes back nearly the same; any
    other picture with quality 95 and full colour resolution. 16 bits go into PNG and TIFF.

    Of `image.info`, as `Picture.restore` leaves it, "icc_profile", "exif" and "dpi" are written where the
    format has a place for them: BMP has none for the first two, WebP none for dpi.

    Raises AdaptEditError as `check_format`, and for a failed write.
    """
    write_atomically(path, encode(image, Path(path).suffix, str(path)))


def encode(image: Image.Image | Image16, suffix: str, name: str = "the picture") -> bytes:
    """The bytes of the file that `save` writes under a name with this suffix. name: starts the errors."""
    kind, options = check_format(suffix, image.mode, image.size, name)
    if isinstance(image, Image.Image) and kind in WITHOUT_ALPHA and image.has_transparency_data:
        raise _no_transparency(kind, name)
    try:
        if kind == "TIFF":
            return _tiff(image)
        if isinstance(image, Image16):
            return _png16(channels(image.samples), image.info)
        return _by_pil(image, kind, options)
    except (OSError, ValueError, struct.error) as error:
        raise AdaptEditError(f"{name}: cannot be written as {kind} ({error}); try .png") from None


def check_format(
    suffix: str, mode: str, size: tuple[int, int], name: str = "the picture"
) -> tuple[str, dict[str, Any]]:
    """The format's name in PIL and the options for it, if a picture of this mode and size (W, H) fits it.

    For use before an edit too: what an edit gives has its source's mode and size, see `Picture`. Raises
    AdaptEditError for an unknown suffix, transparency or 16 bits in a format that has none, and for a side
    that is longer than the format can count.
    """
    if suffix.lower() not in WRITABLE:
        raise AdaptEditError(f"{name}: cannot write '{suffix}' here; use one of {', '.join(WRITABLE)}")
    kind, options = WRITABLE[suffix.lower()]
    if mode.endswith(";16") and kind not in WITH_16_BITS:
        raise AdaptEditError(f"{name}: {kind} cannot hold 16 bits a channel; save as .png or .tif instead")
    if mode in ("LA", "RGBA", "PA") and kind in WITHOUT_ALPHA:
        raise _no_transparency(kind, name)
    if max(size) > LONGEST_SIDE.get(kind, max(size)):
        raise AdaptEditError(
            f"{name}: {kind} holds at most {LONGEST_SIDE[kind]:,} pixels a side, and the picture is "
            f"{size[0]}x{size[1]}; save as .png or .tif instead"
        )
    return kind, options


def _no_transparency(kind: str, name: str) -> AdaptEditError:
    return AdaptEditError(f"{name}: {kind} cannot hold transparency; save as .png instead")


def _by_pil(image: Image.Image, kind: str, options: dict[str, Any]) -> bytes:
    if kind == "JPEG":
        options = image.info.get("jpeg", options)
    metadata = {key: image.info[key] for key in ("icc_profile", "exif", "dpi") if key in image.info}
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **metadata, **options)
    return buffer.getvalue()


def _tiff(image: Image.Image | Image16) -> bytes:
    """Deflated. PIL cannot write deflated pixels and EXIF in one file."""
    if image.mode not in IN_TIFF:
        raise ValueError(f"mode {image.mode} is not supported")
    samples, info = channels(np.asarray(image)), image.info
    height, width, count = samples.shape
    bits = 8 * samples.dtype.itemsize
    pixels = samples.astype(samples.dtype.newbyteorder("<"))
    pixels[:, 1:] -= samples[:, :-1]
    data = zlib.compress(pixels.tobytes())

    directory = ImageFileDirectory_v2(prefix=b"II")
    exif = Image.Exif()
    exif.load(info.get("exif", b""))
    tags: dict[int, Any] = directories(exif) | {
        Base.ImageWidth: width,
        Base.ImageLength: height,
        Base.BitsPerSample: (bits,) * count,
        Base.Compression: DEFLATE,
        Base.PhotometricInterpretation: 2 if count > 2 else 1,
        Base.StripOffsets: 0,  # after the directory: PIL adds its length
        Base.SamplesPerPixel: count,
        Base.RowsPerStrip: height,
        Base.StripByteCounts: len(data),
        Base.PlanarConfiguration: 1,
        Base.Predictor: DIFFERENCES,
    }
    if count in (2, 4):
        tags[Base.ExtraSamples] = UNASSOCIATED_ALPHA
    if "dpi" in info:
        tags |= {Base.XResolution: info["dpi"][0], Base.YResolution: info["dpi"][1], Base.ResolutionUnit: 2}
    if "icc_profile" in info:
        tags[Base.InterColorProfile] = info["icc_profile"]
    for tag, value in tags.items():
        directory[tag] = value
    for tag in (Base.StripOffsets, Base.StripByteCounts):
        directory.tagtype[tag] = LONG
    buffer = io.BytesIO()
    directory.save(buffer)
    return buffer.getvalue() + data


def _png16(samples: NDArray[np.uint16], info: dict[str, Any]) -> bytes:
    """(H, W, C), deflated. By hand, for OpenCV writes no grey with alpha and PIL only grey."""
    height, width, count = samples.shape
    header = struct.pack(">IIBBBBB", width, height, 16, PNG_COLOUR_TYPES[count], 0, 0, 0)
    rows = samples.astype(">u2").view(np.uint8).reshape(height, -1)
    filtered = np.full((height, 1 + rows.shape[1]), UP, np.uint8)
    filtered[:, 1:] = rows
    filtered[1:, 1:] -= rows[:-1]
    chunks = [(b"IHDR", header)]
    if "icc_profile" in info:
        chunks.append((b"iCCP", b"ICC Profile\0\0" + zlib.compress(info["icc_profile"])))
    if "exif" in info:
        chunks.append((b"eXIf", info["exif"].removeprefix(b"Exif\0\0")))
    if "dpi" in info:
        x, y = (round(value / 0.0254) for value in info["dpi"])
        chunks.append((b"pHYs", struct.pack(">IIB", x, y, 1)))
    chunks += [(b"IDAT", zlib.compress(filtered.tobytes())), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )
