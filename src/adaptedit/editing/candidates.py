"""The candidates of one picture and one region, edited together, crop after crop."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from PIL import Image

from adaptedit.backbones.base import Edited, OnStep
from adaptedit.editing.compose import resize, stitch, without_drift
from adaptedit.editing.crops import split
from adaptedit.editing.scheduler import CropRequest, EditTask
from adaptedit.region import Box, Region, Size


def candidates(
    source: Image.Image,
    prompt: str,
    region: Region,
    alpha: Region,
    *,
    generators: Sequence[torch.Generator],
    working_size: Callable[[Size], Size],
    context: float,
    exact: bool,
    settings: Mapping[str, Any],
    adapter_scale: float | None,
    on_step: OnStep | None,
) -> EditTask[list[Image.Image]]:
    """One result (RGB, of the source's size) per generator.

    Cuts a crop around each part of the region, has it edited at working size, and puts it back. A later
    crop is cut from the picture that has the earlier ones in it.

    alpha: pixels that may change. With `exact` only they do; otherwise the crops are put back whole.
    working_size: the backbone's. settings: of its `edit`. adapter_scale: see `CropRequest`.
    on_step: counts the steps of all crops.
    """
    results = [source] * len(generators)
    working = working_size(source.size)
    crops = split(alpha, working=working, context=context, minimum=min(working))
    counted = on_step and _counted(on_step, len(crops) * len(generators))
    for box, weight in crops:
        size = working_size(weight.size)
        local = region.crop(box)
        if len(crops) > 1:
            local = local & Region.from_array(weight.mask > 0)
        local = local.resize(size)
        answers: list[Edited] = yield [
            CropRequest(
                resize(result.crop(box), size), prompt, local, generator, settings, adapter_scale, counted
            )
            for result, generator in zip(results, generators, strict=True)
        ]
        results = [
            _put_back(result, edited, box, weight, exact)
            for result, edited in zip(results, answers, strict=True)
        ]
    return results


def _put_back(source: Image.Image, edited: Edited, box: Box, weight: Region, exact: bool) -> Image.Image:
    if not exact and edited.image.size == source.size and box == (0, 0, *source.size):
        return edited.image  # the editor's own picture, with nothing to put it into
    if exact:
        image = without_drift(edited.image, edited.reconstruction, weight)
    else:
        image, weight = edited.image, Region.full(weight.size)
    return stitch(source, image, box, weight, reference=edited.reconstruction)


def _counted(on_step: OnStep, crops: int) -> OnStep:
    """Reports a step of one crop as a step of all crops."""
    done = 0

    def step(_: int, steps: int) -> None:
        nonlocal done
        done += 1
        on_step(done, crops * steps)

    return step
