"""The one list of options: how an edit is made, and how an editor is loaded. Every door fills these."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from math import inf
from pathlib import Path
from typing import Any, Literal, get_args

from adaptedit.editing.controls import Point
from adaptedit.editing.crops import CONTEXT
from adaptedit.editing.limits import (
    LARGEST_SEED,
    MOST_CONTEXT,
    MOST_GUIDANCE,
    MOST_PIXELS,
    MOST_SCALE,
    MOST_STEPS,
    check_count,
    check_number,
)
from adaptedit.errors import AdaptEditError
from adaptedit.pictures.picture import Picture
from adaptedit.region import Box, Region

Preserve = Literal["exact", "latent", "soft"]
Dtype = Literal["bfloat16", "float32"]
Quantize = Literal["nf4", "int8", "fp8"]
Offload = Literal["model", "group", "sequential"]

# What diffusers calls some of the options.
DIFFUSERS_NAMES = {
    "num_inference_steps": "steps",
    "num_images_per_prompt": "candidates",
    "guidance_scale": "guidance",
}


@dataclass(frozen=True, eq=False, kw_only=True)
class EditOptions:
    """How one edit is made. Checked when it is made; raises AdaptEditError.

    region: where to edit, of the picture's size; found from the instruction if None.
    everywhere: edit the whole picture instead.
    threshold: the lowest probability, in (0, 1), of a pixel of the region found; lower finds more.
    include, exclude, within, invert, grow: how the region is then changed, see `controls.adjust`.
    preserve: what holds outside the region. "exact": its pixels are the input's own, bit for bit;
        "latent": its tokens follow the source's own path to the end; "soft": only what the adapter's
        gates and training give (paper). Beyond the crop around the region all three keep the input.
    steps: of denoising, 1 to 1000; the editor's own default if None, which is 1 for `tiny`.
    guidance: strength of the editor's guidance, of whatever kind; its own default if None.
    negative_prompt: what the result should not show, for editors whose guidance has one.
    references: more pictures that the instruction may speak of, for editors that see several.
    adapter_scale: strength of the adapter's signal, 1 as trained, 0 none; None: as the adapter is set.
    seed: of the noise; the candidates use it and the next ones. Drawn and reported if None.
    candidates: how many results, all in one region.
    feather: width of the region's soft edge in pixels; by default see `pipeline.feather_of`.
    context: side of the edited crop relative to the part that may change, 1 to 1000; see `crops.split`.
    backbone_arguments: further arguments of the backbone, such as those of a diffusers pipeline.
    """

    region: Region | None = None
    everywhere: bool = False
    threshold: float = 0.5
    include: Sequence[Box | Point] = ()
    exclude: Sequence[Box | Point] = ()
    within: Region | None = None
    invert: bool = False
    grow: float = 0.0
    preserve: Preserve = "exact"
    steps: int | None = None
    guidance: float | None = None
    negative_prompt: str | None = None
    references: Sequence[Picture] = ()
    adapter_scale: float | None = None
    seed: int | None = None
    candidates: int = 1
    feather: float | None = None
    context: float = CONTEXT
    backbone_arguments: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_number("threshold", self.threshold, 0, 1)
        if not 0.0 < self.threshold < 1.0:
            raise AdaptEditError(f"threshold is {self.threshold}; give a probability above 0 and below 1")
        if self.preserve not in get_args(Preserve):
            raise AdaptEditError(
                f"preserve={self.preserve!r} is not known; use one of {', '.join(get_args(Preserve))}"
            )
        check_number("grow", self.grow, -MOST_PIXELS, MOST_PIXELS, " pixels")
        check_number("feather", 0.0 if self.feather is None else self.feather, 0, MOST_PIXELS, " pixels")
        check_number("context", self.context, 1, MOST_CONTEXT)
        check_count("steps", 1 if self.steps is None else self.steps, 1, MOST_STEPS)
        check_number("guidance", 0.0 if self.guidance is None else self.guidance, 0, MOST_GUIDANCE)
        scale = 0.0 if self.adapter_scale is None else self.adapter_scale
        check_number("adapter scale", scale, -MOST_SCALE, MOST_SCALE)
        check_count("candidates", self.candidates, 1, inf)
        check_count("seed", 0 if self.seed is None else self.seed, 0, LARGEST_SEED - self.candidates + 1)
        if self.everywhere and self.region is not None:
            raise AdaptEditError("a region and the whole picture exclude each other; give one of them")

    @property
    def settings(self) -> dict[str, Any]:
        """What `Backbone.edit` gets of it."""
        given = {
            "guidance_scale": self.guidance,
            "negative_prompt": self.negative_prompt,
            "references": [picture.rgb for picture in self.references] or None,
        }
        own = {"follow_source": self.preserve == "latent", "num_inference_steps": self.steps}
        return {
            **self.backbone_arguments,
            **{name: value for name, value in given.items() if value is not None},
            **own,
        }

    @property
    def adjusts_region(self) -> bool:
        """Whether the region that is given or found is changed before the edit."""
        return bool(self.include or self.exclude or self.within or self.invert or self.grow)

    @classmethod
    def from_arguments(cls, arguments: Mapping[str, Any]) -> EditOptions:
        """From keyword arguments, with these names or those of diffusers; the rest are the backbone's."""
        known = {one.name for one in fields(cls)}
        own: dict[str, Any] = {}
        others: dict[str, Any] = {}
        for given, value in arguments.items():
            name = DIFFUSERS_NAMES.get(given, given)
            if name not in known:
                others[given] = value
            elif name in own:
                raise AdaptEditError(f"{name} came twice, also as {given}; give it once")
            else:
                own[name] = value
        if others:
            own["backbone_arguments"] = others
        return cls(**own)


@dataclass(frozen=True, kw_only=True)
class LoadOptions:
    """Which editor is loaded, and how.

    backbone: "tiny", a folder, or a hub id of a diffusers editing pipeline.
    adapter: a folder or a hub id; None: the one that `tiny` and its like have in their folder, else none.
    revision: of the backbone on the hub.
    device: "cuda", "cuda:1", "mps" or "cpu"; None: a GPU if there is one, but for `tiny`.
    dtype: of the weights; None: bfloat16, but for `tiny`.
    quantize: how the frozen weights are kept; offload: what waits in main memory until it is needed. Where
        both are None, or offload alone, and there is a GPU, they are those of the first rung of `costs.rungs`
        that fits; but a device with a dtype is taken at its word.
    transformer: one file, .safetensors or .gguf, with another DiT for the backbone's pipeline.
    loras: LoRA files or hub ids that are put on the backbone, each "NAME" or "NAME=WEIGHT".
    """

    backbone: str = "tiny"
    adapter: str | None = None
    revision: str | None = None
    device: str | None = None
    dtype: Dtype | None = None
    quantize: Quantize | None = None
    offload: Offload | None = None
    transformer: str | None = None
    loras: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("backbone", "adapter", "transformer"):
            value = getattr(self, name)
            if isinstance(value, Path):
                object.__setattr__(self, name, str(value))
        loras = [self.loras] if isinstance(self.loras, (str, Path)) else self.loras
        object.__setattr__(self, "loras", tuple(str(one) for one in loras or ()))

    @property
    def has_adapter(self) -> bool:
        """Whether the editor will have one; known before anything is loaded."""
        own = self.backbone == "tiny" or (Path(self.backbone) / "adapter").is_dir()
        return own or self.adapter is not None
