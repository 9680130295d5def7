"""How each supported DiT lays out its forward: where its blocks, its target tokens and its text states are.

Read in diffusers 0.42. One row of `PATTERNS` a class; nothing else in AdaptEdit knows a DiT's class.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from torch import Tensor, nn

from ..errors import AdaptEditError

Arguments: TypeAlias = Mapping[str, Any]  # of one root forward, bound to their names


@dataclass(frozen=True)
class Stream:
    """A list of blocks, named `blocks`; item `output_index` of what a block returns is the image tokens."""

    blocks: str
    output_index: int


@dataclass(frozen=True)
class Layout:
    """The target tokens in the image stream: `length` of them from `start`, row by row a `grid` (h, w)."""

    start: int
    length: int
    grid: tuple[int, int]


@dataclass(frozen=True)
class Sizes:
    """dim: width D of the image stream; text_dim: width T of the text states that enter the root forward."""

    dim: int
    text_dim: int
    num_blocks: int


@dataclass(frozen=True)
class Spec:
    """One DiT class. `layout` and `text` (states and their mask) read the root forward's arguments."""

    streams: tuple[Stream, ...]
    layout: Callable[[Arguments], Layout]
    text: Callable[[Arguments], tuple[Tensor, Tensor | None]]
    dim: Callable[[Any], int]
    text_dim: Callable[[Any], int]


def _qwen_layout(arguments: Arguments) -> Layout:
    """[target tokens, source tokens, ...]; img_shapes is, per sample, (frames, h, w) of each of them."""
    shapes = arguments.get("img_shapes")
    if not shapes:
        raise AdaptEditError("the backbone was called without img_shapes; an active region needs them")
    targets = {tuple(sample[0]) if isinstance(sample, list) else tuple(sample) for sample in shapes}
    if len(targets) > 1:
        raise AdaptEditError(f"targets of several sizes in a batch: {sorted(targets)}; use one batch a size")
    frames, h, w = targets.pop()
    if frames != 1:
        raise AdaptEditError(f"the target has {frames} frames; only single pictures can be edited")
    return Layout(start=0, length=h * w, grid=(h, w))


def _encoder_hidden_states(arguments: Arguments) -> tuple[Tensor, Tensor | None]:
    return arguments["encoder_hidden_states"], arguments.get("encoder_hidden_states_mask")


PATTERNS: dict[str, Spec] = {
    "QwenImageTransformer2DModel": Spec(
        streams=(Stream("transformer_blocks", output_index=1),),
        layout=_qwen_layout,
        text=_encoder_hidden_states,
        dim=lambda model: model.inner_dim,
        text_dim=lambda model: model.config.joint_attention_dim,
    ),
}


def spec_of(transformer: object) -> Spec:
    """The row of a DiT. AdaptEditError if its class is not supported."""
    name = type(transformer).__name__
    if name not in PATTERNS:
        raise AdaptEditError(f"{name} is not a supported backbone; supported: {', '.join(sorted(PATTERNS))}")
    return PATTERNS[name]


def transformer_of(target: object) -> nn.Module:
    """A pipeline's or backbone's `.transformer`, or the DiT itself. AdaptEditError if unsupported."""
    transformer = target if type(target).__name__ in PATTERNS else getattr(target, "transformer", target)
    spec_of(transformer)
    assert isinstance(transformer, nn.Module)
    return transformer


def blocks_of(transformer: nn.Module) -> list[tuple[Stream, nn.Module]]:
    """Every transformer block in the order it runs, with the stream it belongs to."""
    return [
        (stream, block)
        for stream in spec_of(transformer).streams
        for block in transformer.get_submodule(stream.blocks).children()
    ]


def sizes_of(transformer: nn.Module) -> Sizes:
    spec = spec_of(transformer)
    return Sizes(spec.dim(transformer), spec.text_dim(transformer), len(blocks_of(transformer)))
