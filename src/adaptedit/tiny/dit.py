"""Qwen-Image's transformer at tiny's size, without diffusers: to import that takes longer than an edit.

Parameters, their names and every result, bit for bit, are those of diffusers' class of the same name (version
0.42, Apache-2.0), which takes the same weights. Left out is what `tiny` does not use: more than one frame,
guidance, ControlNet, time-zero sources, and diffusers' own loading, caches and hooks.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from adaptedit.tiny.attention import JointAttention, RMSNorm, Rope, RotaryEmbedding

_TIME_CHANNELS = 256


@dataclass(frozen=True)
class DiTConfig:
    """in_channels: of an image token. out_channels: of each of its patch_size^2 patches.

    joint_attention_dim: width of the text states. axes_dims_rope: channels of a head for frame, row, column.
    """

    patch_size: int
    in_channels: int
    out_channels: int
    num_layers: int
    attention_head_dim: int
    num_attention_heads: int
    joint_attention_dim: int
    axes_dims_rope: tuple[int, int, int]


class QwenImageTransformer2DModel(nn.Module):
    """A double-stream DiT. `backbones/patterns.py` knows it by its name."""

    def __init__(self, config: DiTConfig) -> None:
        super().__init__()
        self.config = config
        dim = self.inner_dim = config.num_attention_heads * config.attention_head_dim
        self.pos_embed: nn.Module = RotaryEmbedding(config.axes_dims_rope)
        self.time_text_embed = nn.ModuleDict({"timestep_embedder": _TimestepEmbedding(dim)})
        self.txt_norm = RMSNorm(config.joint_attention_dim)
        self.img_in = nn.Linear(config.in_channels, dim)
        self.txt_in = nn.Linear(config.joint_attention_dim, dim)
        self.transformer_blocks = nn.ModuleList(
            Block(dim, config.num_attention_heads) for _ in range(config.num_layers)
        )
        self.norm_out = _ModulatedNorm(dim)
        self.proj_out = nn.Linear(dim, config.patch_size**2 * config.out_channels)
        self._checkpoint: Callable[..., Any] | None = None

    def forward(
        self,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor,
        encoder_hidden_states_mask: Tensor | None,
        timestep: Tensor,
        img_shapes: list[list[tuple[int, int, int]]],
    ) -> tuple[Tensor]:
        """Image tokens (B, N, in_channels) and text states (B, M, T) -> (B, N, patch_size^2 * out_channels).

        encoder_hidden_states_mask: (B, M) bool, True = real token; None if all are. timestep: (B,) in [0, 1].
        img_shapes: for each sample its pictures' (1, h, w) in tokens; those of the first count for all.
        """
        image = self.img_in(hidden_states)
        text = self.txt_in(self.txt_norm(encoder_hidden_states))
        time = _sinusoids(timestep.to(image.dtype)).to(image.dtype)
        time = self.time_text_embed["timestep_embedder"](time)
        rope = self.pos_embed(img_shapes[0], text.shape[1], image.device)
        for block in self.transformer_blocks:
            arguments = (image, text, encoder_hidden_states_mask, time, rope)
            if self._checkpoint is not None and torch.is_grad_enabled():
                text, image = self._checkpoint(block, *arguments)
            else:
                text, image = block(*arguments)
        return (self.proj_out(self.norm_out(image, time)),)

    @property
    def is_gradient_checkpointing(self) -> bool:
        return self._checkpoint is not None

    def enable_gradient_checkpointing(self, function: Callable[..., Any] | None = None) -> None:
        """function: called with a block and its arguments; torch's own checkpoint if None."""
        self._checkpoint = function or _checkpoint

    def disable_gradient_checkpointing(self) -> None:
        self._checkpoint = None


class Block(nn.Module):
    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.img_mod = nn.Sequential(nn.SiLU(), nn.Linear(dim, 6 * dim))
        self.img_norm1 = _norm(dim)
        self.attn = JointAttention(dim, heads)
        self.img_norm2 = _norm(dim)
        self.img_mlp = _FeedForward(dim)
        self.txt_mod = nn.Sequential(nn.SiLU(), nn.Linear(dim, 6 * dim))
        self.txt_norm1 = _norm(dim)
        self.txt_norm2 = _norm(dim)
        self.txt_mlp = _FeedForward(dim)

    def forward(
        self, image: Tensor, text: Tensor, text_mask: Tensor | None, time: Tensor, rope: Rope
    ) -> tuple[Tensor, Tensor]:
        """Image (B, N, D), text (B, M, D), time (B, D) -> text, image."""
        image_first, image_second = self.img_mod(time).chunk(2, -1)
        text_first, text_second = self.txt_mod(time).chunk(2, -1)

        image_in, image_gate = _modulate(self.img_norm1(image), image_first)
        text_in, text_gate = _modulate(self.txt_norm1(text), text_first)
        image_change, text_change = self.attn(image_in, text_in, text_mask, rope)
        image = image + image_gate * image_change
        text = text + text_gate * text_change

        image_in, image_gate = _modulate(self.img_norm2(image), image_second)
        image = image + image_gate * self.img_mlp(image_in)
        text_in, text_gate = _modulate(self.txt_norm2(text), text_second)
        text = text + text_gate * self.txt_mlp(text_in)
        return text, image


class _FeedForward(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.net = nn.Sequential(_Gelu(dim, 4 * dim), nn.Identity(), nn.Linear(4 * dim, dim))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)  # type: ignore[no-any-return]


class _Gelu(nn.Module):
    def __init__(self, dim: int, inner: int) -> None:
        super().__init__()
        self.proj = nn.Linear(dim, inner)

    def forward(self, x: Tensor) -> Tensor:
        return F.gelu(self.proj(x), approximate="tanh")


class _ModulatedNorm(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.linear = nn.Linear(dim, 2 * dim)
        self.norm = _norm(dim)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        scale, shift = self.linear(F.silu(time).to(x.dtype)).chunk(2, -1)
        return self.norm(x) * (1 + scale)[:, None] + shift[:, None]  # type: ignore[no-any-return]


class _TimestepEmbedding(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(_TIME_CHANNELS, dim)
        self.linear_2 = nn.Linear(dim, dim)

    def forward(self, sinusoids: Tensor) -> Tensor:
        return self.linear_2(F.silu(self.linear_1(sinusoids)))  # type: ignore[no-any-return]


def _norm(dim: int) -> nn.LayerNorm:
    return nn.LayerNorm(dim, eps=1e-6, elementwise_affine=False)


def _modulate(x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
    """x (B, S, D), parameters (B, 3 D) -> the modulated x, and the gate (B, 1, D) of what becomes of it."""
    shift, scale, gate = parameters[:, None].chunk(3, -1)
    return x * (1 + scale) + shift, gate


def _sinusoids(timestep: Tensor) -> Tensor:
    """(B,) in [0, 1] -> (B, 256) float32: cosines, then sines."""
    half = _TIME_CHANNELS // 2
    exponent = -math.log(10_000) * torch.arange(half, dtype=torch.float32, device=timestep.device) / half
    angles = 1000 * (timestep[:, None].float() * exponent.exp())
    return torch.cat([angles.cos(), angles.sin()], -1)


def _checkpoint(block: nn.Module, *arguments: Any) -> Any:
    return checkpoint(block, *arguments, use_reentrant=False)
