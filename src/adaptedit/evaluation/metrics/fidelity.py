"""MSE, PSNR and SSIM inside and outside the region, averaged in two ways that are named apart."""

from __future__ import annotations

import math
from typing import Any, cast

import torch
from PIL import Image
from torch import Tensor

from adaptedit.data.sample import EditSample
from adaptedit.errors import AdaptEditError
from adaptedit.evaluation.metrics.sides import SIDES, Side, sides
from adaptedit.region import Region

PSNR_LIMIT = 100.0  # dB; identical pictures have no finite PSNR, and one would make a mean infinite

WINDOW = 11  # pixels, of SSIM's Gaussian of sigma 1.5


class Fidelity:
    """MSE (lower is better), PSNR in dB up to 100 and SSIM (higher), of RGB in [0, 1].

    M-outside, M-inside: means over the pixels of that side only. SSIM is the mean of its map
    there, the other side replaced by the reference's pixels: an untouched background has exactly 1.
    PIE-M-outside, PIE-M-inside: PIE-Bench's convention: both pictures are black on the other side and the
    mean is over all pixels, so the smaller the side, the better it looks; identical pictures get 100 dB.
    M-whole against the target, M-whole-source against the source; there both conventions are one.
    SSIM is torchmetrics': Gaussian window of 11 pixels, sigma 1.5, as PIE-Bench's.

    Raises AdaptEditError if torchmetrics is missing.
    """

    columns: tuple[str, ...] = tuple(
        [f"{name}-{side}" for side in SIDES for name in ("MSE", "PSNR", "SSIM")]
        + [f"PIE-{name}-{side}" for side in SIDES[:2] for name in ("MSE", "PSNR", "SSIM")]
    )

    def __init__(self) -> None:
        try:
            from torchmetrics.functional.image import structural_similarity_index_measure
        except ImportError:
            raise AdaptEditError("SSIM needs torchmetrics; pip install 'adaptedit[eval]'") from None
        self.ssim: Any = structural_similarity_index_measure

    def __call__(self, sample: EditSample, result: Image.Image, found: Region | None) -> dict[str, float]:
        scores: dict[str, float] = {}
        for side in sides(sample, result):
            scores |= self._masked(side)
            if not side.everywhere:
                scores |= self._pie(side)
        return scores

    def _masked(self, side: Side) -> dict[str, float]:
        errors = (side.result - side.reference).double().square().mean(dim=1, keepdim=True)
        similarities = self._similarities(side.alone(), side.reference)
        mse = float(errors[side.mask].mean())
        ssim = float(similarities[side.mask].double().mean())
        return {f"MSE-{side.name}": mse, f"PSNR-{side.name}": psnr(mse), f"SSIM-{side.name}": ssim}

    def _pie(self, side: Side) -> dict[str, float]:
        result, reference = side.result * side.mask, side.reference * side.mask
        mse = float((result - reference).double().square().mean())
        return {
            f"PIE-MSE-{side.name}": mse,
            f"PIE-PSNR-{side.name}": psnr(mse),
            f"PIE-SSIM-{side.name}": float(self.ssim(result, reference, data_range=1.0)),
        }

    def _similarities(self, result: Tensor, reference: Tensor) -> Tensor:
        """SSIM's map, (1, 1, H, W), the mean of the channels; exactly 1 where a whole window is identical,
        which float32 misses by up to 3e-4 where it is bright and flat."""
        differs = (result - reference).abs().amax(dim=1, keepdim=True)
        identical = torch.nn.functional.max_pool2d(differs, WINDOW, stride=1, padding=WINDOW // 2) == 0.0
        _, similarities = self.ssim(result, reference, data_range=1.0, return_full_image=True)
        return cast(Tensor, similarities.mean(dim=1, keepdim=True)).masked_fill(identical, 1.0)


def psnr(mse: float) -> float:
    """In dB, for values in [0, 1], at most `PSNR_LIMIT`."""
    return min(-10.0 * math.log10(mse), PSNR_LIMIT) if mse > 0.0 else PSNR_LIMIT
