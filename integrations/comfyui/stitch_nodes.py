"""Nodes that crop a picture around the region for any ComfyUI model, and put the result back."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from adaptedit.errors import AdaptEditError
from adaptedit.region import Box, Region

from . import tensors
from .edit_nodes import CATEGORY

BOX = "ADAPTEDIT_BOX"
_FEATHER = (
    "FLOAT",
    {
        "default": -1.0, "min": -1.0, "max": 4096.0, "step": 1.0,
        "tooltip": "Width of the soft edge in pixels. -1: one twentieth of the region's size. "
        "Use the same value in Crop to Region and in Stitch.",
    },
)  # fmt: skip


class CropToRegion:
    """Cuts out the part of a large picture that a model should see."""

    CATEGORY = CATEGORY
    DESCRIPTION = (
        "Crops the picture to the region and its surroundings. Edit the crop with any model, then put it "
        "back with Stitch."
    )
    FUNCTION = "crop"
    RETURN_TYPES = ("IMAGE", "MASK", BOX)
    RETURN_NAMES = ("image", "mask", "box")
    OUTPUT_TOOLTIPS = (
        "The cropped picture.",
        "The same crop of the mask.",
        "The position of the crop. Connect it to Stitch.",
    )

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "image": ("IMAGE", {"tooltip": "All pictures of a batch get the same crop."}),
                "mask": ("MASK", {"tooltip": "Where to edit (1 = edit). It must have the picture's size."}),
                "context": (
                    "FLOAT",
                    {
                        "default": 2.0, "min": 1.0, "max": 64.0, "step": 0.1,
                        "tooltip": "Side of the crop, as a multiple of the side of the area that may change.",
                    },
                ),
                "feather": _FEATHER,
            }
        }  # fmt: skip

    def crop(self, image: Tensor, mask: Tensor, context: float, feather: float) -> tuple[Tensor, Tensor, Box]:
        from adaptedit.editing.crops import INVISIBLE, crop_box

        given = _sized(mask, image)
        alphas = [_alpha(region, feather) for region in given]
        together = alphas[0]
        for alpha in alphas[1:]:
            together = together | alpha
        around = together.bbox(INVISIBLE)
        assert around is not None  # `_alpha` refuses an empty mask
        box = crop_box(around, size=together.size, context=context)
        left, top, right, bottom = box
        return image[:, top:bottom, left:right], tensors.masks([region.crop(box) for region in given]), box


class Stitch:
    """Puts an edit back into the picture that it was made from."""

    CATEGORY = CATEGORY
    DESCRIPTION = (
        "Puts an edited picture or crop back into its source. The result has the source's size. A change of "
        "the overall tone is removed, and outside the feathered mask every value stays the same."
    )
    FUNCTION = "stitch"
    RETURN_TYPES = ("IMAGE",)
    RETURN_NAMES = ("image",)
    OUTPUT_TOOLTIPS = ("The source with the edit. Outside the feathered mask it is exactly the source.",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "source": ("IMAGE", {"tooltip": "The picture before the edit."}),
                "edited": (
                    "IMAGE",
                    {"tooltip": "The edited picture or crop. Any size with the same proportions."},
                ),
                "mask": ("MASK", {"tooltip": "Where to edit (1 = edit). It must have the source's size."}),
                "feather": _FEATHER,
            },
            "optional": {
                "box": (BOX, {"tooltip": "From Crop to Region. Needed if `edited` is a crop."}),
            },
        }

    def stitch(
        self, source: Tensor, edited: Tensor, mask: Tensor, feather: float, box: Box | None = None
    ) -> tuple[Tensor]:
        from adaptedit.editing.compose import resize, stitch, without_drift

        given = _sized(mask, source)
        if len(edited) != len(source):
            raise AdaptEditError(
                f"{len(edited)} edited pictures for {len(source)} sources; give one for each source"
            )
        width, height = given[0].size
        box = box or (0, 0, width, height)
        _check_shape(edited, box)
        results = []
        for one, before, after, region in zip(
            source, tensors.pictures(source), tensors.pictures(edited), given, strict=True
        ):
            alpha = _alpha(region, feather)
            if (alpha - Region.from_box(box, alpha.size)).mask.any():
                raise AdaptEditError(
                    "the mask reaches beyond the crop; use the same mask and feather in Crop to Region"
                )
            weight = alpha.crop(box)
            seen = resize(before.rgb.crop(box), after.size)
            matched = without_drift(after.rgb, seen, weight)
            results.append(tensors.moved(one, before.rgb, stitch(before.rgb, matched, box, weight)))
        return (torch.stack(results),)


def _sized(mask: Tensor, image: Tensor) -> list[Region]:
    """One region for each picture, of the picture's size."""
    given = tensors.regions(mask, len(image))
    width, height = given[0].size
    if (height, width) != tuple(image.shape[1:3]):
        raise AdaptEditError(
            f"the region is {width}x{height} pixels and the picture {image.shape[2]}x{image.shape[1]}; "
            "make them the same size"
        )
    return given


def _alpha(region: Region, feather: float) -> Region:
    """The pixels that may change, as the AdaptEdit node computes them."""
    from adaptedit.editing.compose import exact_alpha
    from adaptedit.editing.crops import INVISIBLE
    from adaptedit.editing.pipeline import feather_of

    if region.bbox(INVISIBLE) is None:
        raise AdaptEditError("the region is empty, so there is nothing to edit; mark the place to edit")
    return exact_alpha(region, feather_of(region) if feather < 0 else feather)


def _check_shape(edited: Tensor, box: Box) -> None:
    """AdaptEditError for other proportions: the edit would be put back distorted."""
    width, height = box[2] - box[0], box[3] - box[1]
    h, w = edited.shape[1:3]
    if abs(w / h / (width / height) - 1) > 0.05:
        raise AdaptEditError(
            f"the edited picture is {w}x{h} pixels and its place {width}x{height}, which has "
            "other proportions; "
            "give it the same proportions, or connect the box of Crop to Region"
        )
