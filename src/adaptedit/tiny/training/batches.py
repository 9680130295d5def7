"""Batches of training pairs.

A batch depends on seed, step and rank alone. So a run can be resumed without a saved state of its data.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from adaptedit.data.schema import GRID, EditSample
from adaptedit.data.sprites.mixed import MixedPairs
from adaptedit.data.sprites.synthetic import IDLE, SyntheticPairs

Pairs = SyntheticPairs | MixedPairs

_NO_FRAMES = np.full((GRID, GRID, 3), np.nan, np.float32)
_NO_THINGS = np.zeros((GRID, GRID, 2), np.int64)
IDLE_SHARE = 0.06  # of the samples have nothing to edit; from them an empty region is learnt


@dataclass(frozen=True)
class Batch:
    """A batch of `EditSample`s, which also explains the last four.

    source, target: (B, 3, H, W) float32 in [0, 1]. mask: (B, H, W) float32, 1 = edit.
    framed: (B,) bool, whether a sample has frames. generator: for the step's other random numbers.
    shown, wanted: (B, 16, 16) int64. frames: (B, 16, 16, 3) float32. things: (B, 16, 16, 2) int64.
    """

    source: Tensor
    target: Tensor
    mask: Tensor
    instructions: list[str]
    kinds: list[str]
    shown: Tensor
    wanted: Tensor
    frames: Tensor
    framed: Tensor
    things: Tensor
    generator: torch.Generator


def collate(samples: list[EditSample], generator: torch.Generator) -> Batch:
    def labels(name: str) -> Tensor:
        return torch.from_numpy(np.stack([getattr(s, name) for s in samples])).long()

    def pictures(name: str) -> Tensor:
        stacked = torch.from_numpy(np.stack([getattr(s, name) for s in samples]))
        return stacked.permute(0, 3, 1, 2).float() / 255

    return Batch(
        source=pictures("source"),
        target=pictures("target"),
        mask=torch.from_numpy(np.stack([s.mask for s in samples])).float() / 255,
        instructions=[s.instruction for s in samples],
        kinds=[s.kind for s in samples],
        shown=labels("shown"),
        wanted=labels("wanted"),
        framed=torch.tensor([s.frames is not None for s in samples]),
        things=torch.from_numpy(np.stack([_NO_THINGS if s.things is None else s.things for s in samples])),
        frames=torch.from_numpy(np.stack([_NO_FRAMES if s.frames is None else s.frames for s in samples])),
        generator=generator,
    )


def batch(pairs: Pairs, size: int, *, seed: int, step: int, rank: int) -> Batch:
    """A batch of `size` samples that depends on seed, step and rank alone."""
    rng = np.random.default_rng([seed, step, rank])
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    kinds = [IDLE if idle else None for idle in rng.random(size) < IDLE_SHARE]
    return collate([pairs.draw(rng, kind) for kind in kinds], generator)
