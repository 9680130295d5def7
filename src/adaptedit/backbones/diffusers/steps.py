"""Watches and steers a pipeline's denoising loop by its scheduler's `step`, which every pipeline calls.

Not by `callback_on_step_end`: LongCat has none, and it comes too late to see the initial noise.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from adaptedit.backbones.base import OnStep
from adaptedit.backbones.denoise import follow_source_outside
from adaptedit.errors import AdaptEditError


@contextmanager
def steered(
    scheduler: Any,
    *,
    on_step: OnStep | None = None,
    source: Tensor | None = None,
    inside: Tensor | None = None,
) -> Iterator[None]:
    """Until the end of the block, report the scheduler's steps, and steer them if `source` is given.

    source: (1, N, D) tokens of the unedited picture; inside: (1, N) bool, True = token may change. The other
    tokens take the straight path from the loop's own noise to the source, whatever the model says.
    Needs a flow-matching scheduler: latents = (1 - sigma) * target + sigma * noise. AdaptEditError at
    the step that gives NaN.
    """
    step, before, done = scheduler.step, vars(scheduler).copy(), 0
    noise: Tensor | None = None

    def steered_step(model_output: Tensor, timestep: Any, sample: Tensor, *args: Any, **kwargs: Any) -> Any:
        nonlocal done, noise
        latents, *rest = step(model_output, timestep, sample, *args, **kwargs)
        done += 1
        if source is not None and inside is not None:
            tokens = source.to(latents)
            sigma, next_sigma = scheduler.sigmas[scheduler.step_index - 1 : scheduler.step_index + 1]
            if noise is None:
                noise = ((sample - (1 - sigma) * tokens) / sigma).to(latents)
            follow = follow_source_outside(tokens, inside.to(latents.device))
            latents = follow(latents, noise, next_sigma).to(latents.dtype)
        total = len(scheduler.timesteps)
        if not bool(torch.isfinite(latents).all()):
            raise AdaptEditError(
                f"step {done} of {total} gave NaN; try more steps, another seed or full precision"
            )
        if on_step is not None:
            on_step(done, total)
        return (latents, *rest)

    scheduler.step = steered_step
    try:
        yield
    finally:
        del scheduler.step
        if "step" in before:
            scheduler.step = step
