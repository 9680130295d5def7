"""What differs from one diffusers editing pipeline to the next: one row of `EDITORS` per class.

Read in diffusers 0.42. All else (prompt templates, guidance, schedules) is the pipeline's own.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from math import sqrt
from typing import Any

from torch import Tensor

from adaptedit.backbones.diffusers import codec
from adaptedit.errors import AdaptEditError
from adaptedit.region import Size

AREA = 1024 * 1024  # pixels at which these models were trained to edit
LONGEST = 7.0  # a picture longer than 7:1 is squeezed to it; FLUX.2 refuses more than 8:1


@dataclass(frozen=True)
class Editor:
    """One pipeline class.

    working_size: (pipeline, width / height) -> (W, H) that the pipeline takes as it is, about a megapixel.
    sized: (W, H) -> the arguments that set its output size.
    latents: (VAE, its latents (1, C, h, w)) -> the packed tokens (1, N, D) of its denoising loop.
    guidance: the argument that sets the strength of its guidance, distilled or not.
    mask: the argument that takes the region as a picture, white = edit, if it needs one.
    several: it takes a list of pictures.
    defaults: arguments that its model card asks for, used where the caller gives none.
    distilled: the same for weights whose pipeline says in its config that they are distilled to few steps.
    """

    working_size: Callable[[Any, float], Size]
    sized: Callable[[Size], dict[str, Any]]
    latents: Callable[[Any, Tensor], Tensor]
    guidance: str = "guidance_scale"
    mask: str | None = None
    several: bool = False
    defaults: Mapping[str, Any] = field(default_factory=dict)
    distilled: Mapping[str, Any] = field(default_factory=dict)


def _names_beside(pipe: Any) -> dict[str, Any]:
    """What the module of diffusers' own class has, though the pipeline may be of a class derived from it."""
    bases = (base.__module__ for base in type(pipe).__mro__)
    return vars(sys.modules[next(name for name in bases if name.startswith("diffusers."))])


def _calculated(pipe: Any, ratio: float) -> Size:
    """The pipeline's own rule, repeated until it leaves the size alone."""
    calculate = _names_beside(pipe)["calculate_dimensions"]
    size: Size = (0, 0)
    for _ in range(8):
        before, size = size, tuple(calculate(AREA, ratio)[:2])
        if size == before:
            break
        ratio = size[0] / size[1]
    return size


def _preferred(pipe: Any, ratio: float) -> Size:
    """The nearest aspect ratio that Kontext was trained on."""
    sizes = _names_beside(pipe)["PREFERRED_KONTEXT_RESOLUTIONS"]
    width, height = min(sizes, key=lambda size: abs(ratio - size[0] / size[1]))
    return width, height


def _free(pipe: Any, ratio: float) -> Size:
    """At most a megapixel, sides a multiple of a token."""
    token = pipe.vae_scale_factor * 2
    return int(sqrt(AREA * ratio)) // token * token, int(sqrt(AREA / ratio)) // token * token


def _sides(size: Size) -> dict[str, Any]:
    return {"width": size[0], "height": size[1]}


_QWEN = Editor(
    _calculated,
    _sides,
    codec.standardised,
    guidance="true_cfg_scale",
    defaults={"negative_prompt": " "},  # without one its guidance is off
)
_FLUX2 = Editor(_free, _sides, codec.batch_normalised, several=True)

EDITORS: dict[str, Editor] = {
    "QwenImageEditPipeline": _QWEN,
    "QwenImageEditPlusPipeline": replace(_QWEN, several=True),  # 2509, 2511
    "FluxKontextPipeline": Editor(
        _preferred,
        lambda size: _sides(size) | {"max_area": size[0] * size[1]},
        codec.scaled,
        defaults={"guidance_scale": 2.5},
    ),
    "FluxFillPipeline": Editor(_free, _sides, codec.scaled, mask="mask_image"),
    "Flux2Pipeline": _FLUX2,
    "Flux2KleinPipeline": replace(_FLUX2, distilled={"num_inference_steps": 4, "guidance_scale": 1.0}),
    "LongCatImageEditPipeline": Editor(_calculated, lambda size: {}, codec.scaled),
}


def editor_of(pipeline_class: type) -> Editor:
    """The row of a pipeline's class or of its nearest base. AdaptEditError if it is not known to edit."""
    for base in pipeline_class.__mro__:
        if base.__name__ in EDITORS:
            return EDITORS[base.__name__]
    raise AdaptEditError(unknown_editor(pipeline_class.__name__))


def unknown_editor(name: str) -> str:
    return f"{name} is not a pipeline that edits; those that do: {', '.join(sorted(EDITORS))}"
