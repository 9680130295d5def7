"""The editors to measure: AdaptEdit, its controls, anyone's. Each makes an `Edit` of a sample and a seed."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from PIL import Image

from adaptedit.data.sample import EditSample
from adaptedit.editing.compose import resize
from adaptedit.editing.job import EditJob
from adaptedit.editing.options import EditOptions, Preserve
from adaptedit.editing.pipeline import AdaptEditPipeline
from adaptedit.errors import AdaptEditError, GlobalEdit, NoLocalRegion
from adaptedit.pictures.image16 import as_8bit
from adaptedit.pictures.picture import Picture
from adaptedit.pictures.read import read_image
from adaptedit.region import Region


@dataclass(frozen=True)
class Edit:
    """image: RGB. region: found by the editor, of the source's size, empty if there is none; None if this
    editor looks for none.

    gate: mean of the adapter's gates on the token grid of what the backbone saw, 8-bit grey.
    failure: why there is no edit; the image is then the source.
    """

    image: Image.Image
    region: Region | None = None
    gate: Image.Image | None = None
    failure: str | None = None


Editor: TypeAlias = Callable[[EditSample, int], Edit]
Pipeline: TypeAlias = Callable[[], AdaptEditPipeline]

BLANK = "edit the picture"  # says neither what nor where


def do_nothing(sample: EditSample, seed: int) -> Edit:
    return Edit(sample.source)


def frozen(pipe: AdaptEditPipeline, options: EditOptions) -> Editor:
    """The plain editor's own picture: the whole frame at its working size, resized to the source's as the
    published protocols do."""

    def edit(sample: EditSample, seed: int) -> Edit:
        size = pipe.backbone.working_size(sample.source.size)
        with _without_adapter(pipe):
            (edited,) = pipe.backbone.edit(
                [resize(sample.source, size)],
                [sample.instruction],
                [Region.full(size)],
                generators=[torch.Generator().manual_seed(seed)],
                **replace(options, preserve="soft").settings,
            )
        same_size = edited.image.size == sample.source.size
        return Edit(edited.image if same_size else edited.image.resize(sample.source.size))

    return edit


def frozen_stitched(pipe: AdaptEditPipeline, options: EditOptions) -> Editor:
    """The plain editor through our transfer of detail: what its codec loses does not count as a leak."""

    def edit(sample: EditSample, seed: int) -> Edit:
        with _without_adapter(pipe):
            return _edited(pipe, sample, replace(options, everywhere=True, seed=seed, preserve="exact"))

    return edit


def cropped(pipe: AdaptEditPipeline, options: EditOptions) -> Editor:
    """The plain editor on a crop around the annotators' region, put back: what needs no adapter."""
    in_region = given(pipe, options)

    def edit(sample: EditSample, seed: int) -> Edit:
        with _without_adapter(pipe):
            return replace(in_region(sample, seed), gate=None)

    return edit


def predicted(
    pipe: AdaptEditPipeline, options: EditOptions, preserve: Preserve | None = None, instruction: str = ""
) -> Editor:
    """AdaptEdit as users run it. Where it says that the edit is global, it gets the whole picture.

    preserve: instead of the options' own. instruction: replaces every sample's own.
    """

    def edit(sample: EditSample, seed: int) -> Edit:
        sample = replace(sample, instruction=instruction or sample.instruction)
        try:
            region = pipe.find(_job(sample, options))
        except GlobalEdit:
            region = Region.full(sample.source.size)
        except NoLocalRegion as error:
            nowhere = Region.from_array(np.zeros(sample.source.size[::-1]))
            return Edit(sample.source, nowhere, failure=str(error))
        here = replace(options, region=region, seed=seed, preserve=preserve or options.preserve)
        return replace(_recorded(pipe, sample, here), region=region)

    return edit


def given(
    pipe: AdaptEditPipeline,
    options: EditOptions,
    preserve: Preserve | None = None,
    where: Callable[[EditSample], Region | None] = lambda sample: sample.region,
) -> Editor:
    """AdaptEdit with a given region; by default the annotators'."""

    def edit(sample: EditSample, seed: int) -> Edit:
        region = where(sample)
        if region is None:
            return Edit(sample.source, failure="the benchmark gives no region for this sample")
        here = replace(options, region=region, seed=seed, preserve=preserve or options.preserve)
        return _recorded(pipe, sample, here)

    return edit


