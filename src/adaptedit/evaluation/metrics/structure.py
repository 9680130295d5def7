"""Structure distance: how differently the parts of two pictures resemble each other."""

from __future__ import annotations

import torch
from PIL import Image
from torch import Tensor

from adaptedit.data.sample import EditSample
from adaptedit.evaluation.metrics.models import load
from adaptedit.evaluation.metrics.views import IMAGENET_MEAN, IMAGENET_STD, fitted
from adaptedit.pictures.tensors import to_tensor
from adaptedit.region import Region, Size


class Structure:
    """Mean squared difference of the cosines between all keys of DINO ViT-B/8's last layer (Tumanyan et al.
    2022), result and source, class token included; lower is better, doing nothing gives 0.

    structure: of pixels in [0, 1]. PIE-structure: as PIE-Bench's matrics_calculator.py has it, which leaves
    pixels in 0..255 before the normalisation that is meant for [0, 1]; published numbers are of this kind.
    Both: shorter side to 224, the longer at most 480, antialiased bilinear.

    model: hub id or folder. Raises AdaptEditError if it cannot be loaded.
    """

    columns: tuple[str, ...] = ("structure", "PIE-structure")

    def __init__(self, model: str = "facebook/dino-vitb8", device: str = "cpu") -> None:
        self.model = load("ViTModel", model, device, add_pooling_layer=False)
        self.device = device

    def __call__(self, sample: EditSample, result: Image.Image, found: Region | None) -> dict[str, float]:
        pictures = to_tensor(fitted(result, sample.source.size)), to_tensor(sample.source)
        return {"structure": self._distance(*pictures, levels=1.0)} | {
            "PIE-structure": self._distance(*pictures, levels=255.0)
        }

    def _distance(self, result: Tensor, source: Tensor, *, levels: float) -> float:
        difference = self._similarities(result * levels) - self._similarities(source * levels)
        return float(difference.double().square().mean())

    @torch.inference_mode()
    def _similarities(self, pixels: Tensor) -> Tensor:
        """(1, 3, H, W) -> (T, T): the cosines of the keys, all heads in a row."""
        height, width = pixels.shape[-2:]
        columns, rows = _size((width, height))
        scaled = torch.nn.functional.interpolate(
            pixels, (rows, columns), mode="bilinear", antialias=True, align_corners=False
        )
        mean, std = torch.tensor(IMAGENET_MEAN).view(3, 1, 1), torch.tensor(IMAGENET_STD).view(3, 1, 1)
        keys: list[Tensor] = []
        hook = self.model.layers[-1].attention.k_proj.register_forward_hook(
            lambda module, inputs, output: keys.append(output[0].cpu())
        )
        try:
            self.model(((scaled - mean) / std).to(self.device), interpolate_pos_encoding=True)
        finally:
            hook.remove()
        directions = torch.nn.functional.normalize(keys[0], dim=1)
        return directions @ directions.T


def _size(size: Size) -> Size:
    """torchvision's Resize(224, max_size=480)."""
    short, long = min(size), max(size)
    scaled = (224, int(224 * long / short))
    if scaled[1] > 480:
        scaled = (int(480 * scaled[0] / scaled[1]), 480)
    return scaled if size[0] <= size[1] else (scaled[1], scaled[0])
