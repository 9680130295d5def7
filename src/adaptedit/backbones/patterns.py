"""How each supported DiT lays out its forward: where its blocks, its target tokens and its text states are.

Read in diffusers 0.42. One row of `PATTERNS` per class: all that an adapter has to know of it. To count an
editor's costs, `costs` knows more: the arguments of each class's forward (`costs.inputs`), and what comes
with the DiT in an editor. docs/add-a-backbone.md says how to write a row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from adaptedit.backbones import layouts
from adaptedit.backbones.layouts import Arguments, Layout, Text
from adaptedit.errors import AdaptEditError


@dataclass(frozen=True)
class Stream:
    """A list of blocks, named `blocks`; item `output_index` of what a block returns is the image tokens.

    output_index: None if a block returns a bare tensor. text_first: the text tokens come before the image
    tokens in it.
    """

    blocks: str
    output_index: int | None
    text_first: bool = False


@dataclass(frozen=True)
class Sizes:
    """dim: width D of the image stream; text_dim: width T of the text states that enter the root forward.

    feature_dim: width of what the MaskPredictor reads: T if the text encoder sees the picture, else D.
    """

    dim: int
    text_dim: int
    num_blocks: int
    feature_dim: int


def _inner_dim(model: Any) -> int:
    return int(model.inner_dim)


def _joint_attention_dim(model: Any) -> int:
    return int(model.config.joint_attention_dim)


@dataclass(frozen=True)
class Spec:
    """One DiT class. `layout` (with the model) and `text` read the root forward's arguments.

    sees_picture: the text states come from a vision-language encoder that sees the source picture.
    """

    streams: tuple[Stream, ...]
    layout: Callable[[Any, Arguments], Layout]
    text: Callable[[Arguments], Text] = layouts.encoder_hidden_states
    dim: Callable[[Any], int] = _inner_dim
    text_dim: Callable[[Any], int] = _joint_attention_dim
    sees_picture: bool = False


_DOUBLE = Stream("transformer_blocks", 1)
_PAIRS = (_DOUBLE, Stream("single_transformer_blocks", 1))
_JOINED = (_DOUBLE, Stream("single_transformer_blocks", None, text_first=True))

PATTERNS: dict[str, Spec] = {
    # Qwen-Image-Edit, -2509, -2511 (zero_cond_t), Layered
    "QwenImageTransformer2DModel": Spec((_DOUBLE,), layouts.target_shape_first, sees_picture=True),
    "QwenImage21Transformer2DModel": Spec(
        (Stream("transformer_blocks", None),),
        layouts.target_shape_last,
        text_dim=lambda model: model.config.context_in_dim,
        sees_picture=True,
    ),
    # FLUX.1 Kontext and Fill
    "FluxTransformer2DModel": Spec(_PAIRS, layouts.by_ids),
    "LongCatImageTransformer2DModel": Spec(_PAIRS, layouts.by_ids, sees_picture=True),
    # FLUX.2 dev and klein
    "Flux2Transformer2DModel": Spec(_JOINED, layouts.by_ids),
    "ChromaTransformer2DModel": Spec(_JOINED, layouts.by_ids),
    "BriaFiboTransformer2DModel": Spec(_JOINED, layouts.by_ids),
    # SD3, and UltraEdit's, which has the source in its channels
    "SD3Transformer2DModel": Spec((_DOUBLE,), layouts.whole_latents),
    "ZImageTransformer2DModel": Spec(
        (Stream("layers", None),),
        layouts.listed_latents,
        layouts.listed_captions,
        dim=lambda model: model.config.dim,
        text_dim=lambda model: model.config.cap_feat_dim,
    ),
    "HiDreamImageTransformer2DModel": Spec(
        (Stream("double_stream_blocks", 0), Stream("single_stream_blocks", None)),
        layouts.whole_latents,
        layouts.t5_states,
        text_dim=lambda model: model.config.caption_channels[0],
    ),
    "JoyImageEditTransformer3DModel": Spec(
        (Stream("double_blocks", 0),),
        layouts.target_moved_first,
        dim=lambda model: model.config.hidden_size,
        text_dim=lambda model: model.config.text_dim,
        sees_picture=True,
    ),
    "JoyImageEditPlusTransformer3DModel": Spec(
        (Stream("double_blocks", 0),),
        layouts.target_shape_first,
        dim=lambda model: model.config.hidden_size,
        text_dim=lambda model: model.config.text_dim,
        sees_picture=True,
    ),
}


def class_of(transformer: object) -> str | None:
    """The name in PATTERNS of a DiT's class or of its nearest base; None if it has none."""
    bases = type(uncompiled(transformer)).__mro__
    return next((base.__name__ for base in bases if base.__name__ in PATTERNS), None)


def spec_of(transformer: object) -> Spec:
    """The row of a DiT, compiled or not. AdaptEditError if its class is not supported."""
    name = class_of(transformer)
    if name is None:
        raise AdaptEditError(
            f"{type(transformer).__name__} is not a supported backbone; supported: "
            f"{', '.join(sorted(PATTERNS))}. docs/add-a-backbone.md says how to add one"
        )
    return PATTERNS[name]


def uncompiled(model: Any) -> Any:
    """The model that `torch.compile` wraps, or the model itself."""
    return getattr(model, "_orig_mod", model)


def transformer_of(target: object) -> nn.Module:
    """A pipeline's or backbone's `.transformer`, or the DiT itself. AdaptEditError if unsupported."""
    transformer = target if class_of(target) else getattr(target, "transformer", target)
    spec_of(transformer)
    assert isinstance(transformer, nn.Module)
    return uncompiled(transformer)  # type: ignore[no-any-return]


def blocks_of(transformer: nn.Module) -> list[tuple[Stream, nn.Module]]:
    """Every transformer block in the order it runs, with the stream it belongs to."""
    return [
        (stream, block)
        for stream in spec_of(transformer).streams
        for block in transformer.get_submodule(stream.blocks).children()
    ]


def sizes_of(transformer: nn.Module) -> Sizes:
    spec = spec_of(transformer)
    dim, text_dim = spec.dim(transformer), spec.text_dim(transformer)
    return Sizes(dim, text_dim, len(blocks_of(transformer)), text_dim if spec.sees_picture else dim)
