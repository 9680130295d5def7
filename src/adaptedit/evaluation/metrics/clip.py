"""CLIP similarities: of pictures, of a picture and a caption, of a change and a change of captions."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from adaptedit.data.sample import EditSample
from adaptedit.evaluation.metrics.models import cosine, load, load_tokenizer
from adaptedit.evaluation.metrics.sides import inside
from adaptedit.evaluation.metrics.views import centre_crop, fitted, normalised, shorter_side
from adaptedit.region import Region

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


class Encoder:
    """A CLIP model of transformers with the preprocessing of OpenAI's `clip` package.

    Pictures: shorter side to the model's size (224), bicubic, centre crop. Captions: cut at the model's
    77 tokens, where `clip.tokenize` would raise; its repair of broken Unicode (ftfy) is not done.
    model: hub id or folder. Raises AdaptEditError if it cannot be loaded.
    """

    def __init__(self, model: str, device: str = "cpu") -> None:
        self.model = load("CLIPModel", model, device)
        self.tokenizer = load_tokenizer(model)
        self.device = device

    @torch.inference_mode()
    def image(self, image: Image.Image) -> Tensor:
        """RGB of any size -> (D,), length 1, on the CPU."""
        size = self.model.config.vision_config.image_size
        pixels = normalised(centre_crop(shorter_side(image, size), size), MEAN, STD).to(self.device)
        return _unit(self.model.visual_projection(self.model.vision_model(pixels).pooler_output))

    @torch.inference_mode()
    def text(self, caption: str) -> Tensor:
        """(D,), length 1, on the CPU."""
        length = self.model.config.text_config.max_position_embeddings
        tokens = self.tokenizer(caption, truncation=True, max_length=length, return_tensors="pt")
        states = self.model.text_model(input_ids=tokens["input_ids"].to(self.device))
        return _unit(self.model.text_projection(states.pooler_output))


class Clip:
    """Cosines in [-1, 1], higher is better.

    CLIP-I: result and target; CLIP-T: result and target caption (MagicBrush: ViT-B/32, local descriptions).
    CLIP-im: result and source; doing nothing gives 1. CLIP-out: result and target caption, which is CLIP-T
    under Emu-Edit's name, for its captions. CLIP-dir: of result - source and target caption - source caption,
    each embedding scaled to length 1 first (Gal et al. 2021, as Emu-Edit); 0 where nothing changed.

    model: hub id or folder. Raises AdaptEditError if it cannot be loaded.
    """

    columns: tuple[str, ...] = ("CLIP-I", "CLIP-T", "CLIP-dir", "CLIP-im", "CLIP-out")

    def __init__(self, model: str = "openai/clip-vit-base-patch32", device: str = "cpu") -> None:
        self.encoder = Encoder(model, device)

    def __call__(self, sample: EditSample, result: Image.Image, found: Region | None) -> dict[str, float]:
        after, before = self.encoder.image(result), self.encoder.image(sample.source)
        scores = {"CLIP-im": cosine(after, before)}
        if sample.target is not None:
            scores["CLIP-I"] = cosine(after, self.encoder.image(sample.target))
        if sample.target_caption:
            wanted = self.encoder.text(sample.target_caption)
            scores["CLIP-T"] = scores["CLIP-out"] = cosine(after, wanted)
            if sample.source_caption:
                scores["CLIP-dir"] = cosine(after - before, wanted - self.encoder.text(sample.source_caption))
        return scores


class PieClip:
    """PIE-Bench's CLIP similarity with the target caption: 100 * max(cosine, 0), higher is better.

    PIE-CLIP-whole: of the result. PIE-CLIP-inside: of the result with everything outside the region black.
    model: hub id or folder, PIE-Bench's is ViT-L/14. Raises AdaptEditError if it cannot be loaded.
    """

    columns: tuple[str, ...] = ("PIE-CLIP-whole", "PIE-CLIP-inside")

    def __init__(self, model: str = "openai/clip-vit-large-patch14", device: str = "cpu") -> None:
        self.encoder = Encoder(model, device)

    def __call__(self, sample: EditSample, result: Image.Image, found: Region | None) -> dict[str, float]:
        if not sample.target_caption:
            return {}
        pictures = {"PIE-CLIP-whole": result}
        if sample.region is not None and (mask := inside(sample.region)).any():
            pixels = np.asarray(fitted(result, sample.source.size))
            pictures["PIE-CLIP-inside"] = Image.fromarray(pixels * mask[..., None])
        caption = self.encoder.text(sample.target_caption)
        return {
            column: 100.0 * max(cosine(self.encoder.image(picture), caption), 0.0)
            for column, picture in pictures.items()
        }


def _unit(embedding: Tensor) -> Tensor:
    """(1, D) -> (D,)"""
    return torch.nn.functional.normalize(embedding[0].float().cpu(), dim=0)
