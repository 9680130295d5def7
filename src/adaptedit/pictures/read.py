"""Picture files in: a file that is wrong becomes one clear line."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.ExifTags import Base

from adaptedit.errors import AdaptEditError


def read_image(path: str | Path) -> Image.Image:
    """The still picture in a file, decoded and upright (EXIF orientation applied), in PIL's mode for it.

    Raises AdaptEditError for a missing or empty file, a folder, something that is not a picture, a truncated,
    an animated or multi-page, and an absurdly large picture (more pixels than `PIL.Image.MAX_IMAGE_PIXELS`).
    """
    with opened(path) as image:
        return upright(image, str(path))


@contextmanager
def opened(path: str | Path) -> Iterator[Image.Image]:
    """The picture in a file, not yet decoded. Raises AdaptEditError as `read_image`, here and in the body."""
    path = Path(path)
    try:
        if path.is_dir():
            raise AdaptEditError(f"{path}: is a folder; give the path of one picture")
        if path.stat().st_size == 0:
            raise AdaptEditError(f"{path}: the file is empty (0 bytes); give a picture")
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(path)
        with image:
            yield image
    except AdaptEditError:
        raise
    except FileNotFoundError:
        raise AdaptEditError(f"{path}: no such file; give the path of a picture") from None
    except UnidentifiedImageError:
        raise AdaptEditError(f"{path}: is not a known kind of picture; give a PNG, JPEG or WebP") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise AdaptEditError(f"{path}: {_too_large()}") from None
    except (
        OSError,
        ValueError,
    ) as error:  # ValueError: a block of the header unpacks to more than PIL allows
        if reason := getattr(error, "strerror", None):
            raise AdaptEditError(f"{path}: cannot be read ({reason})") from None
        raise AdaptEditError(f"{path}: {_damaged(error)}") from None


def upright(image: Image.Image, name: str) -> Image.Image:
    """A decoded copy of an opened image, EXIF orientation applied. `name` starts the error messages."""
    width, height = image.size
    if width == 0 or height == 0:
        raise AdaptEditError(f"{name}: the picture is {width}x{height} pixels; give one that is not empty")
    if Image.MAX_IMAGE_PIXELS is not None and width * height > Image.MAX_IMAGE_PIXELS:
        raise AdaptEditError(f"{name}: {width}x{height}: {_too_large()}")
    try:
        # an MPO is a photograph with its previews or its depth
        frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
        if frames == 1:
            image.load()
    except Exception as error:  # decoders raise nearly anything on damaged bytes
        raise AdaptEditError(f"{name}: {_damaged(error)}") from None
    if frames > 1:
        raise AdaptEditError(
            f"{name}: has {frames} frames or pages; save the one to edit as a PNG and give that"
        )
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


def _damaged(error: Exception) -> str:
    return f"the picture is truncated or damaged ({error}); give a whole copy of it"


def _too_large() -> str:
    limit = (Image.MAX_IMAGE_PIXELS or 0) // 1_000_000
    return f"too many pixels (the limit is {limit} megapixels); make the picture smaller first"
