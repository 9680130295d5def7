"""Picture files in: a file that is wrong becomes one clear line."""

from __future__ import annotations

import io
import os
import stat
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.ExifTags import Base

from adaptedit.errors import AdaptEditError
from adaptedit.pictures import structure
from adaptedit.pictures.formats import READABLE, READABLE_IN_WORDS, WEB, WEB_IN_WORDS

EXIF_TEXT = "Raw profile type exif"


def default_max_pixels() -> float:
    """PIL's own limit against decompression bombs, 89 megapixels; programs can change or lift it."""
    return Image.MAX_IMAGE_PIXELS or float("inf")


class TooManyPixels(AdaptEditError):
    """The picture is larger than this door takes."""


def read_image(source: str | Path | bytes, name: str | None = None) -> Image.Image:
    """The still picture in a file, decoded and upright (EXIF orientation applied), in PIL's mode for it.

    source: a path, or the file's bytes. name: starts the error messages; by default the path.

    Raises AdaptEditError for a missing or empty file, a folder, something that is not a picture in one of
    `formats.READABLE`, a truncated or malicious one, one of several frames or pages, and TooManyPixels.
    """
    with opened(source, name=name) as image:
        return upright(image, name or _name(source))


@contextmanager
def opened(
    source: str | Path | bytes,
    *,
    name: str | None = None,
    formats: Sequence[str] = READABLE,
    max_pixels: int | None = None,
) -> Iterator[Image.Image]:
    """The picture in a file, not yet decoded. Raises AdaptEditError as `read_image`, here and in the body."""
    name = name or _name(source)
    with _file(source, name) as file, _one_line(name):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # max_pixels is what counts
            try:
                image = Image.open(file, formats=list(formats))
            except UnidentifiedImageError:
                kinds = WEB_IN_WORDS if tuple(formats) == WEB else READABLE_IN_WORDS
                kinds = formats[0] if len(formats) == 1 else kinds
                raise AdaptEditError(f"{name}: is not a known kind of picture; give a {kinds}") from None
        with image:
            check_size(image.size, name, max_pixels)
            structure.check_profile(image.info.get("icc_profile"))
            yield image


def check_size(size: tuple[int, int], name: str, max_pixels: int | None = None) -> None:
    """Raises AdaptEditError for an empty picture, TooManyPixels for one over the limit (by default PIL's)."""
    width, height = size
    limit = default_max_pixels() if max_pixels is None else max_pixels
    if width == 0 or height == 0:
        raise AdaptEditError(f"{name}: the picture is {width}x{height} pixels; give one that is not empty")
    if width * height > limit:
        raise TooManyPixels(
            f"{name}: has too many pixels ({width}x{height}); make it {limit / 1e6:g} megapixels or less"
        )


def upright(image: Image.Image, name: str) -> Image.Image:
    """A decoded copy of an opened image, EXIF orientation applied. `name` starts the error messages."""
    check_size(image.size, name)
    try:
        several = _has_frames(image)
        if not several:
            image.load()
    except MemoryError:
        raise
    except Exception as error:  # decoders raise nearly anything on damaged bytes
        raise AdaptEditError(f"{name}: {_damaged(error)}") from None
    if several:
        raise AdaptEditError(
            f"{name}: has several frames or pages; save the one to edit as a PNG and give that"
        )
    _check_exif_text(image, name)
    try:
        turned = ImageOps.exif_transpose(image)
    except Exception:  # EXIF is often damaged, which is no reason to refuse the picture
        turned = image.copy()
    if isinstance(turned.info.get("transparency"), str):  # a PNG's text, which PIL mixes with its own keys
        del turned.info["transparency"]
    return turned


def orientation(image: Image.Image) -> int:
    """The EXIF orientation that `upright` applies, 1 to 8; 1 if there is none that can be read."""
    try:
        return int(image.getexif().get(Base.Orientation, 1))
    except Exception:
        return 1


@contextmanager
def _file(source: str | Path | bytes, name: str) -> Iterator[BinaryIO]:
    """The file, when its structure is within the limits."""
    if isinstance(source, bytes):
        if not source:
            raise AdaptEditError(f"{name}: the file is empty (0 bytes); give a picture")
        _check_structure(source, name)
        yield io.BytesIO(source)
        return
    try:
        status = os.stat(source)
        if stat.S_ISDIR(status.st_mode):
            raise AdaptEditError(f"{name}: is a folder; give the path of one picture")
        if not stat.S_ISREG(status.st_mode):
            raise AdaptEditError(f"{name}: is a pipe or a device; give the path of a picture file")
        if status.st_size == 0:
            raise AdaptEditError(f"{name}: the file is empty (0 bytes); give a picture")
        file = open(source, "rb")  # noqa: SIM115
    except AdaptEditError:
        raise
    except FileNotFoundError:
        raise AdaptEditError(f"{name}: no such file; give the path of a picture") from None
    except (OSError, ValueError) as error:  # ValueError: a zero in the name
        reason = getattr(error, "strerror", None) or error
        raise AdaptEditError(f"{name}: cannot be read ({reason})") from None
    with file:
        if structure.can_be_checked(file.read(structure.HEAD)):
            file.seek(0)
            _check_structure(file.read(), name)
        file.seek(0)
        yield file


def _check_structure(data: bytes, name: str) -> None:
    try:
        structure.check(data)
    except AdaptEditError as error:
        raise AdaptEditError(f"{name}: {error}") from None


def _check_exif_text(image: Image.Image, name: str) -> None:
    """PIL takes this text of a PNG for EXIF where there is none; it is there when the picture is decoded."""
    try:
        if (text := image.info.get(EXIF_TEXT)) is not None:
            structure.check_exif_text(text)
    except AdaptEditError as error:
        raise AdaptEditError(f"{name}: {error}") from None
    except ValueError:
        del image.info[EXIF_TEXT]


@contextmanager
def _one_line(name: str) -> Iterator[None]:
    """Whatever a decoder raises becomes an AdaptEditError; only the list of decoders is closed."""
    try:
        yield
    except AdaptEditError:
        raise
    except Image.DecompressionBombError:
        raise TooManyPixels(
            f"{name}: has far too many pixels; make it {default_max_pixels() / 1e6:.0f} megapixels or less"
        ) from None
    except MemoryError:
        raise AdaptEditError(f"{name}: needs more memory than there is; make the picture smaller") from None
    except OSError as error:
        reason = f"cannot be read ({error.strerror})" if error.strerror else _damaged(error)
        raise AdaptEditError(f"{name}: {reason}") from None
    except Exception as error:
        raise AdaptEditError(f"{name}: {_damaged(error)}") from None


def _has_frames(image: Image.Image) -> bool:
    """Whether there is a second picture. Counting all of a TIFF's pages may take minutes."""
    if image.format == "MPO":  # a photograph with its previews or its depth
        return False
    if image.format == "TIFF":
        try:
            image.seek(1)
        except EOFError:
            return False
        return True
    return bool(getattr(image, "n_frames", 1) > 1)


def _name(source: str | Path | bytes) -> str:
    return "the picture" if isinstance(source, bytes) else str(source)


def _damaged(error: Exception) -> str:
    what = " ".join(str(error).split())[:200] or type(error).__name__
    return f"the picture is truncated or damaged ({what}); give a whole copy of it"
