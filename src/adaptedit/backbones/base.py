"""What the editing loop needs from a frozen DiT editor; one file a family implements it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn


@dataclass(frozen=True)
class PromptStates:
    """Vision-language states of (picture, instruction): the DiT's text stream and the adapter's *what*.

    hidden_states: (B, M, T) float, picture tokens first, then text tokens.
    attention_mask: (B, M) bool, True = real token.
    num_image_tokens: how many of the M tokens belong to the picture.
    """

    hidden_states: Tensor
    attention_mask: Tensor
    num_image_tokens: int


class Backbone(Protocol):
    """A frozen DiT editor with its codec and its vision-language encoder.

    Latents are packed tokens (B, N, C); `latents_t = (1 - t) * target + t * noise`, so the velocity is
    d latents / d t and t = 1 is pure noise.
    """

    name: str
    resolution: int  # working resolution in pixels, square
    grid: tuple[int, int]  # (h, w) token grid at that resolution; N = h * w

    @property
    def transformer(self) -> nn.Module:
        """The frozen DiT, of a class in `patterns.PATTERNS`."""
        ...

    def encode_image(self, pixels: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] -> (B, N, C)."""
        ...

    def decode_latents(self, latents: Tensor) -> Tensor:
        """(B, N, C) -> (B, 3, H, W), about [0, 1], not clamped."""
        ...

    def encode_prompt(self, pixels: Tensor, prompts: list[str]) -> PromptStates:
        """Pictures (B, 3, H, W) in [0, 1] and their B instructions -> states."""
        ...

    def velocity(
        self, latents: Tensor, source_latents: Tensor, states: PromptStates, timestep: Tensor
    ) -> Tensor:
        """Latents (B, N, C) at `timestep` (B,) in [0, 1] -> velocity (B, N, C)."""
        ...
