"""Converts ComfyUI's tensors to pictures and regions, and back without a change outside the edit.

IMAGE: float32 (B, H, W, 3 or 4), mostly in [0, 1]. MASK: float32 (B, H, W) in [0, 1], 1 = edit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from adaptedit.errors import AdaptEditError
from adaptedit.region import Region

if TYPE_CHECKING:
    from adaptedit.pictures.picture import Picture


def pictures(image: Tensor) -> list[Picture]:
    """One 8-bit picture for each batch entry, rounded and clipped. AdaptEditError for another shape, NaN."""
    from adaptedit.pictures.picture import Picture

    if image.ndim != 4 or image.shape[3] not in (3, 4) or image.numel() == 0:
        raise AdaptEditError(f"an IMAGE is (B, H, W, 3 or 4) and not empty, got {tuple(image.shape)}")
    if not image.isfinite().all():
        raise AdaptEditError(
            "the IMAGE has NaN or infinite values; fix the node that made it, for example with a VAE in "
            "full precision"
        )
    return [Picture.open(_levels(one)) for one in image]


def regions(mask: Tensor, count: int) -> list[Region]:
    """One region for each of `count` pictures; a single mask serves all of them.

    Raises AdaptEditError for another number of masks, another shape, or values not in [0, 1].
    """
    masks = mask.unsqueeze(0) if mask.ndim == 2 else mask
    if masks.ndim != 3:
        raise AdaptEditError(f"a MASK is (B, H, W), got {tuple(mask.shape)}; connect a MASK, not an IMAGE")
    if masks.shape[1:] == (64, 64) and not masks.any():
        raise AdaptEditError(
            "the MASK is the empty one that Load Image gives for a picture without transparency; "
            "paint a mask in the mask editor, or disconnect it, and the region is found automatically"
        )
    if len(masks) not in (1, count):
        raise AdaptEditError(
            f"{len(masks)} masks for {count} pictures; give one mask, or one for each picture"
        )
    found = [Region.from_array(one.detach().float().cpu().numpy()) for one in masks]
    return found * count if len(found) == 1 else found


def masks(found: Sequence[Region]) -> Tensor:
    """Regions of one size as a MASK."""
    return torch.from_numpy(np.stack([region.mask for region in found]))


def moved(image: Tensor, before: Image.Image, after: Image.Image) -> Tensor:
    """`image` (H, W, C) with the change between two 8-bit RGB views of it, the first of which is its own.

    A value whose level did not change keeps its bits, even beyond [0, 1], and so does alpha. Any other value
    becomes the new level plus the rounding error of the old one. Pictures from Load Image have no such error.
    """
    old, new = (torch.from_numpy(np.array(view)).to(image.device) for view in (before, after))
    colours = image[..., :3]
    cut_off = colours.clamp(0, 1) - _unit(old)
    changed = (_unit(new) + cut_off).clamp(0, 1)
    return torch.cat([torch.where(old == new, colours, changed), image[..., 3:]], dim=-1)


def _levels(image: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return (image.detach().float().cpu().clamp(0, 1) * 255).round().to(torch.uint8).numpy()


def _unit(levels: Tensor) -> Tensor:
    return levels.float() / 255
