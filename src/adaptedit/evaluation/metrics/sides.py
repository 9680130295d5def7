"""A result beside what it should equal, inside and outside the annotated region."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from adaptedit.data.sample import EditSample
from adaptedit.evaluation.metrics.views import fitted
from adaptedit.pictures.tensors import to_tensor
from adaptedit.region import Region


@dataclass(frozen=True)
class Side:
    """name: as columns end in it. result, reference: (1, 3, H, W) in [0, 1]. mask: bool (1, 1, H, W)."""

    name: str
    result: Tensor
    reference: Tensor
    mask: Tensor

    @property
    def everywhere(self) -> bool:
        return self.name.startswith("whole")

    def alone(self) -> Tensor:
        """The result, with the reference's own pixels on the other side: nothing leaks in from there."""
        return torch.where(self.mask, self.result, self.reference)


SIDES = ("outside", "inside", "whole", "whole-source")


def sides(sample: EditSample, result: Image.Image) -> list[Side]:
    """The sides that the sample has pixels for; all pictures at the source's size.

    outside: result and source where the region is below 0.5. inside: result and target where it is not.
    whole: result and target. whole-source: result and source.
    """
    size = sample.source.size
    picture, source = to_tensor(fitted(result, size)), to_tensor(sample.source)
    everywhere = torch.ones_like(picture[:, :1], dtype=torch.bool)
    target = None if sample.target is None else to_tensor(fitted(sample.target, size))
    found = [Side("whole-source", picture, source, everywhere)]
    if target is not None:
        found.append(Side("whole", picture, target, everywhere))
    if sample.region is not None:
        mask = torch.from_numpy(inside(sample.region))[None, None]
        found.append(Side("outside", picture, source, ~mask))
        if target is not None:
            found.append(Side("inside", picture, target, mask))
    return [side for side in found if side.mask.any()]


def inside(region: Region) -> NDArray[np.bool_]:
    """(H, W): where the region is 0.5 or more."""
    return np.asarray(region.mask >= 0.5)
