"""Stage 1: pre-train the VL encoder on referring, as real VLMs are trained on grounding data.

Which patches does this phrase name (a 32x32 mask), and what does each patch show (a noun per cell).
"""

from __future__ import annotations

from pathlib import Path

import torch.nn.functional as F
from torch import Tensor, nn

from adaptedit.backbones.tiny.encoder import VLEncoder
from adaptedit.backbones.tiny.text import TextEncoder
from adaptedit.training import batches
from adaptedit.training.losses import iou, mask_loss
from adaptedit.training.trainer import TrainConfig, Trainer


class Referring(nn.Module):
    """The encoder with the two heads that pre-training needs and shipping does not."""

    def __init__(self, encoder: VLEncoder, nouns: int) -> None:
        super().__init__()
        self.encoder, config = encoder, encoder.config
        self.mask_head = nn.Linear(config.width, 16)  # 4x4 cells a token
        self.noun_head = nn.Linear(config.width, 4 * (nouns + 1))  # 2x2 cells a token

    def forward(self, pixels: Tensor, text: Tensor, text_mask: Tensor) -> tuple[Tensor, Tensor]:
        """-> mask logits (B, 32, 32), noun logits (B, nouns + 1, 16, 16)."""
        states, _ = self.encoder(pixels, text, text_mask)
        grid = self.encoder.config.grid
        picture = states[:, : grid**2].transpose(1, 2).unflatten(2, (grid, grid))
        mask = F.pixel_shuffle(self.mask_head(picture.movedim(1, -1)).movedim(-1, 1), 4)
        return mask[:, 0], F.pixel_shuffle(self.noun_head(picture.movedim(1, -1)).movedim(-1, 1), 2)


def train_encoder(config: TrainConfig, folder: Path, pairs: batches.Pairs, encoder: VLEncoder) -> Trainer:
    """Train to the config's end; the encoder then holds the averaged weights."""
    text = TextEncoder()
    model = Referring(encoder, len(pairs.nouns))

    def loss(step: int) -> tuple[Tensor, dict[str, float]]:
        data = batches.batch(pairs, config.batch, seed=config.seed, step=step, rank=trainer.rank)
        logits, nouns = model(data.source, *text(data.instructions))
        target = F.adaptive_avg_pool2d(data.mask[:, None], 32)[:, 0]
        referring = mask_loss(logits, target)
        naming = F.cross_entropy(nouns.float(), data.nouns)
        score = iou(logits.detach().float().sigmoid(), target).mean().item()
        return referring + naming, {"mask": referring.item(), "noun": naming.item(), "iou": score}

    trainer = Trainer(model, loss, config, folder)
    trainer.run()
    trainer.use_ema()
    return trainer
