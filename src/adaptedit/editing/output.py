"""What an edit returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
from PIL import Image

from adaptedit.errors import AdaptEditError
from adaptedit.pictures.image16 import Image16, as_8bit
from adaptedit.region import Region

OutputType = Literal["pil", "np", "pt"]


@dataclass(frozen=True)
class EditOutput:
    """One entry per result; the candidates of a picture follow each other.

    images: in the input's size and mode: PIL images, or `Image16` for an input of 16 bits a channel.
    regions: what was edited. seeds: each gives its result again; None for a generator that was used before.
    """

    images: list[Image.Image | Image16]
    regions: list[Region]
    seeds: list[int | None]


def check_output_type(name: str) -> None:
    """Raises AdaptEditError for a name that is no `OutputType`."""
    if name not in get_args(OutputType):
        raise AdaptEditError(f"output_type={name!r} is not known; use 'pil', 'np' or 'pt'")


def as_output_type(images: list[Image.Image | Image16], name: OutputType) -> Any:
    """`pil`: as they are; `np`: float32 (B, H, W, 3) in [0, 1]; `pt`: a tensor (B, 3, H, W) of the same.

    Raises AdaptEditError for pictures of several sizes in one array.
    """
    if name == "pil":
        return images
    sizes = sorted({image.size for image in images})
    if len(sizes) > 1:
        raise AdaptEditError(f"pictures of {len(sizes)} sizes ({sizes}) make no array; use output_type='pil'")
    pixels = np.stack([np.asarray(as_8bit(one).convert("RGB"), np.float32) / 255 for one in images])
    return pixels if name == "np" else torch.from_numpy(pixels).permute(0, 3, 1, 2)
