"""Uploaded bytes into pictures and regions, pictures and regions into base64."""

from __future__ import annotations

import base64
import io
import tempfile
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, UnidentifiedImageError

from adaptedit.errors import AdaptEditError
from adaptedit.interfaces.serve.problems import Problem
from adaptedit.pictures.image16 import Image16
from adaptedit.pictures.picture import Picture
from adaptedit.pictures.save import WITH_16_BITS, WITHOUT_ALPHA, save
from adaptedit.region import Region, Size

OutputFormat = Literal["png", "jpeg", "webp"]
Polarity = Literal["white", "alpha"]

READABLE = ("PNG", "JPEG", "WEBP")  # what OpenAI's route takes; each decoder more is a risk more


def read_picture(data: bytes, max_pixels: int) -> Picture:
    """Raises Problem 400 for anything but one still PNG, JPEG or WebP within the limit."""
    with _opened(data, "image", READABLE, max_pixels) as image:
        try:
            return Picture.open(image)
        except AdaptEditError as error:
            raise Problem(400, "invalid_image", str(error), param="image") from None


def read_mask(data: bytes, size: Size, max_pixels: int) -> Region:
    """Alpha 0 = edit, in a PNG of `size`. Raises Problem 400 for anything else."""
    with _opened(data, "mask", ("PNG",), max_pixels) as image:
        try:
            image.load()
        except Exception as error:  # decoders raise nearly anything on damaged bytes
            raise _damaged("mask", error) from None
        if not image.has_transparency_data:
            raise Problem(
                400,
                "invalid_mask",
                "the mask has no alpha channel; give a PNG of the picture's size, transparent where to edit",
                param="mask",
            )
        try:
            return Region.from_alpha(image, size)
        except AdaptEditError as error:
            raise Problem(400, "invalid_mask", str(error), param="mask") from None


def check_output(picture: Picture, kind: OutputFormat) -> None:
    """Refuses before the work what `encoded` would refuse after it."""
    deep = isinstance(picture.original, Image16) and kind.upper() not in WITH_16_BITS
    if deep or (picture.mode.startswith(("LA", "RGBA")) and kind.upper() in WITHOUT_ALPHA):
        what = "16 bits a channel" if deep else "transparency"
        message = f"the picture has {what}, which {kind} cannot hold; ask for output_format png"
        raise Problem(400, "invalid_value", message, param="output_format")


def encoded(image: Image.Image | Image16, kind: OutputFormat) -> str:
    """Base64 of the very file that the command line would write."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"edited.{kind}"
        save(image, path)
        return base64.b64encode(path.read_bytes()).decode("ascii")


def encoded_mask(region: Region, polarity: Polarity) -> str:
    """Base64 of a PNG, 256 levels: grey, white = edit; or black with alpha, 0 = edit, as edits take it."""
    levels = Image.fromarray((region.mask * 255.0 + 0.5).astype(np.uint8))
    if polarity == "alpha":
        alpha = Image.fromarray(255 - np.asarray(levels))
        levels = Image.merge("LA", (Image.new("L", alpha.size), alpha))
    buffer = io.BytesIO()
    levels.save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def _opened(data: bytes, name: str, formats: tuple[str, ...], max_pixels: int) -> Image.Image:
    """Its header only: the size is known before a pixel is decoded."""
    try:
        image = Image.open(io.BytesIO(data), formats=formats)
    except UnidentifiedImageError:
        kinds = "PNG, JPEG or WebP" if len(formats) > 1 else "PNG"
        raise Problem(400, f"invalid_{name}", f"the {name} is no {kinds} file", param=name) from None
    except Image.DecompressionBombError:
        raise _too_many(name, "far", max_pixels) from None
    except Exception as error:
        raise _damaged(name, error) from None
    if image.width * image.height > max_pixels:
        raise _too_many(name, f"{image.width}x{image.height}", max_pixels)
    return image


def _damaged(name: str, error: Exception) -> Problem:
    message = f"the {name} is truncated or damaged ({error}); send a whole copy of it"
    return Problem(400, f"invalid_{name}", message, param=name)


def _too_many(name: str, size: str, max_pixels: int) -> Problem:
    message = f"the {name} has too many pixels ({size}); make it {max_pixels / 1e6:g} megapixels or less"
    return Problem(400, f"{name}_too_large", message, param=name)
