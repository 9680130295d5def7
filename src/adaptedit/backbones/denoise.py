"""From noise to edited latents: a plain Euler loop over a velocity, and the noising path of unedited tokens.

Latents are packed tokens (B, N, C), `latents_t = (1 - t) * target + t * noise` (rectified flow), so the
velocity is d latents / d t and t = 1 is pure noise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from adaptedit.backbones.base import OnStep

Velocity = Callable[[Tensor, Tensor], Tensor]  # (latents (B, N, C), t (B,)) -> (B, N, C)
Constrain = Callable[[Tensor, Tensor, Tensor], Tensor]  # (latents_t, noise, t) -> latents_t


def denoise(
    velocity: Velocity,
    source_latents: Tensor,
    *,
    num_inference_steps: int,
    generators: Sequence[torch.Generator],
    on_step: OnStep | None = None,
    constrain: Constrain | None = None,
) -> Tensor:
    """Integrate from t = 1 (noise) to t = 0 (the edited picture) in equal steps.

    source_latents: (B, N, C), the picture to edit; the result has its shape, dtype and device.
    generators: B; each draws its picture's noise, on its own device: one seed means one result wherever the
        model runs, and whatever is beside it in the batch.
    constrain: may replace the latents after every step, given the loop's own noise and the new t.
    """
    drawn = [
        torch.randn(latents.shape, generator=generator, device=generator.device)
        for latents, generator in zip(source_latents, generators, strict=True)
    ]
    noise = torch.stack([one.to(source_latents) for one in drawn])
    times = torch.linspace(1.0, 0.0, num_inference_steps + 1).to(source_latents)

    latents = noise
    for step, (t, t_next) in enumerate(pairwise(times), start=1):
        latents = latents + (t_next - t) * velocity(latents, t.expand(len(latents)))
        if constrain is not None:
            latents = constrain(latents, noise, t_next)
        if on_step is not None:
            on_step(step, num_inference_steps)
    return latents


def follow_source_outside(source_latents: Tensor, inside: Tensor) -> Constrain:
    """`preserve="latent"`: tokens outside the region stay on the source's noising path (not in the paper).

    source_latents: (B, N, C); inside: (B, N) bool, True = token may change.
    """

    def constrain(latents: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        source_t = (1 - t) * source_latents + t * noise
        return torch.where(inside[..., None], latents, source_t)

    return constrain
