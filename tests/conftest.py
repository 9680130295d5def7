"""Stand-ins for the models: an editor with a result known in closed form, an adapter that finds a box."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from adaptedit.backbones.base import PromptStates
from adaptedit.editing.pipeline import AdaptEditPipeline
from adaptedit.region import Region

PATCH = 16


class FakeBackbone(nn.Module):
    """Latents are 16 x 16 pixel patches in [-1, 1]; the edit is the negative of the whole picture.

    The velocity is that of the straight path to the negative, damped so that a trace of the noise is left.
    """

    name = "fake"
    resolution = 64
    grid = (4, 4)

    def __init__(self) -> None:
        super().__init__()
        self.transformer: nn.Module = nn.Linear(1, 1)

    def encode_image(self, pixels: Tensor) -> Tensor:
        assert pixels.shape[-2:] == (self.resolution, self.resolution)
        return F.pixel_unshuffle(pixels * 2 - 1, PATCH).flatten(2).mT

    def decode_latents(self, latents: Tensor) -> Tensor:
        return F.pixel_shuffle(latents.mT.unflatten(2, self.grid), PATCH) / 2 + 0.5

    def encode_prompt(self, pixels: Tensor, prompts: list[str]) -> PromptStates:
        assert len(pixels) == len(prompts)
        picture = F.adaptive_avg_pool2d(pixels, self.grid).flatten(2).mT
        words = torch.full((len(prompts), 5, 3), 0.5)
        states = torch.cat([picture, words], dim=1)
        return PromptStates(states, torch.ones(states.shape[:2], dtype=torch.bool), picture.shape[1])

    def velocity(
        self, latents: Tensor, source_latents: Tensor, states: PromptStates, timestep: Tensor
    ) -> Tensor:
        assert timestep.shape == latents.shape[:1]
        return 0.98 * (latents + source_latents) / timestep[:, None, None]


class FakeAdapter(nn.Module):
    """Finds an upper left quarter, as surely as `certainty` says; `seen` holds the regions it was given."""

    attached = True

    def __init__(self, certainty: float = 1.0) -> None:
        super().__init__()
        self.certainty = certainty
        self.seen: list[Region] = []

    def predict_region(self, states: PromptStates, guide: Tensor) -> Tensor:
        height, width = guide.shape[-2:]
        probability = torch.zeros(len(guide), height, width)
        probability[:, height // 4 : height // 2, width // 4 : width // 2] = self.certainty
        return probability

    @contextmanager
    def region(self, region: Region) -> Iterator[None]:
        self.seen.append(region)
        yield


@pytest.fixture
def pipe() -> AdaptEditPipeline:
    return AdaptEditPipeline(FakeBackbone(), FakeAdapter())  # type: ignore[arg-type]
