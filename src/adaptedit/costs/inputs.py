"""The arguments of one edit-shaped forward of every supported DiT, with tensors on `meta`: shapes, no memory.

What a `layouts` function reads (positions, picture masks) is real, so an attached adapter works on them too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

from adaptedit.costs.editors import EditShape


def edit_arguments(model: Any, shape: EditShape) -> dict[str, Any]:
    """Keyword arguments of `model`'s forward for a batch of one, in the model's dtype."""
    arguments = _ARGUMENTS[type(model).__name__](model, shape)
    cast: dict[str, Any] = tree_map_only(
        Tensor, lambda one: one.to(model.dtype) if one.is_meta else one, arguments
    )
    return {"return_dict": False} | cast


def _meta(*shape: int) -> Tensor:
    return torch.empty(shape, device="meta")


def _tokens(shape: EditShape, channels: int, text_dim: int) -> dict[str, Any]:
    return {
        "hidden_states": _meta(1, (1 + shape.sources) * shape.target, channels),
        "encoder_hidden_states": _meta(1, shape.text, text_dim),
        "timestep": _meta(1),
    }


def _ids(shape: EditShape, columns: int = 3) -> dict[str, Tensor]:
    """Positions: column 0 counts the pictures, then row and column of the token."""
    ids = torch.zeros(1 + shape.sources, shape.side, shape.side, columns)
    ids[..., 0] = torch.arange(1 + shape.sources)[:, None, None]
    ids[..., 1] = torch.arange(shape.side)[:, None]
    ids[..., 2] = torch.arange(shape.side)
    return {"img_ids": ids.reshape(-1, columns), "txt_ids": torch.zeros(shape.text, columns)}


def _qwen(model: Any, shape: EditShape) -> dict[str, Any]:
    pictures = [(1, shape.side, shape.side)] * (1 + shape.sources)
    config = model.config
    return _tokens(shape, config.in_channels, config.joint_attention_dim) | {"img_shapes": [pictures]}


def _qwen21(model: Any, shape: EditShape) -> dict[str, Any]:
    """Text, then every picture as a quarter of its tokens; the states stop before the target's."""
    slots = shape.target // 4
    picture = torch.zeros(1, shape.text + (1 + shape.sources) * slots, dtype=torch.bool)
    picture[:, shape.text :] = True
    config = model.config
    arguments = _tokens(shape, config.in_channels, config.context_in_dim)
    arguments["encoder_hidden_states"] = _meta(1, shape.text + shape.sources * slots, config.context_in_dim)
    return arguments | {
        "img_shapes": [[(1, shape.side, shape.side)] * (1 + shape.sources)],
        "img_mask": picture,
    }


def _flux(model: Any, shape: EditShape) -> dict[str, Any]:
    arguments = _longcat(model, shape) | {"pooled_projections": _meta(1, model.config.pooled_projection_dim)}
    return arguments | ({"guidance": _meta(1)} if model.config.guidance_embeds else {})


def _flux2(model: Any, shape: EditShape) -> dict[str, Any]:
    config = model.config
    arguments = _tokens(shape, config.in_channels, config.joint_attention_dim) | _ids(shape, columns=4)
    return arguments | ({"guidance": _meta(1)} if config.guidance_embeds else {})


def _longcat(model: Any, shape: EditShape) -> dict[str, Any]:
    return _tokens(shape, model.config.in_channels, model.config.joint_attention_dim) | _ids(shape)


def _fibo(model: Any, shape: EditShape) -> dict[str, Any]:
    config = model.config
    layers = [_meta(1, shape.text, config.text_encoder_dim)] * (config.num_layers + config.num_single_layers)
    return _longcat(model, shape) | {"text_encoder_layers": layers}


def _latents(model: Any, shape: EditShape) -> Tensor:
    side = shape.side * model.config.patch_size
    return _meta(1, model.config.in_channels, side, side)


def _sd3(model: Any, shape: EditShape) -> dict[str, Any]:
    return {
        "hidden_states": _latents(model, shape),
        "encoder_hidden_states": _meta(1, shape.text, model.config.joint_attention_dim),
        "pooled_projections": _meta(1, model.config.pooled_projection_dim),
        "timestep": _meta(1),
    }


def _z_image(model: Any, shape: EditShape) -> dict[str, Any]:
    side = 2 * shape.side
    return {
        "x": [_meta(model.config.in_channels, 1, side, side)],
        "cap_feats": [_meta(shape.text, model.config.cap_feat_dim)],
        "t": _meta(1),
    }


def _hidream(model: Any, shape: EditShape) -> dict[str, Any]:
    config = model.config
    t5, llama = config.caption_channels
    return {
        "hidden_states": _latents(model, shape),
        "encoder_hidden_states_t5": _meta(1, shape.text, t5),
        "encoder_hidden_states_llama3": _meta(1 + max(config.llama_layers), 1, shape.text, llama),
        "pooled_embeds": _meta(1, config.text_emb_dim),
        "timesteps": _meta(1),
    }


def _joy(model: Any, shape: EditShape) -> dict[str, Any]:
    side = 2 * shape.side
    arguments = _tokens(shape, 0, model.config.text_dim)
    return arguments | {"hidden_states": _meta(1, 1 + shape.sources, model.config.in_channels, 1, side, side)}


def _joy_plus(model: Any, shape: EditShape) -> dict[str, Any]:
    pictures = 1 + shape.sources
    arguments = _tokens(shape, 0, model.config.text_dim)
    return arguments | {
        "hidden_states": _meta(1, pictures * shape.target, model.config.in_channels, 1, 2, 2),
        "shape_list": [[(1, shape.side, shape.side)] * pictures],
    }


_ARGUMENTS: dict[str, Callable[[Any, EditShape], dict[str, Any]]] = {
    "QwenImageTransformer2DModel": _qwen,
    "QwenImage21Transformer2DModel": _qwen21,
    "FluxTransformer2DModel": _flux,
    "LongCatImageTransformer2DModel": _longcat,
    "Flux2Transformer2DModel": _flux2,
    "ChromaTransformer2DModel": _longcat,
    "BriaFiboTransformer2DModel": _fibo,
    "SD3Transformer2DModel": _sd3,
    "ZImageTransformer2DModel": _z_image,
    "HiDreamImageTransformer2DModel": _hidream,
    "JoyImageEditTransformer3DModel": _joy,
    "JoyImageEditPlusTransformer3DModel": _joy_plus,
}
