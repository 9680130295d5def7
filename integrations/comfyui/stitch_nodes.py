"""Any model of ComfyUI's on a crop around the region, and its result back in the picture."""

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
        "tooltip": "Pixels of the soft edge; -1: a twentieth of the region. The same in Crop and Stitch.",
    },
)  # fmt: skip


class CropToRegion:
    """What a model should see of a large picture."""

    CATEGORY = CATEGORY
    DESCRIPTION = "Cuts out the region with its surroundings, for any model to edit; Stitch puts it back."
    FUNCTION = "crop"
    RETURN_TYPES = ("IMAGE", "MASK", BOX)
    RETURN_NAMES = ("image", "mask", "box")
    OUTPUT_TOOLTIPS = ("The crop.", "The mask's part in it.", "Where it was, for Stitch.")

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "image": ("IMAGE", {"tooltip": "A batch gets one crop that fits all of it."}),
                "mask": ("MASK", {"tooltip": "1 = edit; of the picture's size."}),
                "context": (
                    "FLOAT",
                    {
                        "default": 2.0, "min": 1.0, "max": 64.0, "step": 0.1,
                        "tooltip": "Side of the crop over that of what may change.",
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
    """An edit back in the picture that it was made from."""

    CATEGORY = CATEGORY
    DESCRIPTION = (
        "Puts an edited picture, or the crop of one, back into its source: at the source's size and detail, "
        "without a change of tone, and with every value outside the mask as it was."
    )
    FUNCTION = "stitch"
    RETURN_TYPES = ("IMAGE",)
    RETURN_NAMES = ("image",)
    OUTPUT_TOOLTIPS = ("Of the source's size, its own bits outside the feathered mask.",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "source": ("IMAGE", {"tooltip": "The picture before the edit."}),
                "edited": ("IMAGE", {"tooltip": "The whole picture or the crop, edited; of any size."}),
                "mask": ("MASK", {"tooltip": "1 = edit; of the source's size."}),
                "feather": _FEATHER,
            },
            "optional": {
                "box": (BOX, {"tooltip": "From Crop to Region, if `edited` is such a crop."}),
            },
        }

    def stitch(
        self, source: Tensor, edited: Tensor, mask: Tensor, feather: float, box: Box | None = None
    ) -> tuple[Tensor]:
        from adaptedit.editing.compose import resize, stitch, without_drift

        given = _sized(mask, source)
        if len(edited) != len(source):
            raise AdaptEditError(f"{len(edited)} edited pictures for {len(source)} sources; give as many")
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
                    "the mask reaches beyond the crop; give Crop to Region this mask and feather"
                )
            weight = alpha.crop(box)
            seen = resize(before.rgb.crop(box), after.size)
            matched = without_drift(after.rgb, seen, weight)
            results.append(tensors.moved(one, before.rgb, stitch(before.rgb, matched, box, weight)))
        return (torch.stack(results),)


def _sized(mask: Tensor, image: Tensor) -> list[Region]:
    """One region of its size for each picture."""
    given = tensors.regions(mask, len(image))
    width, height = given[0].size
    if (height, width) != tuple(image.shape[1:3]):
        raise AdaptEditError(
            f"the region is {width}x{height} pixels and the picture {image.shape[2]}x{image.shape[1]}; "
            "make them the same size"
        )
    return given


def _alpha(region: Region, feather: float) -> Region:
    """Which pixels may change, as the AdaptEdit node has it."""
    from adaptedit.editing.compose import exact_alpha
    from adaptedit.editing.crops import INVISIBLE
    from adaptedit.editing.pipeline import feather_of

    if region.bbox(INVISIBLE) is None:
        raise AdaptEditError("the region is empty, so there is nothing to edit; mark the place in it")
    return exact_alpha(region, feather_of(region) if feather < 0 else feather)


def _check_shape(edited: Tensor, box: Box) -> None:
    """A stretched edit would be squeezed back with all its proportions wrong."""
    width, height = box[2] - box[0], box[3] - box[1]
    h, w = edited.shape[1:3]
    if abs(w / h / (width / height) - 1) > 0.05:
        raise AdaptEditError(
            f"the edited picture is {w}x{h} pixels and its place {width}x{height}, another shape; "
            "give it the same proportions, or connect the box of Crop to Region"
        )
