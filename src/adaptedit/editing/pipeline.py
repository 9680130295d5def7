"""`AdaptEditPipeline`: from picture and instruction to picture, with the region found or given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from adaptedit.adapter.model import AdaptEditAdapter
from adaptedit.backbones import tiny
from adaptedit.backbones.base import Backbone
from adaptedit.editing.compose import INVISIBLE, crop_box, exact_alpha, resize, stitch
from adaptedit.editing.denoise import OnStep, denoise, follow_source_outside
from adaptedit.editing.images import Picture, Source, to_pil, to_tensor
from adaptedit.errors import AdaptEditError
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

    backbone: any `Backbone`; adapter: made for it, attached here if it is not yet. Both on one device.
    """

    def __init__(self, backbone: Backbone, adapter: AdaptEditAdapter) -> None:
        if not adapter.attached:
            adapter.attach(backbone)
        self.backbone = backbone
        self.adapter = adapter
        for model in self._models():
            model.eval()

    @classmethod
    def from_pretrained(cls, name: str | Path) -> AdaptEditPipeline:
        """The embedded editor "tiny", or a folder laid out as `weights/tiny` in this package.

        Raises AdaptEditError for another name.
        """
        folder = tiny.WEIGHTS if name == "tiny" else Path(name)
        if name != "tiny" and not (folder / "adapter").is_dir():
            raise AdaptEditError(
                f"no editor is named {str(name)!r}; use 'tiny', or a folder with an editor and its adapter"
            )
        return cls(tiny.load(folder), AdaptEditAdapter.from_pretrained(folder / "adapter").float())

    def to(self, device: torch.device | str) -> AdaptEditPipeline:
        """Moves all models; returns self."""
        for model in self._models():
            model.to(device)
        return self

    @torch.inference_mode()
    def predict_region(self, image: Editable, prompt: str, *, threshold: float = 0.5) -> Region:
        """Where `prompt` would edit `image`: a soft region of the picture's size.

        Raises RegionNotFound if the surest pixel is below `threshold` (raise it to be stricter), or fewer
        than 1 in 2000 pixels are more likely meant than not.
        """
        _check_prompt(prompt)
        picture = _as_picture(image)
        pixels = self._pixels(picture.rgb)
        states = self.backbone.encode_prompt(pixels, [prompt])
        probability = self.adapter.predict_region(states, pixels)[0]
        share = (probability >= 0.5).float().mean()
        if probability.max() < threshold or share < SMALLEST_SHARE:
            raise RegionNotFound(
                f"found nothing in the picture for {prompt!r} (best match {probability.max():.0%}); "
                "name the object and its place in other words, or draw the region"
            )
        return Region.from_array(probability.cpu().numpy()).resize(picture.size)

    @torch.inference_mode()
    def __call__(
        self,
        image: Editable | Sequence[Editable],
        prompt: str | Sequence[str],
        region: Region | Sequence[Region | None] | None = None,
        *,
        preserve: Preserve = "exact",
        num_inference_steps: int = 1,
        seed: int | None = None,
        generator: torch.Generator | None = None,
        on_step: OnStep | None = None,
        threshold: float = 0.5,
    ) -> EditOutput:
        """Edits one picture, or a list of pictures with a list of as many prompts.

        region: where to edit, of the picture's size; found from the prompt where it is None.
        preserve: what holds outside the region. "exact": its pixels are the input's own, bit for bit;
            "latent": its tokens follow the source's own path to the end; "soft": only what the adapter's
            gates and training give (paper). Beyond the crop around the region all three keep the input.
        seed: the noise of every picture. Where None, drawn for each (from `generator`), and reported.
        on_step: called with (steps done, steps in all), for each picture anew.
        threshold: see `predict_region`.

        Raises AdaptEditError for bad input, RegionNotFound if there is nothing to edit.
        """
        if preserve not in get_args(Preserve):
            raise AdaptEditError(
                f"preserve={preserve!r} is not known; use one of {', '.join(get_args(Preserve))}"
            )
        if num_inference_steps < 1:
            raise AdaptEditError(f"num_inference_steps is {num_inference_steps}; give 1 or more")
        jobs = _pair_up(image, prompt, region)
        seeds = [seed] * len(jobs) if seed is not None else _draw_seeds(len(jobs), generator)

        images, regions = [], []
        for (picture, words, where), its_seed in zip(jobs, seeds, strict=True):
            where = where or self.predict_region(picture, words, threshold=threshold)
            noise = torch.Generator().manual_seed(its_seed)
            edited = self._edit(picture.rgb, words, where, preserve, num_inference_steps, noise, on_step)
            images.append(picture.restore(edited))
            regions.append(where)
        return EditOutput(images, regions, seeds)

    def _edit(
        self,
        source: Image.Image,
        prompt: str,
        region: Region,
        preserve: Preserve,
        num_inference_steps: int,
        generator: torch.Generator,
        on_step: OnStep | None,
    ) -> Image.Image:
        """Crop around the region, edit the crop at the working resolution, put it back."""
        backbone, square = self.backbone, (self.backbone.resolution, self.backbone.resolution)
        alpha = exact_alpha(region, _feather(region))
        box = crop_box(alpha, size=source.size, minimum=backbone.resolution)
        pixels, local = self._pixels(source.crop(box)), region.crop(box).resize(square)

        states = backbone.encode_prompt(pixels, [prompt])
        source_latents = backbone.encode_image(pixels)
        constrain = None
        if preserve == "latent":
            inside = _tokens_inside(local, backbone.grid)
            constrain = follow_source_outside(source_latents, inside.to(source_latents.device))
        with self.adapter.region(local):
            latents = denoise(
                backbone,
                source_latents,
                states,
                num_inference_steps=num_inference_steps,
                generator=generator,
                on_step=on_step,
                constrain=constrain,
            )
        edited = to_pil(backbone.decode_latents(latents)[0])
        unedited = to_pil(backbone.decode_latents(source_latents)[0])
        seen = alpha if preserve == "exact" else Region.from_box(box, source.size)
        return stitch(source, edited, box, seen, reference=unedited)

    def _pixels(self, rgb: Image.Image) -> Tensor:
        """PIL RGB of any size -> (1, 3, R, R) in [0, 1] at the working resolution, on the model's device."""
        square = resize(rgb, (self.backbone.resolution, self.backbone.resolution))
        return to_tensor(square).to(next(self.backbone.transformer.parameters()).device)

    def _models(self) -> list[nn.Module]:
        parts = (self.adapter, self.backbone, *vars(self.backbone).values())
        return [part for part in parts if isinstance(part, nn.Module)]


def _feather(region: Region) -> float:
    """Width of the soft edge in pixels: a twentieth of the region's longer side, 2 to 16 (our choice)."""
    left, top, right, bottom = region.bbox(float(region.mask.max()) / 2) or (0, 0, *region.size)
    return float(min(max(max(right - left, bottom - top) / 20, 2), 16))


def _tokens_inside(region: Region, grid: tuple[int, int]) -> Tensor:
    """(1, N) bool: tokens that hold a pixel of the region, which is one of at least half its maximum."""
    mask = torch.tensor(region.mask)[None, None]
    return F.adaptive_max_pool2d(mask, grid).flatten(1) >= mask.max() / 2


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
