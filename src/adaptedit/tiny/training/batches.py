"""Batches of training pairs.

A batch depends on seed, step and rank alone. So a run can be resumed without a saved state of its data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from adaptedit.data.cells import GRID, LabelledSample
from adaptedit.data.sprites.mixed import MixedPairs
from adaptedit.data.sprites.synthetic import IDLE, SyntheticPairs
from adaptedit.tiny.training.configs import IDLE_SHARE

Pairs = SyntheticPairs | MixedPairs

_NO_FRAMES = np.full((GRID, GRID, 3), np.nan, np.float32)
_NO_THINGS = np.zeros((GRID, GRID, 2), np.int64)


@dataclass(frozen=True)
class Batch:
    """A batch of `LabelledSample`s; `CellLabels` explains the last four.

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


def collate(samples: list[LabelledSample], generator: torch.Generator) -> Batch:
    def labels(name: str) -> Tensor:
        return torch.from_numpy(np.stack([getattr(s.labels, name) for s in samples])).long()

    def stacked(arrays: Sequence[npt.NDArray[Any] | None], missing: npt.NDArray[Any]) -> Tensor:
        return torch.from_numpy(np.stack([missing if array is None else array for array in arrays]))

    def pictures(name: str) -> Tensor:
        pixels = torch.from_numpy(np.stack([np.asarray(getattr(s, name)) for s in samples]))
        return pixels.permute(0, 3, 1, 2).float() / 255

    return Batch(
        source=pictures("source"),
        target=pictures("target"),
        mask=torch.from_numpy(np.stack([s.region.mask for s in samples])),
        instructions=[s.instruction for s in samples],
        kinds=[s.category for s in samples],
        shown=labels("shown"),
        wanted=labels("wanted"),
        framed=torch.tensor([s.labels.frames is not None for s in samples]),
        things=stacked([s.labels.things for s in samples], _NO_THINGS),
        frames=stacked([s.labels.frames for s in samples], _NO_FRAMES),
        generator=generator,
    )


def batch(pairs: Pairs, size: int, *, seed: int, step: int, rank: int) -> Batch:
    """A batch of `size` samples that depends on seed, step and rank alone."""
    rng = np.random.default_rng([seed, step, rank])
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    kinds = [IDLE if idle else None for idle in rng.random(size) < IDLE_SHARE]
    return collate([pairs.draw(rng, kind) for kind in kinds], generator)