def placed(pipe: AdaptEditPipeline, options: EditOptions, where: Callable[[EditSample], Region]) -> Editor:
    """A control of the region scores: a region that does not look at the picture, reported as found."""

    def edit(sample: EditSample, seed: int) -> Edit:
        return replace(given(pipe, options, "exact", where)(sample, seed), region=where(sample))

    return edit


def centre_box(sample: EditSample) -> Region:
    """The middle of the picture, half as wide and half as high."""
    width, height = sample.source.size
    return Region.from_box(
        (width // 4, height // 4, width - width // 4, height - height // 4), (width, height)
    )


def whole_frame(sample: EditSample) -> Region:
    return Region.full(sample.source.size)


EDITORS: dict[str, Callable[[AdaptEditPipeline, EditOptions], Editor]] = {
    "predicted": predicted,
    "predicted-latent": partial(predicted, preserve="latent"),
    "predicted-soft": partial(predicted, preserve="soft"),
    "given": given,
    "given-latent": partial(given, preserve="latent"),
    "given-soft": partial(given, preserve="soft"),
    "frozen": frozen,
    "frozen-stitched": frozen_stitched,
    "cropped": cropped,
    "whole-frame": partial(placed, where=whole_frame),
    "centre-box": partial(placed, where=centre_box),
    "blanked": partial(predicted, instruction=BLANK),
}
NOTHING = "nothing"
# Of EDITORS: those that find the region, those without the adapter's part, and those that preserve what the
# options say.
FINDING = ("predicted", "predicted-latent", "predicted-soft", "blanked")
WITHOUT_ADAPTER = ("frozen", "frozen-stitched", "cropped")
PRESERVING = ("predicted", "given", "cropped", "blanked")


def editor(name: str, pipe: Pipeline, options: EditOptions) -> Editor:
    """One of `EDITORS`, "nothing", a folder of finished pictures, or "module:function".

    pipe: called when an editor needs it. options: of every edit.
    A folder holds ID.png (or .jpg, .webp) for each sample id. A function takes (picture, instruction, seed)
    and returns a picture. AdaptEditError if there is no such editor.
    """
    if name == NOTHING:
        return do_nothing
    if name in EDITORS:
        return EDITORS[name](pipe(), options)
    if Path(name).is_dir():
        return finished(Path(name))
    if ":" in name:
        return own(name)
    raise AdaptEditError(
        f"unknown editor {name!r}; choose {NOTHING}, {', '.join(EDITORS)}, a folder of finished pictures, "
        "or module:function"
    )


def finished(folder: Path) -> Editor:
    """Pictures that someone else's editor has made."""

    def edit(sample: EditSample, seed: int) -> Edit:
        for suffix in (".png", ".jpg", ".jpeg", ".webp"):
            path = folder / f"{sample.id}{suffix}"
            if path.exists():
                return Edit(read_image(path).convert("RGB"))
        return Edit(sample.source, failure=f"{folder} has no picture {sample.id}.png")

    return edit


def own(name: str) -> Editor:
    """module:function -> its pictures."""
    module, _, attribute = name.partition(":")
    try:
        function = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise AdaptEditError(f"cannot import the editor {name!r}: {error}") from None
    return lambda sample, seed: Edit(function(sample.source, sample.instruction, seed).convert("RGB"))


def _without_adapter(pipe: AdaptEditPipeline) -> AbstractContextManager[None]:
    return nullcontext() if pipe.adapter is None else pipe.adapter.disabled()


def _job(sample: EditSample, options: EditOptions) -> EditJob:
    return EditJob(Picture.open(sample.source), sample.instruction, options)


def _edited(pipe: AdaptEditPipeline, sample: EditSample, options: EditOptions) -> Edit:
    return Edit(as_8bit(pipe.edit(_job(sample, options)).images[0]))


def _recorded(pipe: AdaptEditPipeline, sample: EditSample, options: EditOptions) -> Edit:
    """With the adapter's gates."""
    if pipe.adapter is None:
        return _edited(pipe, sample, options)
    with pipe.adapter.record_gates() as gates:
        edit = _edited(pipe, sample, options)
    if not len(gates):
        return edit
    mean = np.mean([call.float().mean(dim=(0, 1)).cpu().numpy() for call in gates], axis=0)
    gate = Image.fromarray((mean * 255).round().astype(np.uint8).reshape(gates.grids[0]))
    return replace(edit, gate=gate)
