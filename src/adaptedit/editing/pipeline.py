"""`AdaptEditPipeline`: from picture and instruction to picture, with the region found or given."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from diffusers import DiffusionPipeline
from PIL import Image
from torch import nn

from adaptedit.adapter.model import AdaptEditAdapter
from adaptedit.backbones.base import Backbone, OnStep
from adaptedit.backbones.diffusers import DiffusersBackbone
from adaptedit.editing import load
from adaptedit.editing.candidates import candidates
from adaptedit.editing.compose import exact_alpha, resize
from adaptedit.editing.controls import adjust
from adaptedit.editing.job import EditJob
from adaptedit.editing.limits import check_number
from adaptedit.editing.options import EditOptions
from adaptedit.editing.refine import refine
from adaptedit.editing.scheduler import EditTask, RegionRequest, Scheduler, run
from adaptedit.errors import AdaptEditError, GlobalEdit, RegionNotFound, quoted
from adaptedit.pictures.image16 import Image16
from adaptedit.pictures.picture import Picture, Source
from adaptedit.region import Region

Editable = Source | Picture
T = TypeVar("T")

SMALLEST_SHARE = 1 / 2000  # of the picture; a smaller region is a stray pixel, not an object
NO_ADAPTER = (
    "this editor has no adapter, so it does not find the place by itself: draw a region, or edit everywhere"
)
GLOBAL_SHARE = 0.9  # a larger region is not a local edit


@dataclass(frozen=True)
class EditOutput:
    """One entry per result; the candidates of a picture follow each other.

    images: in the input's size and mode: PIL images, or `Image16` for an input of 16 bits a channel.
    regions: what was edited. seeds: each gives its result again.
    """

    images: list[Image.Image | Image16]
    regions: list[Region]
    seeds: list[int]


class AdaptEditPipeline:
    """A frozen editor, with or without an adapter attached.

    backbone: any `Backbone`, or a diffusers pipeline, which stays as it is and can be used on its own.
    adapter: made for it, attached here if it is not yet. It follows the backbone to its device. Without one
        the region must be given, and the editor sees a crop around it as it sees any picture.
    """

    def __init__(
        self, backbone: Backbone | DiffusionPipeline, adapter: AdaptEditAdapter | None = None
    ) -> None:
        self.backbone: Backbone = (
            DiffusersBackbone(backbone) if isinstance(backbone, DiffusionPipeline) else backbone
        )
        self.adapter = adapter
        if adapter is not None and not adapter.attached:
            adapter.attach(self.backbone)
        for part in (adapter, self.backbone, self.backbone.transformer):
            if isinstance(part, nn.Module):
                part.eval()

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path,
        adapter: str | Path | None = None,
        *,
        torch_dtype: torch.dtype | None = None,
        token: str | None = None,
        revision: str | None = None,
    ) -> AdaptEditPipeline:
        """An editor from the Hugging Face hub or from a folder, on the CPU.

        name: a diffusers editing pipeline as a hub id or a folder; "tiny", the embedded editor; or a folder
            laid out as `tiny/weights` in this package.
        adapter: a folder or a hub id. "tiny" and its like have their own.
        torch_dtype: of a diffusers pipeline and its adapter, bfloat16 by default; float16 overflows in them.
        token, revision: for the hub; `revision` is the editor's.

        Raises AdaptEditError if there is no such editor, it cannot be fetched or cannot edit, or the adapter
        is missing or made for another one.
        """
        return cls(*load.editor(name, adapter, torch_dtype=torch_dtype, token=token, revision=revision))

    def to(self, device: torch.device | str) -> AdaptEditPipeline:
        """Moves all models; returns self."""
        self.backbone.to(device)
        if self.adapter is not None:
            self.adapter.to(device)
        return self

    def predict_region(self, image: Editable, prompt: str, *, threshold: float = 0.5) -> Region:
        """Where `prompt` would edit `image`: a soft region of the picture's size, above 0.5 on its pixels.

        threshold: the lowest probability, in (0, 1), of a pixel of the region; lower finds more.

        Raises RegionNotFound if these are fewer than 1 in 2000 pixels, GlobalEdit if more than 9 in 10.
        """
        return self.find(EditJob(_as_picture(image), prompt, EditOptions(threshold=threshold)))

    def __call__(
        self,
        image: Editable | Sequence[Editable],
        prompt: str | Sequence[str],
        region: Region | Sequence[Region | None] | None = None,
        *,
        generator: torch.Generator | None = None,
        on_step: OnStep | None = None,
        max_batch: int = 1,
        **options: Any,
    ) -> EditOutput:
        """Edits one picture, or a list of pictures with a list of as many prompts.

        region: where to edit, of the picture's size; found from the prompt if None.
        generator: draws the seeds that `seed` does not give, one for each result.
        on_step: called with (steps done, steps in all); counts each picture, with its candidates, from 0.
        max_batch: how many pictures and candidates are edited at once, if the backbone can. Faster; a
            result then depends, in the last of its 8 bits, on the others in its batch.
        options: the fields of `EditOptions`, some also by diffusers' names (`num_inference_steps`,
            `num_images_per_prompt`, `guidance_scale`); and further arguments of the diffusers pipeline.

        Raises AdaptEditError for bad input, NoLocalRegion if there is nothing to edit or it is everything.
        """
        check_number("max_batch", max_batch, 1, math.inf)
        references = [_as_picture(one) for one in options.pop("references", ())]
        chosen = EditOptions.from_arguments({**options, "references": references})
        jobs = [
            EditJob(_as_picture(one), text, replace(chosen, region=where))
            for one, text, where in _pair_up(image, prompt, region)
        ]
        tasks = [self.edit_task(job, generator=generator, on_step=on_step) for job in jobs]
        outputs = run(tasks, self.scheduler(max_batch))
        return EditOutput(
            images=[image for output in outputs for image in output.images],
            regions=[region for output in outputs for region in output.regions],
            seeds=[seed for output in outputs for seed in output.seeds],
        )

    def find(self, job: EditJob) -> Region:
        """Where the job edits. Raises NoLocalRegion if there is nothing to edit or it is everything."""
        return self.run_task(self.find_task(job))

    def find_task(self, job: EditJob) -> EditTask[Region]:
        """`find`, as a task to run with others."""
        options = job.options
        region = Region.full(job.image.size) if options.everywhere else options.region
        if region is None:
            if self.adapter is None:
                raise AdaptEditError(NO_ADAPTER)
            region = yield from self._predicted(job)
        if not options.adjusts_region:
            return region
        return adjust(
            region,
            include=options.include,
            exclude=options.exclude,
            within=options.within,
            invert=options.invert,
            grow=options.grow,
        )

    def edit(self, job: EditJob, region: Region | None = None, on_step: OnStep | None = None) -> EditOutput:
        """Does the job in `region`, as `find` returns it; None: it is found now."""
        return self.run_task(self.edit_task(job, region, on_step))

    def edit_task(
        self,
        job: EditJob,
        region: Region | None = None,
        on_step: OnStep | None = None,
        generator: torch.Generator | None = None,
    ) -> EditTask[EditOutput]:
        """`edit`, as a task to run with others. generator: draws the seeds now, if the job has none."""
        seeds = _seeds(job.options, generator)

        def steps() -> EditTask[EditOutput]:
            options, picture = job.options, job.image
            where = region or (yield from self.find_task(job))
            edited = yield from candidates(
                picture.rgb,
                job.instruction,
                where,
                exact_alpha(where, feather_of(where) if options.feather is None else options.feather),
                generators=[torch.Generator().manual_seed(one) for one in seeds],
                working_size=self.backbone.working_size,
                context=options.context,
                exact=options.preserve == "exact",
                settings=options.settings,
                adapter_scale=options.adapter_scale,
                on_step=on_step,
            )
            return EditOutput([picture.restore(one) for one in edited], [where] * len(seeds), seeds)

        return steps()

    def _predicted(self, job: EditJob) -> EditTask[Region]:
        """What the adapter finds, with its edge moved to the picture's own."""
        picture, threshold = job.image, job.options.threshold
        working = self.backbone.working_size(picture.size)
        (probability,) = yield [RegionRequest(resize(picture.rgb, working), job.instruction)]
        share = float((probability >= threshold).float().mean())
        if share < SMALLEST_SHARE:
            raise RegionNotFound(
                f"found nothing in the picture for {quoted(job.instruction)} (best match "
                f"{probability.max():.0%}); name the object and its place in other words, or draw the region"
            )
        if share > GLOBAL_SHARE:
            raise GlobalEdit(
                f"{quoted(job.instruction)} seems to mean the whole picture ({share:.0%} of it), which is no "
                "local edit; name one thing in it, or give the whole picture as the region"
            )
        at_half = probability ** (math.log(0.5) / math.log(threshold))
        return refine(Region.from_array(at_half.numpy()).resize(picture.size), picture.rgb, working)

    def scheduler(
        self,
        max_batch: int,
        on_batch: Callable[[int], object] = lambda size: None,
        background: Executor | None = None,
    ) -> Scheduler:
        """Runs several tasks of `find_task` and `edit_task`."""
        return Scheduler(self.backbone, self.adapter, max_batch, on_batch, background)

    def run_task(self, edit: EditTask[T]) -> T:
        """What a task returns or raises."""
        return run([edit], self.scheduler(1))[0]


def feather_of(region: Region) -> float:
    """Width of the soft edge in pixels: a twentieth of the square root of its area, 2 to 16."""
    area = float((region.mask > region.mask.max() / 2).sum())
    return min(max(math.sqrt(area) / 20, 2.0), 16.0)


def _pair_up(image: Any, prompt: Any, region: Any) -> list[tuple[Any, str, Region | None]]:
    images = list(image) if isinstance(image, (list, tuple)) else [image]
    prompts = [prompt] if isinstance(prompt, str) else list(prompt)
    regions = list(region) if isinstance(region, (list, tuple)) else [region] * len(images)
    if not len(images) == len(prompts) == len(regions):
        raise AdaptEditError(
            f"{len(images)} pictures, {len(prompts)} prompts and {len(regions)} regions; give as many of each"
        )
    return list(zip(images, prompts, regions, strict=True))


def _as_picture(image: Editable) -> Picture:
    return image if isinstance(image, Picture) else Picture.open(image)


def _seeds(options: EditOptions, generator: torch.Generator | None) -> list[int]:
    if options.seed is not None:
        return [options.seed + index for index in range(options.candidates)]
    device = generator.device if generator is not None else None
    return torch.randint(2**31, (options.candidates,), generator=generator, device=device).tolist()
