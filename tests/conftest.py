"""Stand-ins for the models: an editor with a result known in closed form, an adapter that finds a box."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from adaptedit.backbones.base import Edited, OnStep, PromptStates, tokens_inside
from adaptedit.backbones.denoise import denoise, follow_source_outside
from adaptedit.editing.pipeline import AdaptEditPipeline
from adaptedit.pixels import to_pil, to_tensor
from adaptedit.region import Region, Size
from matrix_report import pytest_addoption, pytest_collection_modifyitems, pytest_terminal_summary

__all__ = ["pytest_addoption", "pytest_collection_modifyitems", "pytest_terminal_summary"]

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

    @property
    def device(self) -> torch.device:
        return torch.device("cpu")

    def working_size(self, size: Size) -> Size:
        return self.resolution, self.resolution

    def features(self, image: Image.Image, prompt: str) -> PromptStates:
        assert image.size == (self.resolution, self.resolution)
        picture = F.adaptive_avg_pool2d(to_tensor(image), self.grid).flatten(2).mT
        states = torch.cat([picture, torch.full((1, 5, 3), 0.5)], dim=1)
        return PromptStates(states, torch.ones(states.shape[:2], dtype=torch.bool), picture.shape[1])

    def edit(
        self,
        image: Image.Image,
        prompt: str,
        region: Region,
        *,
        follow_source: bool = False,
        num_inference_steps: int | None = None,
        generator: torch.Generator | None = None,
        on_step: OnStep | None = None,
        **options: Any,
    ) -> Edited:
        assert image.size == region.size == (self.resolution, self.resolution)
        source = F.pixel_unshuffle(to_tensor(image) * 2 - 1, PATCH).flatten(2).mT
        inside = tokens_inside(region, self.grid)
        latents = denoise(
            lambda latents, t: 0.98 * (latents + source) / t[:, None, None],
            source,
            num_inference_steps=num_inference_steps or 1,
            generator=generator,
            on_step=on_step,
            constrain=follow_source_outside(source, inside) if follow_source else None,
        )
        return Edited(self._decode(latents), self._decode(source))

    def _decode(self, latents: Tensor) -> Image.Image:
        return to_pil(F.pixel_shuffle(latents.mT.unflatten(2, self.grid), PATCH)[0] / 2 + 0.5)


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

    @contextmanager
    def disabled(self) -> Iterator[None]:
        yield

    @contextmanager
    def record_gates(self) -> Iterator[list[Tensor]]:
        yield []


@pytest.fixture
def pipe() -> AdaptEditPipeline:
    return AdaptEditPipeline(FakeBackbone(), FakeAdapter())  # type: ignore[arg-type]
