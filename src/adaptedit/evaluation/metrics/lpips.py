"""LPIPS inside and outside the region."""

from __future__ import annotations

from typing import Any

import torch
from PIL import Image
from torch import Tensor

from adaptedit.data.sample import EditSample
from adaptedit.errors import AdaptEditError
from adaptedit.evaluation.metrics.sides import SIDES, sides
from adaptedit.region import Region


class Lpips:
    """LPIPS of SqueezeNet 1.1 (Zhang et al. 2018; torchmetrics, as PIE-Bench); lower is better, 0 identical.

    LPIPS-outside, -inside: the mean of its map, at the pictures' size, over that side's pixels, the other
    side replaced by the reference's pixels. PIE-LPIPS-outside, -inside: both pictures black on
    the other side, one number for the whole. LPIPS-whole against the target, LPIPS-whole-source the source.

    torchvision loads the network's weights. Raises AdaptEditError without it, or without them.
    """

    columns: tuple[str, ...] = tuple(
        [f"LPIPS-{side}" for side in SIDES] + [f"PIE-LPIPS-{side}" for side in SIDES[:2]]
    )

    def __init__(self, device: str = "cpu") -> None:
        try:
            from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

            metric: Any = LearnedPerceptualImagePatchSimilarity(net_type="squeeze")
        except ImportError:
            raise AdaptEditError(
                "LPIPS needs torchvision and torchmetrics; pip install torchvision 'adaptedit[eval]'"
            ) from None
        except OSError as error:
            raise AdaptEditError(
                f"the weights of LPIPS cannot be downloaded ({error}); go online once: torchvision keeps them"
            ) from error
        self.network = metric.net.to(device).eval()
        self.device = device

    def __call__(self, sample: EditSample, result: Image.Image, found: Region | None) -> dict[str, float]:
        scores = {}
        for side in sides(sample, result):
            if side.everywhere:
                distance = self._distances(side.result, side.reference, spatial=False)
                scores[f"LPIPS-{side.name}"] = float(distance)
                continue
            distances = self._distances(side.alone(), side.reference, spatial=True)
            scores[f"LPIPS-{side.name}"] = float(distances[side.mask].mean())
            black = self._distances(side.result * side.mask, side.reference * side.mask, spatial=False)
            scores[f"PIE-LPIPS-{side.name}"] = float(black)
        return scores

    @torch.inference_mode()
    def _distances(self, result: Tensor, reference: Tensor, *, spatial: bool) -> Tensor:
        """(1, 1, H, W) if spatial, else (1, 1, 1, 1), on the CPU."""
        self.network.spatial = spatial
        pair = result.to(self.device), reference.to(self.device)
        distances: Tensor = self.network(*pair, normalize=True).cpu().double()
        return distances
