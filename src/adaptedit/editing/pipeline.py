"""`AdaptEditPipeline`: from picture and instruction to picture, with the region found or given."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

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
from adaptedit.editing.crops import CONTEXT, INVISIBLE
from adaptedit.editing.refine import refine
from adaptedit.editing.scheduler import EditTask, RegionRequest, Scheduler, run
from adaptedit.errors import AdaptEditError, GlobalEdit, RegionNotFound, quoted
from adaptedit.pictures.image16 import Image16
from adaptedit.pictures.picture import Picture, Source
from adaptedit.region import Region

Preserve = Literal["exact", "latent", "soft"]
Editable = Source | Picture
T = TypeVar("T")

SMALLEST_SHARE = 1 / 2000  # of the picture; a smaller region is a stray pixel, not an object
LARGEST_SEED = 2**63
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
    """A frozen editor with an adapter attached.

    backbone: any `Backbone`, or a diffusers pipeline, which stays as it is and can be used on its own.
    adapter: made for it, attached here if it is not yet. It follows the backbone to its device.
    """

    def __init__(self, backbone: Backbone | DiffusionPipeline, adapter: AdaptEditAdapter) -> None:
        self.backbone: Backbone = (
            DiffusersBackbone(backbone) if isinstance(backbone, DiffusionPipeline) else backbone
        )
        self.adapter = adapter
        if not adapter.attached:
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
        self.adapter.to(device)
        return self

    def predict_region(self, image: Editable, prompt: str, *, threshold: float = 0.5) -> Region:
        """Where `prompt` would edit `image`: a soft region of the picture's size, above 0.5 on its pixels.

        threshold: the lowest probability, in (0, 1), of a pixel of the region; lower finds more.

        Raises RegionNotFound if these are fewer than 1 in 2000 pixels, GlobalEdit if more than 9 in 10.
        """
        return self.run_task(self.find_task(image, prompt, threshold=threshold))

    def find_task(self, image: Editable, prompt: str, *, threshold: float = 0.5) -> EditTask[Region]:
        """`predict_region`, as a task to run with others."""
        _check_prompt(prompt)
        if not 0.0 < threshold < 1.0:
            raise AdaptEditError(f"threshold is {threshold:g}; give a probability above 0 and below 1")
        picture = _as_picture(image)
        working = self.backbone.working_size(picture.size)
        (probability,) = yield [RegionRequest(resize(picture.rgb, working), prompt)]
        share = float((probability >= threshold).float().mean())
        if share < SMALLEST_SHARE:
            raise RegionNotFound(
                f"found nothing in the picture for {quoted(prompt)} (best match {probability.max():.0%}); "
                "name the object and its place in other words, or draw the region"
            )
        if share > GLOBAL_SHARE:
            raise GlobalEdit(
                f"{quoted(prompt)} seems to mean the whole picture ({share:.0%} of it), which is no local "
                "edit; name one thing in it, or give the whole picture as the region"
            )
        at_half = probability ** (math.log(0.5) / math.log(threshold))
        return refine(Region.from_array(at_half.numpy()).resize(picture.size), picture.rgb, working)

    def __call__(
        self,
        image: Editable | Sequence[Editable],
        prompt: str | Sequence[str],
        region: Region | Sequence[Region | None] | None = None,
        *,
        preserve: Preserve = "exact",
        num_inference_steps: int | None = None,
        seed: int | None = None,
        generator: torch.Generator | None = None,
        num_images_per_prompt: int = 1,
        on_step: OnStep | None = None,
        threshold: float = 0.5,
        context: float = CONTEXT,
        feather: float | None = None,
        max_batch: int = 1,
        **options: Any,
    ) -> EditOutput:
        """Edits one picture, or a list of pictures with a list of as many prompts.

        region: where to edit, of the picture's size; found from the prompt if None.
        preserve: what holds outside the region. "exact": its pixels are the input's own, bit for bit;
            "latent": its tokens follow the source's own path to the end; "soft": only what the adapter's
            gates and training give (paper). Beyond the crop around the region all three keep the input.
        num_inference_steps: if None, the editor's own default; 1 for "tiny".
        seed: of every picture's noise. If None, one is drawn for each (from `generator`) and reported.
        num_images_per_prompt: candidates, all in one region; with a seed, they use it and the next ones.
        on_step: called with (steps done, steps in all); counts each picture, with its candidates, from 0.
        threshold: see `predict_region`.
        context: side of the edited crop relative to the part that may change, at least 1; see `crops.split`.
        feather: width of the region's soft edge in pixels of the picture; by default see `feather_of`.
        max_batch: how many pictures and candidates are edited at once, if the backbone can. Faster; a
            result then depends, in the last of its 8 bits, on the others in its batch.
        options: further arguments of the diffusers pipeline, such as `guidance_scale` (for any kind of
            guidance), `negative_prompt`, or `references`, more pictures for those that see several.

        Raises AdaptEditError for bad input, NoLocalRegion if there is nothing to edit or it is everything.
        """
        _check_count("max_batch", max_batch)
        edits = [
            self.edit_task(
                *job,
                preserve=preserve,
                num_inference_steps=num_inference_steps,
                seed=seed,
                generator=generator,
                num_images_per_prompt=num_images_per_prompt,
                on_step=on_step,
                threshold=threshold,
                context=context,
                feather=feather,
                **options,
            )
            for job in _pair_up(image, prompt, region)
        ]
        outputs = run(edits, self.scheduler(max_batch))
        return EditOutput(
            images=[image for output in outputs for image in output.images],
            regions=[region for output in outputs for region in output.regions],
            seeds=[seed for output in outputs for seed in output.seeds],
        )

    def edit_task(
        self,
        image: Editable,
        prompt: str,
        region: Region | None = None,
        *,
        preserve: Preserve = "exact",
        num_inference_steps: int | None = None,
        seed: int | None = None,
        generator: torch.Generator | None = None,
        num_images_per_prompt: int = 1,
        on_step: OnStep | None = None,
        threshold: float = 0.5,
        context: float = CONTEXT,
        feather: float | None = None,
        **options: Any,
    ) -> EditTask[EditOutput]:
        """`__call__` for one picture, as a task to run with others. Bad input raises at once."""
        if preserve not in get_args(Preserve):
            raise AdaptEditError(
                f"preserve={preserve!r} is not known; use one of {', '.join(get_args(Preserve))}"
            )
        _check_count("num_inference_steps", num_inference_steps)
        _check_count("num_images_per_prompt", num_images_per_prompt)
        if feather is not None and not 0.0 <= feather < float("inf"):
            raise AdaptEditError(f"feather is {feather:g} pixels; give 0 or more")
        picture = _checked(image, prompt, region)
        seeds = _seeds(num_images_per_prompt, seed, generator)

        def steps() -> EditTask[EditOutput]:
            where = region or (yield from self.find_task(picture, prompt, threshold=threshold))
            edited = yield from candidates(
                picture.rgb,
                prompt,
                where,
                exact_alpha(where, feather_of(where) if feather is None else feather),
                generators=[torch.Generator().manual_seed(one) for one in seeds],
                working_size=self.backbone.working_size,
                context=context,
                exact=preserve == "exact",
                settings=options
                | {"follow_source": preserve == "latent", "num_inference_steps": num_inference_steps},
                on_step=on_step,
            )
            return EditOutput([picture.restore(one) for one in edited], [where] * len(seeds), seeds)

        return steps()

    def scheduler(
        self,
        max_batch: int,
        on_batch: Callable[[int], object] = lambda size: None,
        background: Executor | None = None,
    ) -> Scheduler:
        """Runs several tasks of `finding` and `editing`."""
        return Scheduler(self.backbone, self.adapter, max_batch, on_batch, background)

    def run_task(self, edit: EditTask[T]) -> T:
        """What a task of `finding` or `editing` returns or raises."""
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


def _checked(image: Editable, prompt: str, region: Region | None) -> Picture:
    _check_prompt(prompt)
    picture = _as_picture(image)
    if region is not None and region.size != picture.size:
        raise AdaptEditError(
            f"the region is {region.size[0]}x{region.size[1]} pixels and the picture "
            f"{picture.size[0]}x{picture.size[1]}; make them the same size"
        )
    if region is not None and region.bbox(INVISIBLE) is None:
        raise AdaptEditError("the region is empty, so there is nothing to edit; mark the place in it")
    return picture


def _as_picture(image: Editable) -> Picture:
    return image if isinstance(image, Picture) else Picture.open(image)


def _check_prompt(prompt: str) -> None:
    if not prompt.strip():
        raise AdaptEditError('the instruction is empty; say what to do, such as "remove the apple"')


def _check_count(name: str, count: int | None) -> None:
    if count is not None and count < 1:
        raise AdaptEditError(f"{name} is {count}; give 1 or more")


def _seeds(count: int, seed: int | None, generator: torch.Generator | None) -> list[int]:
    if seed is not None:
        if not 0 <= seed <= LARGEST_SEED - count:
            raise AdaptEditError(f"seed is {seed}; give 0 to {LARGEST_SEED - count}")
        return [seed + index for index in range(count)]
    device = generator.device if generator is not None else None
    return torch.randint(2**31, (count,), generator=generator, device=device).tolist()
