"""`AdaptEditPipeline`: from picture and instruction to picture, with the region found or given."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import nn

from adaptedit.adapter.model import AdaptEditAdapter
from adaptedit.backbones.base import Backbone, OnStep
from adaptedit.backbones.diffusers import DiffusersBackbone
from adaptedit.backbones.diffusers.memory import enough_memory
from adaptedit.backbones.patterns import uncompiled
from adaptedit.editing import load
from adaptedit.editing.arguments import (
    Editable,
    Generators,
    as_picture,
    as_references,
    generators_for,
    pair_up,
    seed_of,
)
from adaptedit.editing.candidates import candidates
from adaptedit.editing.compose import exact_alpha, resize
from adaptedit.editing.controls import adjust
from adaptedit.editing.job import EditJob
from adaptedit.editing.limits import check_number
from adaptedit.editing.options import EditOptions, LoadOptions
from adaptedit.editing.output import EditOutput, OutputType, as_output_type, check_output_type
from adaptedit.editing.placement import Placement, place
from adaptedit.editing.refine import refine
from adaptedit.editing.scheduler import EditTask, RegionRequest, Scheduler, run
from adaptedit.editing.turns import turn_on
from adaptedit.errors import AdaptEditError, GlobalEdit, NoAdapter, RegionNotFound, quoted
from adaptedit.region import Region

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline

T = TypeVar("T")

SMALLEST_SHARE = 1 / 2000  # of the picture; a smaller region is a stray pixel, not an object
GLOBAL_SHARE = 0.9  # a larger region is not a local edit


class AdaptEditPipeline:
    """A frozen editor, with or without an adapter attached.

    backbone: any `Backbone`, or a diffusers pipeline, which stays as it is and can be used on its own.
    adapter: made for it, or its folder or hub id; attached here if it is not yet. It follows the backbone to
        its device. Without one the region must be given, and the editor sees a crop around it as it sees any
        picture.
    """

    placement: Placement | None = None  # that `load` chose

    def __init__(
        self,
        backbone: Backbone | DiffusionPipeline,
        adapter: AdaptEditAdapter | str | Path | None = None,
    ) -> None:
        self.backbone: Backbone = (
            backbone if hasattr(backbone, "working_size") else DiffusersBackbone(backbone)
        )
        if isinstance(adapter, (str, Path)):
            dtype = next(self.backbone.transformer.parameters()).dtype
            adapter = AdaptEditAdapter.from_pretrained(adapter).to(dtype)
        self.adapter = adapter
        if adapter is not None and not adapter.attached:
            adapter.attach(self.backbone)
        elif adapter is not None and not adapter.is_attached_to(self.backbone):
            raise AdaptEditError("this adapter is attached to another editor; detach() it there first")
        for part in (adapter, self.backbone, self.backbone.transformer):
            if isinstance(part, nn.Module):
                part.eval()

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path,
        adapter: str | Path | AdaptEditAdapter | None = None,
        *,
        dtype: torch.dtype | None = None,
        torch_dtype: torch.dtype | None = None,
        token: str | None = None,
        revision: str | None = None,
        **arguments: Any,
    ) -> AdaptEditPipeline:
        """An editor from the Hugging Face hub or a folder, on the CPU unless the arguments say otherwise.

        name: a diffusers editing pipeline as a hub id or a folder; "tiny", the embedded editor; or a folder
            laid out as `tiny/weights` in this package.
        adapter: an adapter, a folder or a hub id. "tiny" and its like have their own; others work without.
        dtype: of a diffusers pipeline and its adapter, bfloat16 by default; float16 overflows in them.
            `torch_dtype` is its older name.
        token, revision: for the hub; `revision` is the editor's.
        arguments: of diffusers' `from_pretrained`, such as subfolder, variant, cache_dir, local_files_only,
            device_map, quantization_config. "tiny" and its like take only those that say where files are.

        Raises AdaptEditError for other arguments, if there is no such editor, it cannot be fetched or cannot
        edit, or the adapter was made for another one.
        """
        arguments |= {"token": token, "revision": revision}
        return cls(*load.from_name(name, adapter, dtype=dtype or torch_dtype, **arguments))

    @classmethod
    def load(
        cls,
        options: LoadOptions,
        *,
        number: int = 0,
        note: Callable[[str], object] = lambda line: print(line, file=sys.stderr),
        **arguments: Any,
    ) -> AdaptEditPipeline:
        """An editor as the options say, on its device, in its bits, with its LoRAs.

        number: of this process, deals out the GPUs. note: gets the line that says which way to save memory
        was taken, where the options leave it open. arguments: of diffusers' `from_pretrained`.

        Raises what `from_pretrained` does, AdaptEditError also for what this machine cannot do, and
        NotEnoughMemory.
        """
        backbone, adapter, where = load.from_options(options, number, note, **arguments)
        pipe = cls(backbone, adapter)
        pipe.placement = where
        with enough_memory(where.advice):
            if isinstance(backbone, DiffusersBackbone):
                place(backbone.pipe, where)
            else:
                backbone.to(where.device)
            if adapter is not None:
                adapter.to(where.device)
        return pipe

    def to(
        self, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> AdaptEditPipeline:
        """Moves all models, and casts them; returns self."""
        if isinstance(device, torch.dtype):
            device, dtype = None, device
        for part in (self.backbone, self.adapter):
            if part is not None and device is not None:
                part.to(device)
            if part is not None and dtype is not None:
                part.to(dtype)  # type: ignore[arg-type]
        return self

    def predict_region(self, image: Editable, prompt: str, *, threshold: float = 0.5) -> Region:
        """Where `prompt` would edit `image`: a soft region of the picture's size, above 0.5 on its pixels.

        threshold: the lowest probability, in (0, 1), of a pixel of the region; lower finds more.

        Raises RegionNotFound if these are fewer than 1 in 2000 pixels, GlobalEdit if more than 9 in 10.
        """
        return self.find(EditJob(as_picture(image), prompt, EditOptions(threshold=threshold)))

    def __call__(
        self,
        image: Editable | Sequence[Editable],
        prompt: str | Sequence[str],
        region: Any = None,
        *,
        generator: Generators = None,
        on_step: OnStep | None = None,
        max_batch: int = 1,
        output_type: OutputType = "pil",
        return_dict: bool = True,
        **options: Any,
    ) -> Any:
        """Edits one picture, or a list of pictures with one prompt for all or one for each.

        region: where to edit, of the picture's size: a Region, or a mask with white = edit, see `as_region`;
            one for all or a list. Found from the prompt if None.
        generator: draws the noise, as in diffusers: one, or a list with one for each result. One for several
            results draws a seed for each.
        on_step: called with (steps done, steps in all); counts each picture, with its candidates, from 0.
        max_batch: how many pictures and candidates are edited at once, if the backbone can. Faster; a
            result then depends, in the last of its 8 bits, on the others in its batch.
        output_type: of the images, see `as_output_type`. return_dict: False for a tuple (images, regions,
            seeds) instead of an `EditOutput`.
        options: the fields of `EditOptions`, some also by diffusers' names (`num_inference_steps`,
            `num_images_per_prompt`, `guidance_scale`); and further arguments of the diffusers pipeline.

        With the whole picture at the editor's working size, preserve="soft" and no adapter, the result is the
        plain pipeline's own, bit for bit. Threads may share a pipeline; they take turns.
        Raises AdaptEditError for bad input, NoLocalRegion if there is nothing to edit or it is everything.
        """
        check_number("max_batch", max_batch, 1, math.inf)
        check_output_type(output_type)
        chosen = EditOptions.from_arguments(
            {**options, "references": as_references(options.get("references"))}
        )
        jobs = [
            EditJob(picture, text, replace(chosen, region=where))
            for picture, text, where in pair_up(image, prompt, region)
        ]
        given = generators_for(chosen, generator, len(jobs))
        tasks = [self.edit_task(job, None, on_step, own) for job, own in zip(jobs, given, strict=True)]
        outputs = self._run(tasks, max_batch)
        images = as_output_type([image for output in outputs for image in output.images], output_type)
        regions = [region for output in outputs for region in output.regions]
        seeds = [seed for output in outputs for seed in output.seeds]
        return EditOutput(images, regions, seeds) if return_dict else (images, regions, seeds)

    def find(self, job: EditJob) -> Region:
        """Where the job edits. Raises NoLocalRegion if there is nothing to edit or it is everything."""
        return self.run_task(self.find_task(job))

    def find_task(self, job: EditJob) -> EditTask[Region]:
        """`find`, as a task to run with others."""
        options = job.options
        region = Region.full(job.image.size) if options.everywhere else options.region
        if region is None:
            if self.adapter is None:
                raise NoAdapter
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
        generators: Sequence[torch.Generator] | None = None,
    ) -> EditTask[EditOutput]:
        """`edit`, as a task to run with others. generators: a candidate each, by default of the seed."""
        if generators is None:
            (generators,) = generators_for(job.options, None, 1)
        if self.adapter is None and job.options.adapter_scale is not None:
            raise AdaptEditError("there is no adapter, so its scale changes nothing; leave it out")
        seeds = [seed_of(generator) for generator in generators]

        def steps() -> EditTask[EditOutput]:
            options, picture = job.options, job.image
            where = region or (yield from self.find_task(job))
            edited = yield from candidates(
                picture.rgb,
                job.instruction,
                where,
                exact_alpha(where, feather_of(where) if options.feather is None else options.feather),
                generators=generators,
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
        if not bool(torch.isfinite(probability).all()):
            raise AdaptEditError(
                "the adapter's mask predictor gives NaN; its weights are damaged or overflow, so load it in "
                "full precision, or draw the region"
            )
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
        return self._run([edit], 1)[0]

    def _run(self, tasks: Sequence[EditTask[T]], max_batch: int) -> list[T]:
        with turn_on(uncompiled(self.backbone.transformer)):
            return run(tasks, self.scheduler(max_batch))

    # -- as diffusers has it

    @property
    def device(self) -> torch.device:
        """Where the DiT computes."""
        return self.backbone.device

    def __getattr__(self, name: str) -> Any:
        """`components`, and `enable_...` and `disable_...` for memory and speed: the diffusers pipeline's."""
        pipe = getattr(self.__dict__.get("backbone"), "pipe", None)
        if name == "components" or name.startswith(("enable_", "disable_")):
            if pipe is None:
                raise AttributeError(f"{name} belongs to diffusers pipelines; this editor is none")
            return getattr(pipe, name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __deepcopy__(self, memo: object) -> AdaptEditPipeline:
        raise AdaptEditError("a pipeline cannot be copied: two would share one frozen DiT; load it again")

    def __reduce__(self) -> Any:
        raise AdaptEditError("a pipeline cannot be pickled; load it in each process, and send only names")


def feather_of(region: Region) -> float:
    """Width of the soft edge in pixels: a twentieth of the square root of its area, 2 to 16."""
    area = float((region.mask > region.mask.max() / 2).sum())
    return min(max(math.sqrt(area) / 20, 2.0), 16.0)
