"""Stage 1: pre-train the VL encoder on referring, as real VLMs are trained on grounding data.

Which pixels does this instruction mean, what does each patch show, what shall it show afterwards, and where
shall that lie: so the states say what is to come, too, which referring alone blurs (LOG.md).
"""

from __future__ import annotations

from pathlib import Path

import torch.nn.functional as F
from torch import Tensor, nn

from adaptedit.adapter.mask_predictor import MaskPredictor
from adaptedit.tiny.encoder import VLEncoder
from adaptedit.tiny.objects import FRAME, frame_loss, frames_said
from adaptedit.tiny.text import TextEncoder
from adaptedit.tiny.training import batches
from adaptedit.training.losses import iou, mask_loss
from adaptedit.training.trainer import TrainConfig, Trainer


class Referring(nn.Module):
    """The encoder with a MaskPredictor, the adapter's to be, two heads for `labels` things and one for
    frames."""

    def __init__(self, encoder: VLEncoder, predictor: MaskPredictor, labels: int) -> None:
        super().__init__()
        self.encoder, self.predictor, width = encoder, predictor, encoder.config.width
        self.shown = nn.Linear(width, 4 * (labels + 1))  # 2x2 cells a token
        self.wanted = nn.Linear(width, 4 * (labels + 1))
        self.frame = nn.Linear(width, 4 * FRAME)

    def forward(
        self, pixels: Tensor, text: Tensor, text_mask: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """-> mask logits (B, H, W); logits (B, labels + 1, 16, 16) of what is shown and of what is wanted;
        frames (B, 16, 16, 3) as in `EditSample`."""
        states, mask = self.encoder(pixels, text, text_mask)
        side = self.encoder.config.grid
        picture = states[:, : side**2]
        shown, wanted, frames = (
            F.pixel_shuffle(head(picture).transpose(1, 2).unflatten(2, (side, side)), 2).float()
            for head in (self.shown, self.wanted, self.frame)
        )
        return self.predictor(states, mask, side**2, pixels), shown, wanted, frames_said(frames)


def train_encoder(
    config: TrainConfig, folder: Path, pairs: batches.Pairs, encoder: VLEncoder, predictor: MaskPredictor
) -> Trainer:
    """Train both to the config's end; they then hold the averaged weights."""
    text = TextEncoder()
    model = Referring(encoder, predictor, len(pairs.labels))

    def loss(step: int) -> tuple[Tensor, dict[str, float]]:
        data = batches.batch(pairs, config.batch, seed=config.seed, step=step, rank=trainer.rank)
        logits, shown, wanted, frames = model(data.source, *text(data.instructions))
        referring = mask_loss(logits, data.mask)
        naming, foreseeing = F.cross_entropy(shown, data.shown), F.cross_entropy(wanted, data.wanted)
        placing = frame_loss(frames, data.frames)
        score = iou(logits.detach().float().sigmoid(), data.mask).mean().item()
        total = referring + naming + foreseeing + placing
        numbers = {"mask": referring, "shown": naming, "wanted": foreseeing, "frames": placing}
        return total, {name: value.item() for name, value in numbers.items()} | {"iou": score}

    trainer = Trainer(model, loss, config, folder)
    trainer.run()
    trainer.use_ema()
    return trainer
