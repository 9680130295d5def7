"""`AdaptEditPipeline`: from picture and instruction to picture, with the region found or given."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from diffusers import DiffusionPipeline
from PIL import Image
from torch import nn

from adaptedit.adapter.model import AdaptEditAdapter
from adaptedit.backbones.base import Backbone, OnStep
from adaptedit.backbones.diffusers import DiffusersBackbone
from adaptedit.editing import load
from adaptedit.editing.compose import exact_alpha, resize, stitch, without_drift
from adaptedit.editing.crops import CONTEXT, INVISIBLE, split
from adaptedit.editing.depth import Image16
from adaptedit.editing.images import Picture, Source
from adaptedit.editing.refine import refine
from adaptedit.errors import AdaptEditError, GlobalEdit, RegionNotFound
from adaptedit.pixels import to_tensor
from adaptedit.region import Region

Preserve = Literal["exact", "latent", "soft"]
Editable = Source | Picture

SMALLEST_SHARE = 1 / 2000  # of the picture; a smaller find is a stray pixel, not an object
GLOBAL_SHARE = 0.9  # a larger find is no local edit


@dataclass(frozen=True)
class EditOutput:
    """One entry a result, a picture's candidates in a row.

    images: in the input's size and mode: PIL images, or `Image16` for an input of 16 bits a channel.
    regions: what was edited. seeds: that give the same again.
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
            laid out as `weights/tiny` in this package.
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

    @torch.no_grad()
    def predict_region(self, image: Editable, prompt: str, *, threshold: float = 0.5) -> Region:
        """Where `prompt` would edit `image`: a soft region of the picture's size, above 0.5 what is meant.

        threshold: the probability, in (0, 1), from which on a pixel is meant; lower finds more.

        Raises RegionNotFound if that is fewer than 1 in 2000 pixels, GlobalEdit if it is more than 9 in 10.
        """
        _check_prompt(prompt)
        if not 0.0 < threshold < 1.0:
            raise AdaptEditError(f"threshold is {threshold:g}; give a probability above 0 and below 1")
        picture = _as_picture(image)
        working = self.backbone.working_size(picture.size)
        seen = resize(picture.rgb, working)
        states = self.backbone.features(seen, prompt)
        self.adapter.to(self.backbone.device)
        probability = self.adapter.predict_region(states, to_tensor(seen))[0].cpu()
        share = float((probability >= threshold).float().mean())
        if share < SMALLEST_SHARE:
            raise RegionNotFound(
                f"found nothing in the picture for {prompt!r} (best match {probability.max():.0%}); "
                "name the object and its place in other words, or draw the region"
            )
        if share > GLOBAL_SHARE:
            raise GlobalEdit(
                f"{prompt!r} seems to mean the whole picture ({share:.0%} of it), which is no local edit; "
                "name one thing in it, or give the whole picture as the region"
            )
        at_half = probability ** (math.log(0.5) / math.log(threshold))
        return refine(Region.from_array(at_half.numpy()).resize(picture.size), picture.rgb, working)

    @torch.no_grad()
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
        **options: Any,
    ) -> EditOutput:
        """Edits one picture, or a list of pictures with a list of as many prompts.

        region: where to edit, of the picture's size; found from the prompt where it is None.
        preserve: what holds outside the region. "exact": its pixels are the input's own, bit for bit;
            "latent": its tokens follow the source's own path to the end; "soft": only what the adapter's
            gates and training give (paper). Beyond the crop around the region all three keep the input.
        num_inference_steps: the editor's own default where None; 1 for "tiny".
        seed: the noise of every picture. Where None, drawn for each (from `generator`), and reported.
        num_images_per_prompt: candidates, all in one region; with a seed, they have it and the next ones.
        on_step: called with (steps done, steps in all), for each result anew.
        threshold: see `predict_region`.
        context: side of the crop that is edited over that of what may change, at least 1; see `crops.split`.
        feather: width of the region's soft edge in pixels of the picture; by default see `feather_of`.
        options: what else the diffusers pipeline takes, such as `guidance_scale` (of whatever kind its
            guidance is), `negative_prompt`, or `references`, more pictures for those that see several.

        Raises AdaptEditError for bad input, NoLocalRegion if there is nothing to edit or it is everything.
        """
        if preserve not in get_args(Preserve):
            raise AdaptEditError(
                f"preserve={preserve!r} is not known; use one of {', '.join(get_args(Preserve))}"
            )
        _check_count("num_inference_steps", num_inference_steps)
        _check_count("num_images_per_prompt", num_images_per_prompt)
        if feather is not None and not 0.0 <= feather < float("inf"):
            raise AdaptEditError(f"feather is {feather:g} pixels; give 0 or more")
        jobs = _pair_up(image, prompt, region)

        images, regions, seeds = [], [], []
        for picture, words, where in jobs:
            where = where or self.predict_region(picture, words, threshold=threshold)
            alpha = exact_alpha(where, feather_of(where) if feather is None else feather)
            for its_seed in _seeds(num_images_per_prompt, seed, generator):
                arguments = options | {
                    "num_inference_steps": num_inference_steps,
                    "generator": torch.Generator().manual_seed(its_seed),
                    "on_step": on_step,
                }
                edited = self._edit(picture.rgb, words, where, preserve, alpha, context, arguments)
                images.append(picture.restore(edited))
                regions.append(where)
                seeds.append(its_seed)
        return EditOutput(images, regions, seeds)

    def _edit(
        self,
        source: Image.Image,
        prompt: str,
        region: Region,
        preserve: Preserve,
        alpha: Region,
        context: float,
        arguments: dict[str, Any],
    ) -> Image.Image:
        """Crop around each part of the region, edit the crop at its working size, put it back."""
        self.adapter.to(self.backbone.device)
        on_step: OnStep | None = arguments.pop("on_step")
        working = self.backbone.working_size(source.size)
        crops = split(alpha, working=working, context=context, minimum=min(working))
        for done, (box, weight) in enumerate(crops):
            size = self.backbone.working_size(weight.size)
            local = region.crop(box)
            if len(crops) > 1:
                local = local & Region.from_array(weight.mask > 0)
            local = local.resize(size)
            with self.adapter.region(local):
                edited = self.backbone.edit(
                    resize(source.crop(box), size),
                    prompt,
                    local,
                    follow_source=preserve == "latent",
                    on_step=on_step and _counted(on_step, done, len(crops)),
                    **arguments,
                )
            image = edited.image
            if preserve == "exact":
                image = without_drift(image, edited.reconstruction, weight)
            else:
                weight = Region.full(weight.size)
            source = stitch(source, image, box, weight, reference=edited.reconstruction)
        return source


