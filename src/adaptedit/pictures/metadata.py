"""What a picture's file says beside its pixels, and what of it an edited copy may keep.

An edited copy must not carry the unedited picture along, so this is a list of what is kept, not of what is
dropped. Previews hide in EXIF's second directory, in maker notes, XMP, Photoshop's blocks and
the further pictures of an MPO; none of these is kept, nor are comments and text chunks.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from PIL import Image
from PIL.ExifTags import IFD, Base
from PIL.JpegImagePlugin import JpegImageFile, get_sampling

from adaptedit.pictures.read import orientation

TURNED = (5, 6, 7, 8)  # the EXIF orientations that swap width and height
FULL_CHROMA, ONLY_ACROSS = 0, 1  # PIL's numbers for 4:4:4 and 4:2:2

# Of EXIF's main directory: the orientation is not among them, the pixels are upright by now.
DESCRIPTIVE = (
    Base.DocumentName,
    Base.ImageDescription,
    Base.Make,
    Base.Model,
    Base.XResolution,
    Base.YResolution,
    Base.ResolutionUnit,
    Base.Software,
    Base.DateTime,
    Base.Artist,
    Base.HostComputer,
    Base.Rating,
    Base.Copyright,
    Base.XPTitle,
    Base.XPComment,
    Base.XPAuthor,
    Base.XPKeywords,
    Base.XPSubject,
)


def kept(image: Image.Image, size: tuple[int, int]) -> dict[str, Any]:
    """As in PIL's `info`: "icc_profile", "exif" (bytes), "dpi" (x, y) and "jpeg", where there are any.

    image: decoded. size: (W, H) of the upright picture. EXIF keeps its descriptive tags and its camera and
    GPS directories but the maker note. "jpeg": the options with which PIL writes a JPEG as this one was.
    """
    profile = image.info.get("icc_profile")
    found = {
        "icc_profile": profile if isinstance(profile, bytes) else None,  # else a PNG's text of that name
        "exif": _exif(image, size),
        "dpi": _dpi(image),
        "jpeg": _jpeg(image),
    }
    return {key: value for key, value in found.items() if value}


def directories(exif: Image.Exif) -> dict[int, Any]:
    """The tags that are kept, those of a sub-directory as a dictionary."""
    tags = {tag: exif[tag] for tag in DESCRIPTIVE if tag in exif}
    camera = {tag: value for tag, value in exif.get_ifd(IFD.Exif).items() if tag != Base.MakerNote}
    if camera.pop(IFD.Interop, None):
        with suppress(ValueError):  # PIL has closed the file, which happens to a TIFF
            camera[IFD.Interop] = exif.get_ifd(IFD.Interop)
    found = {IFD.Exif: camera, IFD.GPSInfo: exif.get_ifd(IFD.GPSInfo)}
    return tags | {tag: values for tag, values in found.items() if values}


def _exif(image: Image.Image, size: tuple[int, int]) -> bytes | None:
    try:
        source, result = image.getexif(), Image.Exif()
        tags = directories(source)
        camera = tags.get(IFD.Exif, {})
        for name, side in zip((Base.ExifImageWidth, Base.ExifImageHeight), size, strict=True):
            if name in camera:
                camera[name] = side
        for tag, value in tags.items():
            result[tag] = value
        result.endian = source.endian  # in which comments in Unicode are written
        return result.tobytes() if tags else None
    except Exception:  # EXIF is often damaged, which is no reason to refuse the picture
        return None


def _dpi(image: Image.Image) -> tuple[float, float] | None:
    try:
        x, y = (float(value) for value in image.info["dpi"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    return (x, y) if 0 < x < 65536 and 0 < y < 65536 else None


def _jpeg(image: Image.Image) -> dict[str, Any] | None:
    """Quantisation tables, subsampling, progressive; None if PIL cannot write such a JPEG.

    A picture that is turned by a quarter has its tables turned too, and 4:2:2 becomes 4:4:4.
    """
    if image.format is None:  # it may be the result of an earlier edit
        return image.info.get("jpeg")
    if not isinstance(image, JpegImageFile):
        return None
    tables = [image.quantization[layer[3]] for layer in image.layer]
    if len(tables) not in (1, 3) or tables[1:2] != tables[2:] or _stores_rgb(image):
        return None
    sampling = get_sampling(image)
    if orientation(image) in TURNED:
        tables = [[table[8 * column + row] for row in range(8) for column in range(8)] for table in tables]
        sampling = FULL_CHROMA if sampling == ONLY_ACROSS else sampling
    return {
        "qtables": tables[:2],
        "subsampling": max(sampling, FULL_CHROMA),  # -1: one that PIL does not know
        "progressive": "progressive" in image.info,
    }


def _stores_rgb(image: JpegImageFile) -> bool:
    """As libjpeg decides it; nearly every JPEG stores YCbCr."""
    names = bytes(layer[0] for layer in image.layer)
    return "jfif" not in image.info and (image.info.get("adobe_transform") == 0 or names == b"RGB")
