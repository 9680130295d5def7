"""What an editing pipeline needs from a frozen DiT editor, and what it gets back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from adaptedit.region import Region, Size

OnStep = Callable[[int, int], None]  # (steps done, steps in all)


@dataclass(frozen=True)
class PromptStates:
    """What a model makes of (picture, instruction): the MaskPredictor's features.

    A vision-language encoder's states, which are also the DiT's text stream and the adapter's *what*; or,
    where there is none, the DiT's own states after some blocks.

    hidden_states: (B, M, T) float, picture tokens first, then text tokens.
    attention_mask: (B, M) bool, True = real token.
    num_image_tokens: how many of the M tokens belong to the picture.
    """

    hidden_states: Tensor
    attention_mask: Tensor
    num_image_tokens: int


@dataclass(frozen=True)
class Edited:
    """PIL RGB at working size. reconstruction: what the codec alone makes of the unedited picture."""

    image: Image.Image
    reconstruction: Image.Image


class Backbone(Protocol):
    """A frozen DiT editor with its codec and its encoders. Pictures are PIL RGB, sizes (W, H) in pixels."""

    @property
    def name(self) -> str | None:
        """Which weights, named as in an adapter's `backbone_name`; None if not known."""
        ...

    @property
    def transformer(self) -> nn.Module:
        """The frozen DiT, of a class in `patterns.PATTERNS`."""
        ...

    @property
    def device(self) -> torch.device:
        """Where the transformer computes."""
        ...

    def to(self, device: torch.device | str) -> Any:
        """Moves all models."""
        ...

    @property
    def batched(self) -> bool:
        """Whether `features` and `edit` take several pictures, all of one working size.

        Otherwise they are called with lists of one. A picture's result does not depend on the others, except
        for float rounding.
        """
        ...

    def working_size(self, size: Size) -> Size:
        """The size at which a picture of `size` is seen and edited."""
        ...

    def features(self, images: Sequence[Image.Image], prompts: Sequence[str]) -> PromptStates:
        """What the MaskPredictor reads. B = number of pictures, all at their working size."""
        ...

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
        """The edited pictures, all at the working size. The adapter already has the regions.

        generators: each draws its picture's noise. follow_source: tokens outside the region stay on the
        source's own noising path, to its end. num_inference_steps: None = the backbone's own default.
        options: the backbone's own. AdaptEditError for an unknown option.
        """
        ...


def tokens_inside(region: Region, grid: tuple[int, int]) -> Tensor:
    """(1, h * w) bool: tokens that hold a pixel of the region: one of at least half its maximum."""
    mask = torch.tensor(region.mask)[None, None]
    return F.adaptive_max_pool2d(mask, grid).flatten(1) >= mask.max() / 2
