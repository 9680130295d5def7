"""Uploaded bytes into pictures and regions, pictures and regions into base64."""

from __future__ import annotations

import base64
import io
from typing import Literal

import numpy as np
from PIL import Image

from adaptedit.editing.job import EditJob
from adaptedit.errors import AdaptEditError
from adaptedit.interfaces.serve.problems import Problem
from adaptedit.pictures.formats import WEB
from adaptedit.pictures.image16 import Image16
from adaptedit.pictures.picture import Picture
from adaptedit.pictures.pool import DecoderPool, Decoding
from adaptedit.pictures.read import TooManyPixels
from adaptedit.pictures.save import check_format, encode
from adaptedit.region import Region, Size

OutputFormat = Literal["png", "jpeg", "webp"]
MaskPolarity = Literal["white", "alpha"]


BYTES_OF_MASKS = 8  # a pixel: the region and its soft edge


def begin_picture(pool: DecoderPool, data: bytes) -> Decoding[Picture]:
    """PNG, JPEG or WebP. What goes wrong is told by `problem`."""
    return pool.picture(data, name="the image", formats=WEB)


def begin_mask(pool: DecoderPool, data: bytes) -> Decoding[Image.Image]:
    """PNG. What goes wrong is told by `problem`."""
    return pool.image(data, name="the mask", formats=("PNG",))


def region_of(mask: Image.Image, size: Size) -> Region:
    """Alpha 0 = edit. Raises Problem 400 for a mask without alpha or of another size."""
    if not mask.has_transparency_data:
        raise Problem(
            400,
            "invalid_mask",
            "the mask has no alpha channel; give a PNG of the picture's size, transparent where to edit",
            param="mask",
        )
    try:
        return Region.from_alpha(mask, size)
    except AdaptEditError as error:
        raise Problem(400, "invalid_mask", str(error), param="mask") from None


def bytes_of(job: EditJob) -> int:
    """What an edit holds: picture and candidates, each as the model sees it and as it came, and masks."""
    width, height = job.image.size
    references = sum(picture.bytes for picture in job.options.references)
    return references + job.image.bytes * (1 + job.options.candidates) + width * height * BYTES_OF_MASKS


def problem(error: AdaptEditError, field: str) -> Problem:
    """Why the picture in a form's field could not be decoded."""
    code = f"{field}_too_large" if isinstance(error, TooManyPixels) else f"invalid_{field}"
    return Problem(400, code, str(error), param=field)


def check_output(picture: Picture, kind: OutputFormat) -> None:
    """Refuses before the work what `encoded` would refuse after it."""
    try:
        check_format(f".{kind}", picture.mode, picture.size)
    except AdaptEditError as error:
        message = str(error).rpartition(";")[0].replace("the picture: ", "")
        message = f"{message}; ask for output_format png"
        raise Problem(400, "invalid_value", message, param="output_format") from None


def encoded(image: Image.Image | Image16, kind: OutputFormat) -> str:
    """Base64 of the very file that the command line would write."""
    return base64.b64encode(encode(image, f".{kind}")).decode("ascii")


def encoded_mask(region: Region, polarity: MaskPolarity) -> str:
    """Base64 of a PNG, 256 levels: grey, white = edit; or black with alpha, 0 = edit, as edits take it."""
    levels = region.to_image()
    if polarity == "alpha":
        alpha = Image.fromarray(255 - np.asarray(levels))
        levels = Image.merge("LA", (Image.new("L", alpha.size), alpha))
    buffer = io.BytesIO()
    levels.save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode("ascii")
