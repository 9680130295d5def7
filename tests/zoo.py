"""A tiny random model of every supported DiT class, with inputs laid out as for an edit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import (
    BriaFiboTransformer2DModel,
    ChromaTransformer2DModel,
    Flux2Transformer2DModel,
    FluxTransformer2DModel,
    HiDreamImageTransformer2DModel,
    JoyImageEditPlusTransformer3DModel,
    JoyImageEditTransformer3DModel,
    LongCatImageTransformer2DModel,
    QwenImage21Transformer2DModel,
    QwenImageTransformer2DModel,
    SD3Transformer2DModel,
    ZImageTransformer2DModel,
)
from torch import Tensor

from adaptedit.backbones.patterns import blocks_of

H, W = 4, 8  # the target's token grid, not square
N = H * W
TEXT, TEXT_DIM = 11, 24
_HEADS: dict[str, Any] = {"attention_head_dim": 32, "num_attention_heads": 2}
_STREAMS: dict[str, Any] = {"in_channels": 16, "num_layers": 1, "num_single_layers": 2, **_HEADS}


@dataclass(frozen=True)
class Case:
    """`on_grid(output)` puts the model's output on the target's token grid: (B, H, W, values)."""

    model: Any
    inputs: dict[str, Any]
    batch: int
    on_grid: Callable[[Any], Tensor]


def _noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def _tokens(output: Tensor) -> Tensor:
    return output[:, :N].unflatten(1, (H, W))


def _patches(output: Any) -> Tensor:
    """NCHW (or a list of CFHW), patches of 2."""
    latents = torch.stack(list(output)) if isinstance(output, (list, tuple)) else output
    latents = latents.reshape(len(latents), -1, 2 * H, 2 * W)
    return latents.unfold(2, 2, 2).unfold(3, 2, 2).permute(0, 2, 3, 1, 4, 5).flatten(3)


def _ids(picture: int, columns: int = 3) -> Tensor:
    ids = torch.zeros(H, W, columns)
    ids[..., 0] = picture
    ids[..., 1] = torch.arange(H)[:, None]
    ids[..., 2] = torch.arange(W)
    return ids.reshape(N, columns)


def _joint(batch: int, pictures: int = 2) -> dict[str, Any]:
    return {
        "hidden_states": _noise(batch, pictures * N, 16),
        "encoder_hidden_states": _noise(batch, TEXT, TEXT_DIM),
        "timestep": torch.full((batch,), 0.7),
        "return_dict": False,
    }


def _qwen(zero_cond_t: bool = False, sources: int = 1) -> Case:
    model = QwenImageTransformer2DModel(
        patch_size=2, in_channels=16, out_channels=4, num_layers=3, joint_attention_dim=TEXT_DIM,
        axes_dims_rope=(8, 12, 12), zero_cond_t=zero_cond_t, **_HEADS,
    )  # fmt: skip
    inputs = _joint(2, 1 + sources) | {"img_shapes": [[(1, H, W)] * (1 + sources)] * 2}
    inputs["encoder_hidden_states_mask"] = torch.ones(2, TEXT, dtype=torch.long)
    return Case(model, inputs, 2, _tokens)


def _qwen21() -> Case:
    model = QwenImage21Transformer2DModel(
        in_channels=16, out_channels=16, num_layers=3, context_in_dim=TEXT_DIM,
        axes_dims_rope=(8, 12, 12), **_HEADS,
    )  # fmt: skip
    slots = N // 4
    image = torch.zeros(1, 3 + slots + 4 + slots, dtype=torch.bool)
    image[:, 3 : 3 + slots] = image[:, 3 + slots + 4 :] = True
    inputs = _joint(1) | {"img_shapes": [[(1, H, W)] * 2], "img_mask": image}
    inputs["encoder_hidden_states"] = _noise(1, 3 + slots + 4, TEXT_DIM)
    return Case(model, inputs, 1, lambda output: output[:, -N:].unflatten(1, (H, W)))


def _flux(fill: bool = False) -> Case:
    model = FluxTransformer2DModel(
        patch_size=1, joint_attention_dim=TEXT_DIM, pooled_projection_dim=24, guidance_embeds=True,
        axes_dims_rope=(8, 12, 12), **_STREAMS,
    )  # fmt: skip
    inputs = _joint(2, 1 if fill else 2) | {"pooled_projections": _noise(2, 24), "guidance": torch.ones(2)}
    inputs |= {"img_ids": _ids(0) if fill else torch.cat([_ids(0), _ids(1)]), "txt_ids": torch.zeros(TEXT, 3)}
    return Case(model, inputs, 2, _tokens)


def _flux2() -> Case:
    model = Flux2Transformer2DModel(
        patch_size=1, joint_attention_dim=TEXT_DIM, timestep_guidance_channels=256,
        axes_dims_rope=(8, 8, 8, 8), **_STREAMS,
    )  # fmt: skip
    text_ids = torch.zeros(2, TEXT, 4)
    text_ids[..., 3] = torch.arange(TEXT)
    image_ids = torch.cat([_ids(0, 4), _ids(10, 4)]).expand(2, -1, -1)
    inputs = _joint(2) | {"guidance": torch.ones(2), "img_ids": image_ids, "txt_ids": text_ids}
    return Case(model, inputs, 2, _tokens)


def _longcat() -> Case:
    model = LongCatImageTransformer2DModel(
        patch_size=1,
        joint_attention_dim=TEXT_DIM,
        pooled_projection_dim=24,
        axes_dims_rope=[8, 12, 12],
        **_STREAMS,
    )
    inputs = _joint(2) | {"img_ids": torch.cat([_ids(1), _ids(2)]), "txt_ids": torch.zeros(TEXT, 3)}
    return Case(model, inputs, 2, _tokens)


def _chroma() -> Case:
    model = ChromaTransformer2DModel(
        patch_size=1, joint_attention_dim=TEXT_DIM, axes_dims_rope=[8, 12, 12], approximator_num_channels=8,
        approximator_hidden_dim=16, approximator_layers=1, **_STREAMS,
    )  # fmt: skip
    inputs = _joint(2, 1) | {"img_ids": _ids(0), "txt_ids": torch.zeros(TEXT, 3)}
    return Case(model, inputs, 2, _tokens)


def _fibo() -> Case:
    model = BriaFiboTransformer2DModel(
        patch_size=1,
        joint_attention_dim=TEXT_DIM,
        text_encoder_dim=12,
        axes_dims_rope=[8, 12, 12],
        **_STREAMS,
    )
    inputs = _joint(2) | {"img_ids": torch.cat([_ids(0), _ids(1)]), "txt_ids": torch.zeros(TEXT, 3)}
    inputs["text_encoder_layers"] = [inputs["encoder_hidden_states"][..., :12]] * 3
    return Case(model, inputs, 2, _tokens)


def _sd3() -> Case:
    model = SD3Transformer2DModel(
        sample_size=16, patch_size=2, in_channels=12, num_layers=3, attention_head_dim=16,
        num_attention_heads=4, caption_projection_dim=64, joint_attention_dim=TEXT_DIM,
        pooled_projection_dim=24, out_channels=4, pos_embed_max_size=24, dual_attention_layers=(0,),
        qk_norm="rms_norm",
    )  # fmt: skip
    inputs = _joint(2) | {"hidden_states": _noise(2, 12, 2 * H, 2 * W), "pooled_projections": _noise(2, 24)}
    inputs["timestep"] = torch.full((2,), 700)
    return Case(model, inputs, 2, _patches)


def _zimage() -> Case:
    model = ZImageTransformer2DModel(
        all_patch_size=(2,), all_f_patch_size=(1,), in_channels=16, dim=64, n_layers=3, n_refiner_layers=1,
        n_heads=2, n_kv_heads=2, qk_norm=True, cap_feat_dim=TEXT_DIM,
        axes_dims=[8, 12, 12], axes_lens=[256, 64, 64],
    )  # fmt: skip
    torch.nn.init.normal_(model.x_pad_token)
    torch.nn.init.normal_(model.cap_pad_token)
    inputs = {
        "x": list(_noise(2, 16, 1, 2 * H, 2 * W)),
        "cap_feats": [_noise(TEXT, TEXT_DIM), _noise(TEXT - 2, TEXT_DIM)],
        "t": torch.full((2,), 0.3),
        "return_dict": False,
    }
    return Case(model, inputs, 2, _patches)


def _hidream() -> Case:
    model = HiDreamImageTransformer2DModel(
        patch_size=2, in_channels=4, out_channels=4, num_layers=1, num_single_layers=1, attention_head_dim=8,
        num_attention_heads=4, caption_channels=[8, 4], text_emb_dim=8, num_routed_experts=2,
        num_activated_experts=2, axes_dims_rope=(4, 2, 2), max_resolution=(32, 32), llama_layers=(0, 1),
        force_inference_output=True,
    )  # fmt: skip
    inputs = {
        "hidden_states": _noise(2, 4, 2 * H, 2 * W),
        "encoder_hidden_states_t5": _noise(2, 8, 8),
        "encoder_hidden_states_llama3": _noise(2, 2, 8, 4),
        "pooled_embeds": _noise(2, 8),
        "timesteps": torch.full((2,), 700),
        "return_dict": False,
    }
    return Case(model, inputs, 2, _patches)


def _joy_plus() -> Case:
    model = JoyImageEditPlusTransformer3DModel(
        patch_size=[1, 2, 2], in_channels=16, hidden_size=64, num_attention_heads=4, text_dim=TEXT_DIM,
        num_layers=3, rope_dim_list=[4, 6, 6], theta=256,
    )  # fmt: skip
    inputs = _joint(2) | {"hidden_states": _noise(2, 2 * N, 16, 1, 2, 2), "shape_list": [[(1, H, W)] * 2] * 2}
    return Case(model, inputs, 2, lambda output: _tokens(output.flatten(2)))


def _joy() -> Case:
    model = JoyImageEditTransformer3DModel(
        patch_size=[1, 2, 2], in_channels=16, hidden_size=64, num_attention_heads=4, text_dim=TEXT_DIM,
        num_layers=3, rope_dim_list=[4, 6, 6], theta=256,
    )  # fmt: skip
    inputs = _joint(1) | {"hidden_states": _noise(1, 2, 16, 1, 2 * H, 2 * W)}
    return Case(model, inputs, 1, lambda output: _patches(output[:, -1]))


ZOO: dict[str, Callable[[], Case]] = {
    "qwen-edit": _qwen,
    "qwen-edit-2511": lambda: _qwen(zero_cond_t=True, sources=2),
    "qwen-2.1": _qwen21,
    "kontext": _flux,
    "flux-fill": lambda: _flux(fill=True),
    "flux2": _flux2,
    "longcat": _longcat,
    "chroma": _chroma,
    "fibo": _fibo,
    "sd3": _sd3,
    "z-image": _zimage,
    "hidream": _hidream,
    "joy": _joy,
    "joy-plus": _joy_plus,
}


def make(name: str) -> Case:
    """The same weights and inputs at every call."""
    torch.manual_seed(0)
    case = ZOO[name]()
    case.model.eval()
    wake(case.model)
    return case


@torch.no_grad()
def wake(model: torch.nn.Module) -> None:
    """Fill what is initialised to zero or left empty: it would hide an adapter's effect."""
    for parameter in model.parameters():
        if not parameter.isfinite().all() or not parameter.any():
            parameter.normal_(std=0.05)


def blocks(model: torch.nn.Module) -> list[torch.nn.Module]:
    return [block for _, block in blocks_of(model)]