def _counted(on_step: OnStep, done: int, crops: int) -> OnStep:
    """Steps of one crop, as steps of all of them."""
    return lambda step, steps: on_step(done * steps + step, crops * steps)


def feather_of(region: Region) -> float:
    """Width of the soft edge in pixels: a twentieth of the square root of its area, 2 to 16 (our choice)."""
    area = float((region.mask > region.mask.max() / 2).sum())
    return min(max(math.sqrt(area) / 20, 2.0), 16.0)


def _pair_up(image: Any, prompt: Any, region: Any) -> list[tuple[Picture, str, Region | None]]:
    """One (picture, prompt, region) a job, all checked before the first is run."""
    images = list(image) if isinstance(image, (list, tuple)) else [image]
    prompts = [prompt] if isinstance(prompt, str) else list(prompt)
    regions = list(region) if isinstance(region, (list, tuple)) else [region] * len(images)
    if not len(images) == len(prompts) == len(regions):
        raise AdaptEditError(
            f"{len(images)} pictures, {len(prompts)} prompts and {len(regions)} regions; give as many of each"
        )
    return [_job(*each) for each in zip(images, prompts, regions, strict=True)]


def _job(image: Editable, prompt: str, region: Region | None) -> tuple[Picture, str, Region | None]:
    _check_prompt(prompt)
    picture = _as_picture(image)
    if region is not None and region.size != picture.size:
        raise AdaptEditError(
            f"the region is {region.size[0]}x{region.size[1]} pixels and the picture "
            f"{picture.size[0]}x{picture.size[1]}; make them the same size"
        )
    if region is not None and region.bbox(INVISIBLE) is None:
        raise AdaptEditError("the region is empty, so there is nothing to edit; mark the place in it")
    return picture, prompt, region


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
        return [seed + index for index in range(count)]
    device = generator.device if generator is not None else None
    return torch.randint(2**31, (count,), generator=generator, device=device).tolist()
