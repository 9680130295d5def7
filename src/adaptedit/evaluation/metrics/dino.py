"""DINO similarity: whether the same object still looks the same, which CLIP does not see."""

from __future__ import annotations

import torch
from PIL import Image
from torch import Tensor

from adaptedit.data.sample import EditSample
from adaptedit.evaluation.metrics.models import cosine, load
from adaptedit.evaluation.metrics.views import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    centre_crop,
    normalised,
    shorter_side,
)
from adaptedit.region import Region


class Dino:
    """Cosines in [-1, 1] of DINO ViT-S/16's class token after the last norm; higher is better.

    DINO: result and target, shorter side to 256, bicubic, centre crop of 224 (MagicBrush, image_eval.py):
    it never sees the ends of a long picture. DINO-no-crop: the whole picture squeezed to 224 x 224 (not
    MagicBrush's). DINO-source, DINO-source-no-crop: result and source (Emu-Edit); doing nothing gives 1.

    model: hub id or folder. Raises AdaptEditError if it cannot be loaded.
    """

    columns: tuple[str, ...] = ("DINO", "DINO-no-crop", "DINO-source", "DINO-source-no-crop")

    def __init__(self, model: str = "facebook/dino-vits16", device: str = "cpu") -> None:
        self.model = load("ViTModel", model, device, add_pooling_layer=False)
        self.device = device

    def __call__(self, sample: EditSample, result: Image.Image, found: Region | None) -> dict[str, float]:
        cropped, squeezed = self._cropped(result), self._squeezed(result)
        scores = {
            "DINO-source": cosine(cropped, self._cropped(sample.source)),
            "DINO-source-no-crop": cosine(squeezed, self._squeezed(sample.source)),
        }
        if sample.target is not None:
            scores["DINO"] = cosine(cropped, self._cropped(sample.target))
            scores["DINO-no-crop"] = cosine(squeezed, self._squeezed(sample.target))
        return scores

    def _cropped(self, image: Image.Image) -> Tensor:
        return self._embedding(centre_crop(shorter_side(image, 256), 224))

    def _squeezed(self, image: Image.Image) -> Tensor:
        return self._embedding(image.resize((224, 224), Image.Resampling.BICUBIC))

    @torch.inference_mode()
    def _embedding(self, image: Image.Image) -> Tensor:
        """RGB of 224 x 224 -> (D,), on the CPU."""
        pixels = normalised(image, IMAGENET_MEAN, IMAGENET_STD).to(self.device)
        states = self.model(pixels, interpolate_pos_encoding=True).last_hidden_state
        embedding: Tensor = states[0, 0].cpu()
        return embedding
