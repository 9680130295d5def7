"""Stand-ins for the models: an editor with a result known in closed form, an adapter that finds a box."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
from adaptedit.pictures.tensors import to_pil, to_tensor
from adaptedit.region import Region, Size

pytest_plugins = ("matrix_report", "skip_report")

PATCH = 16


class FakeBackbone(nn.Module):
    """Latents are 16 x 16 pixel patches in [-1, 1]; the edit is the negative of the whole picture.

    The velocity is that of the straight path to the negative, damped so that a trace of the noise is left.
    """

    name = "fake"
    batched = True
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

    def features(self, images: Sequence[Image.Image], prompts: Sequence[str]) -> PromptStates:
        assert {image.size for image in images} == {(self.resolution, self.resolution)}
        picture = F.adaptive_avg_pool2d(_pixels(images), self.grid).flatten(2).mT
        states = torch.cat([picture, torch.full((len(prompts), 5, 3), 0.5)], dim=1)
        return PromptStates(states, torch.ones(states.shape[:2], dtype=torch.bool), picture.shape[1])

    def edit(
        self,
        images: Sequence[Image.Image],
        prompts: Sequence[str],
        regions: Sequence[Region],
        *,
        generators: Sequence[torch.Generator],
        follow_source: bool = False,
        num_inference_steps: int | None = None,
        on_step: OnStep | None = None,
        **options: Any,
    ) -> list[Edited]:
        assert {one.size for one in [*images, *regions]} == {(self.resolution, self.resolution)}
        source = F.pixel_unshuffle(_pixels(images) * 2 - 1, PATCH).flatten(2).mT
        inside = torch.cat([tokens_inside(region, self.grid) for region in regions])
        latents = denoise(
            lambda latents, t: 0.98 * (latents + source) / t[:, None, None],
            source,
            num_inference_steps=num_inference_steps or 1,
            generators=generators,
            on_step=on_step,
            constrain=follow_source_outside(source, inside) if follow_source else None,
        )
        pairs = zip(self._decode(latents), self._decode(source), strict=True)
        return [Edited(to_pil(edited), to_pil(reconstruction)) for edited, reconstruction in pairs]

    def _decode(self, latents: Tensor) -> Tensor:
        return F.pixel_shuffle(latents.mT.unflatten(2, self.grid), PATCH) / 2 + 0.5


def _pixels(images: Sequence[Image.Image]) -> Tensor:
    return torch.cat([to_tensor(image) for image in images])


class FakeAdapter(nn.Module):
    """Finds an upper left quarter, as surely as `certainty` says; `seen` holds the regions it was given."""

    attached = True
    scale = 1.0

    def __init__(self, certainty: float = 1.0) -> None:
        super().__init__()
        self.certainty = certainty
        self.seen: list[Region] = []

    def is_attached_to(self, target: Any) -> bool:
        return True

    def predict_region(self, states: PromptStates, guide: Tensor) -> Tensor:
        height, width = guide.shape[-2:]
        probability = torch.zeros(len(guide), height, width)
        probability[:, height // 4 : height // 2, width // 4 : width // 2] = self.certainty
        return probability

    @contextmanager
    def region(self, regions: Sequence[Region]) -> Iterator[None]:
        self.seen += regions
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
