"""`DiffusersBackbone`: edits by the pipeline's own `__call__`, scheduler and guidance."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import nn

from adaptedit.backbones.base import Edited, OnStep, PromptStates, tokens_inside
from adaptedit.backbones.diffusers import codec
from adaptedit.backbones.diffusers.editors import LONGEST, editor_of
from adaptedit.backbones.diffusers.features import dit_states, vl_states
from adaptedit.backbones.diffusers.memory import enough_memory
from adaptedit.backbones.diffusers.steps import steered
from adaptedit.backbones.patterns import spec_of
from adaptedit.errors import AdaptEditError
from adaptedit.region import Region, Size

# Arguments that `edit` sets itself; every other one of the pipeline's __call__ is an option.
_OURS = {
    "self", "image", "prompt", "width", "height", "max_area", "_auto_resize", "mask_image",
    "num_inference_steps", "generator", "latents", "num_images_per_prompt", "output_type", "return_dict",
}  # fmt: skip


class DiffusersBackbone:
    """A `Backbone` (see backbones/base.py) made of a diffusers pipeline, which stays as it is.

    It takes one picture at a time: the pipelines treat several differently.
    pipe: of a class in `editors.EDITORS`. AdaptEditError for another one, and for float16 weights.
    defaults: arguments of the pipeline where the caller gives none. advice: for when the memory runs out.
    """

    batched = False

    def __init__(self, pipe: Any) -> None:
        if hasattr(pipe, "load_adaptedit"):
            raise AdaptEditError(
                f"{type(pipe).__name__} edits in a region by itself; call it, or give diffusers' own class"
            )
        self.editor = editor_of(type(pipe))
        self.pipe = pipe
        self.defaults = dict(self.editor.defaults)
        if pipe.config.get("is_distilled"):
            self.defaults |= self.editor.distilled
        self.advice = "take a smaller picture, or load it with offloading or in fewer bits"
        spec_of(pipe.transformer)
        check_dtype(pipe.transformer.dtype)

    @property
    def name(self) -> str | None:
        """The hub id that it was loaded from. A folder's name says nothing about the weights."""
        name = self.pipe.name_or_path
        return name if name and not Path(name).exists() else None

    @property
    def transformer(self) -> nn.Module:
        return self.pipe.transformer  # type: ignore[no-any-return]

    @property
    def device(self) -> torch.device:
        return self.pipe._execution_device  # type: ignore[no-any-return]

    def to(self, device: torch.device | str | torch.dtype) -> DiffusersBackbone:
        if isinstance(device, torch.dtype):
            check_dtype(device)
        self.pipe.to(device)
        return self

    def working_size(self, size: Size) -> Size:
        ratio = min(max(size[0] / size[1], 1 / LONGEST), LONGEST)
        return self.editor.working_size(self.pipe, ratio)

    def features(self, images: Sequence[Image.Image], prompts: Sequence[str]) -> PromptStates:
        """Vision-language states where the pipeline has them, else the DiT's own; see features.py."""
        (image,), (prompt,) = images, prompts
        arguments = self.defaults | self._arguments(image, prompt, Image.new("L", image.size))
        arguments |= {"num_inference_steps": 2, "generator": torch.Generator().manual_seed(0)}

        def run() -> None:
            with _silent(self.pipe), enough_memory(self.advice):
                self.pipe(**arguments)

        return (vl_states if spec_of(self.transformer).sees_picture else dit_states)(self.pipe, run)

    def edit(
        self,
        images: Sequence[Image.Image],
        prompts: Sequence[str],
        regions: Sequence[Region],
        *,
        generators: Sequence[torch.Generator],
        follow_source: bool = False,
        num_inference_steps: int | None = None,
        on_step: OnStep | None = None,
        **options: Any,
    ) -> list[Edited]:
        """options: any of the pipeline's own arguments; `guidance_scale` is its guidance, whatever its name.

        references: more pictures that the prompt may speak of, for pipelines that take several.
        With `on_step` the pipeline's own progress bar is off.
        """
        (image,), (prompt,), (region,), (generator,) = images, prompts, regions, generators
        references = options.pop("references", [])
        arguments = self.defaults | self._checked(options)
        mask = region.to_image()
        arguments |= self._arguments(image, prompt, mask)
        if references:
            if not self.editor.several:
                raise AdaptEditError(
                    f"{type(self.pipe).__name__} takes one picture only; leave out references"
                )
            arguments["image"] = [image, *references]
        if num_inference_steps is not None:
            arguments["num_inference_steps"] = num_inference_steps

        with enough_memory(self.advice):
            latents = codec.encode(self.pipe, image)
            reconstruction = codec.decode(self.pipe, latents)
            source = inside = None
            if follow_source:
                token = self.pipe.vae_scale_factor * 2
                source = self.editor.latents(self.pipe.vae, latents)
                inside = tokens_inside(region, (image.height // token, image.width // token))
            with (
                steered(self.pipe.scheduler, on_step=on_step, source=source, inside=inside),
                _silent(self.pipe, on_step is not None),
            ):
                edited = self.pipe(generator=generator, **arguments).images[0]
        return [Edited(edited, reconstruction)]

    def _arguments(self, image: Image.Image, prompt: str, mask: Image.Image) -> dict[str, Any]:
        arguments = {"image": image, "prompt": prompt} | self.editor.sized(image.size)
        return arguments | ({self.editor.mask: mask} if self.editor.mask else {})

    def _checked(self, options: dict[str, Any]) -> dict[str, Any]:
        if self.editor.guidance != "guidance_scale" and "guidance_scale" in options:
            options = options | {self.editor.guidance: options["guidance_scale"]}
            del options["guidance_scale"]
        parameters = inspect.signature(type(self.pipe).__call__).parameters
        known = set(parameters) - _OURS
        if unknown := sorted(options.keys() - known):
            raise AdaptEditError(
                f"{type(self.pipe).__name__} has no option {', '.join(unknown)}; "
                f"it has {', '.join(sorted(known))}"
            )
        self._check_guidance(options, parameters)
        return options

    def _check_guidance(self, options: dict[str, Any], parameters: Mapping[str, inspect.Parameter]) -> None:
        """AdaptEditError for what the pipeline would take and ignore, but for a line in its log."""
        name = type(self.pipe).__name__
        if "negative_prompt" in options and "true_cfg_scale" in parameters:
            scale = (self.defaults | options).get("true_cfg_scale", parameters["true_cfg_scale"].default)
            if not scale > 1:
                raise AdaptEditError(
                    f"{name} ignores a negative prompt while its true_cfg_scale is {scale}; leave it out, or "
                    "give a true_cfg_scale above 1"
                )
        if self.pipe.config.get("is_distilled") and options.get("guidance_scale", 1) > 1:
            raise AdaptEditError(f"this {name} is distilled and ignores guidance; leave it out")


def check_dtype(dtype: torch.dtype | None) -> None:
    """AdaptEditError for float16: these models' activations exceed its range and end in NaN or noise."""
    if dtype != torch.float16:
        return
    advice = "use torch_dtype=torch.bfloat16"
    if torch.cuda.is_available() and not torch.cuda.is_bf16_supported(including_emulation=False):
        advice = (
            "this GPU has no bfloat16 of its own, so use torch_dtype=torch.float32, "
            "or torch.bfloat16, which it emulates slowly"
        )
    raise AdaptEditError(f"Qwen-Image, FLUX and similar models overflow in float16; {advice}")


@contextmanager
def _silent(pipe: Any, silent: bool = True) -> Iterator[None]:
    """Without the pipeline's own progress bar."""
    before = dict(getattr(pipe, "_progress_bar_config", {}))
    if silent:
        pipe.set_progress_bar_config(**before | {"disable": True})
    try:
        yield
    finally:
        pipe.set_progress_bar_config(**before)
