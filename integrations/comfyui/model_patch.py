"""The adapter in ComfyUI's own DiT classes, through ComfyUI's own hooks; no weight or class is changed.

A wrapper around the model's forward turns the mask and the call's text states into the adapter's condition
and puts it into this call's transformer options; a replace-patch on each block adds that block adapter's
output to the tokens of the target picture, which come first. The same places as
`adaptedit.backbones.injection` has in diffusers' classes.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from adaptedit.adapter.condition import Condition, check_region, pool_region
from adaptedit.adapter.config import AdapterConfig
from adaptedit.errors import AdaptEditError

KEY = "adaptedit"
Block = tuple[str, int]  # ComfyUI's name of a block: ("double_block", 0)


@dataclass(frozen=True)
class Dit:
    """A ComfyUI model as an adapter's config describes its own. backbone: diffusers' name of the class."""

    backbone: str
    dim: int
    text_dim: int
    blocks: list[Block]


@dataclass(frozen=True)
class Call:
    """One forward of the model. length: tokens of the target. num_text: text tokens before them in
    joined blocks.
    """

    condition: Condition
    length: int
    num_text: int
    scale: float


def patched(model: Any, adapter: Any, mask: Tensor, scale: float) -> Any:
    """A clone of a MODEL with the adapter on it. adapter: its ModelPatcher. mask: (B, H, W), 1 = edit.

    Raises AdaptEditError if the adapter is for another model, one is on it already, or the mask is empty.
    """
    dit = describe(model.get_model_object("diffusion_model"))
    _check_made_for(adapter.model.config, dit)
    mask = mask.unsqueeze(0) if mask.ndim == 2 else mask
    check_region(mask)
    if not mask.any(dim=(1, 2)).all():
        raise AdaptEditError("the region is empty, so there is nothing to edit; mark the place to edit")
    model = model.clone()
    if scale == 0:
        return model
    if model.get_wrappers("diffusion_model", KEY):
        raise AdaptEditError("this model already has an AdaptEdit adapter; apply only one, with one mask")
    model.add_wrapper_with_key("diffusion_model", KEY, _Begin(adapter, mask.detach().float(), scale))
    replaced = model.model_options["transformer_options"].get("patches_replace", {}).get("dit", {})
    for (kind, number), block in zip(dit.blocks, adapter.model.blocks, strict=True):
        before = replaced.get((kind, number))
        patch = _After(adapter, block, text_first=kind == "single_block", before=before)
        model.set_model_patch_replace(patch, "dit", kind, number)
    return model


def describe(dit: Any) -> Dit:
    """Raises AdaptEditError for a class whose blocks are not known."""
    name = type(dit).__name__
    if name == "QwenImageTransformer2DModel":
        blocks = [("double_block", i) for i in range(len(dit.transformer_blocks))]
        return Dit(name, dit.inner_dim, dit.txt_in.in_features, blocks)
    if name == "Flux" and not getattr(dit.params, "global_modulation", False):
        blocks = [("double_block", i) for i in range(len(dit.double_blocks))]
        blocks += [("single_block", i) for i in range(len(dit.single_blocks))]
        return Dit("FluxTransformer2DModel", dit.hidden_size, dit.params.context_in_dim, blocks)
    raise AdaptEditError(f"{name} is not supported here; use a Qwen-Image-Edit or a FLUX.1 model")


def _check_made_for(config: AdapterConfig, dit: Dit) -> None:
    wanted = (config.backbone, config.dim, config.text_dim, config.num_blocks)
    found = (dit.backbone, dit.dim, dit.text_dim, len(dit.blocks))
    if wanted != found:
        raise AdaptEditError(
            f"the adapter was made for {config.backbone_name!r} (class, width, text width, blocks = "
            f"{wanted}), not for this model ({found}); load one that was trained for this model"
        )


class _Begin:
    """Wraps the model's forward: puts this call's condition into a copy of its transformer options."""

    def __init__(self, adapter: Any, mask: Tensor, scale: float) -> None:
        self.adapter, self.mask, self.scale = adapter, mask, scale

    def __call__(self, executor: Any, *args: Any, **kwargs: Any) -> Tensor:
        dit = executor.class_obj
        bound = inspect.signature(type(dit)._forward).bind(dit, *args, **kwargs)
        x, context = bound.arguments["x"], bound.arguments["context"]
        grid = _grid(x, dit.patch_size)
        self._check_proportions(grid)
        pooled = pool_region(self.mask, grid, batch=len(x)).to(context.device)
        condition = self.adapter.model.condition(context, None, pooled)
        call = Call(condition, grid[0] * grid[1], context.shape[1], self.scale)
        bound.arguments["transformer_options"] = {**bound.arguments["transformer_options"], KEY: call}
        return executor(*bound.args[1:], **bound.kwargs)  # type: ignore[no-any-return]

    def _check_proportions(self, grid: tuple[int, int]) -> None:
        (h, w), (height, width) = grid, self.mask.shape[1:]
        if abs(width * h - height * w) > max(width, height):  # more than a token
            raise AdaptEditError(
                f"the mask is {width}x{height} pixels and the latent {w}x{h} tokens, which has other "
                "proportions; give a mask of the sampled picture, and use no conditioning with an area"
            )


class _After:
    """Replaces a block: runs the block, or what another node put in its place, then the adapter."""

    def __init__(self, adapter: Any, block: nn.Module, text_first: bool, before: Any) -> None:
        self.adapter, self.block, self.text_first, self.before = adapter, block, text_first, before

    def models(self) -> list[Any]:
        """The patchers that ComfyUI loads together with the model."""
        others = getattr(self.before, "models", None)
        return [self.adapter, *(others() if others else [])]

    def __call__(self, args: dict[str, Any], extra: dict[str, Callable[..., Any]]) -> dict[str, Any]:
        out = extra["original_block"](args) if self.before is None else self.before(args, extra)
        call: Call = args["transformer_options"][KEY]
        tokens = out["img"]
        start = call.num_text if self.text_first else 0
        stop = start + call.length
        target = tokens[:, start:stop]
        target = target + call.scale * self.block(target, call.condition)
        return {**out, "img": torch.cat([tokens[:, :start], target, tokens[:, stop:]], dim=1)}


def _grid(x: Tensor, patch: int) -> tuple[int, int]:
    """Tokens (h, w) of latents (B, C, H, W) or (B, C, frames, H, W), padded to whole patches."""
    if x.ndim == 5 and x.shape[2] != 1:
        raise AdaptEditError(f"the latent has {x.shape[2]} frames; only single pictures can be edited")
    return -(-x.shape[-2] // patch), -(-x.shape[-1] // patch)
