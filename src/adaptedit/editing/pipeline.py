"""`AdaptEditPipeline`: from picture and instruction to picture, with the region found or given."""

from __future__ import annotations

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
from adaptedit.editing.compose import INVISIBLE, crop_box, exact_alpha, resize, stitch
from adaptedit.editing.images import Picture, Source
from adaptedit.errors import AdaptEditError
from adaptedit.pixels import to_tensor
from adaptedit.region import Region

Preserve = Literal["exact", "latent", "soft"]
Editable = Source | Picture

SMALLEST_SHARE = 1 / 2000  # of the picture; a smaller find is a stray pixel, not an object


class RegionNotFound(AdaptEditError):
    """The instruction names nothing that was found in the picture. Never answered by editing all of it."""


@dataclass(frozen=True)
class EditOutput:
    """One entry a picture: the result in the input's size and mode, the region that was edited, the seed."""

    images: list[Image.Image]
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
        """Where `prompt` would edit `image`: a soft region of the picture's size.

        Raises RegionNotFound if the surest pixel is below `threshold` (raise it to be stricter), or fewer
        than 1 in 2000 pixels are more likely meant than not.
        """
        _check_prompt(prompt)
        picture = _as_picture(image)
        seen = resize(picture.rgb, self.backbone.working_size(picture.size))
        states = self.backbone.features(seen, prompt)
        self.adapter.to(self.backbone.device)
        probability = self.adapter.predict_region(states, to_tensor(seen))[0]
        share = (probability >= 0.5).float().mean()
        if probability.max() < threshold or share < SMALLEST_SHARE:
            raise RegionNotFound(
                f"found nothing in the picture for {prompt!r} (best match {probability.max():.0%}); "
                "name the object and its place in other words, or draw the region"
            )
        return Region.from_array(probability.cpu().numpy()).resize(picture.size)

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
        on_step: OnStep | None = None,
        threshold: float = 0.5,
        **options: Any,
    ) -> EditOutput:
        """Edits one picture, or a list of pictures with a list of as many prompts.

        region: where to edit, of the picture's size; found from the prompt where it is None.
        preserve: what holds outside the region. "exact": its pixels are the input's own, bit for bit;
            "latent": its tokens follow the source's own path to the end; "soft": only what the adapter's
            gates and training give (paper). Beyond the crop around the region all three keep the input.
        num_inference_steps: the editor's own default where None; 1 for "tiny".
        seed: the noise of every picture. Where None, drawn for each (from `generator`), and reported.
        on_step: called with (steps done, steps in all), for each picture anew.
        threshold: see `predict_region`.
        options: what else the diffusers pipeline takes, such as `guidance_scale` (of whatever kind its
            guidance is), `negative_prompt`, or `references`, more pictures for those that see several.

        Raises AdaptEditError for bad input, RegionNotFound if there is nothing to edit.
        """
        if preserve not in get_args(Preserve):
            raise AdaptEditError(
                f"preserve={preserve!r} is not known; use one of {', '.join(get_args(Preserve))}"
            )
        if num_inference_steps is not None and num_inference_steps < 1:
            raise AdaptEditError(f"num_inference_steps is {num_inference_steps}; give 1 or more")
        jobs = _pair_up(image, prompt, region)
        seeds = [seed] * len(jobs) if seed is not None else _draw_seeds(len(jobs), generator)

        images, regions = [], []
        for (picture, words, where), its_seed in zip(jobs, seeds, strict=True):
            where = where or self.predict_region(picture, words, threshold=threshold)
            arguments = options | {
                "num_inference_steps": num_inference_steps,
                "generator": torch.Generator().manual_seed(its_seed),
                "on_step": on_step,
            }
            images.append(picture.restore(self._edit(picture.rgb, words, where, preserve, arguments)))
            regions.append(where)
        return EditOutput(images, regions, seeds)

    def _edit(
        self, source: Image.Image, prompt: str, region: Region, preserve: Preserve, arguments: dict[str, Any]
    ) -> Image.Image:
        """Crop around the region, edit the crop at its working size, put it back."""
        alpha = exact_alpha(region, _feather(region))
        box = crop_box(alpha, size=source.size, minimum=min(self.backbone.working_size((1, 1))))
        size = self.backbone.working_size((box[2] - box[0], box[3] - box[1]))
        crop, local = resize(source.crop(box), size), region.crop(box).resize(size)

        self.adapter.to(self.backbone.device)
        with self.adapter.region(local):
            edited = self.backbone.edit(crop, prompt, local, follow_source=preserve == "latent", **arguments)
        seen = alpha if preserve == "exact" else Region.from_box(box, source.size)
        return stitch(source, edited.image, box, seen, reference=edited.reconstruction)


def _feather(region: Region) -> float:
    """Width of the soft edge in pixels: a twentieth of the region's longer side, 2 to 16 (our choice)."""
    left, top, right, bottom = region.bbox(float(region.mask.max()) / 2) or (0, 0, *region.size)
    return float(min(max(max(right - left, bottom - top) / 20, 2), 16))


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


def _draw_seeds(count: int, generator: torch.Generator | None) -> list[int]:
    device = generator.device if generator is not None else None
    return torch.randint(2**31, (count,), generator=generator, device=device).tolist()
