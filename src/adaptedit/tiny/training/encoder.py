"""Stage 1: pre-train the vision-language encoder on grounding, as real ones are.

It answers four questions: which pixels does the instruction mean; what does each cell show now; what should
it show after the edit; and where should that object lie. The last two are there because an encoder that is
trained only to find pixels blurs what is not in the picture yet (LOG.md: "A decoder, crowds and renders").
"""

from __future__ import annotations

from pathlib import Path

import torch.nn.functional as F
from torch import Tensor, nn

from adaptedit.adapter.mask_predictor import MaskPredictor
from adaptedit.tiny.encoder import VLEncoder
from adaptedit.tiny.objects import FRAME_CHANNELS, decode_frames, frame_loss
from adaptedit.tiny.text import TextEncoder
from adaptedit.tiny.training import batches
from adaptedit.training.losses import iou, mask_loss
from adaptedit.training.trainer import TrainConfig, Trainer


class Referring(nn.Module):
    """The encoder with four heads: a MaskPredictor, which the adapter gets later; what each cell shows and
    what it should show, among `labels` things; and frames."""

    def __init__(self, encoder: VLEncoder, predictor: MaskPredictor, labels: int) -> None:
        super().__init__()
        self.encoder, self.predictor, width = encoder, predictor, encoder.config.width
        self.shown = nn.Linear(width, 4 * (labels + 1))  # a token has 2x2 cells
        self.wanted = nn.Linear(width, 4 * (labels + 1))
        self.frame = nn.Linear(width, 4 * FRAME_CHANNELS)

    def forward(
        self, pixels: Tensor, text: Tensor, text_mask: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Arguments as for `VLEncoder`.

        Returns the mask's logits (B, H, W); the logits (B, labels + 1, 16, 16) of what is shown and of what
        is wanted; and frames (B, 16, 16, 3) as in `CellLabels`.
        """
        states, mask = self.encoder(pixels, text, text_mask)
        side = self.encoder.config.grid
        picture = states[:, : side**2]
        shown, wanted, frames = (
            F.pixel_shuffle(head(picture).transpose(1, 2).unflatten(2, (side, side)), 2).float()
            for head in (self.shown, self.wanted, self.frame)
        )
        return self.predictor(states, mask, side**2, pixels), shown, wanted, decode_frames(frames)


def train_encoder(
    config: TrainConfig, folder: Path, pairs: batches.Pairs, encoder: VLEncoder, predictor: MaskPredictor
) -> Trainer:
    """Train both for all of the config's steps. They then have the averaged weights."""
    text = TextEncoder()
    model = Referring(encoder, predictor, len(pairs.labels))

    def loss(step: int) -> tuple[Tensor, dict[str, float]]:
        data = batches.batch(pairs, config.batch, seed=config.seed, step=step, rank=trainer.rank)
        logits, shown, wanted, frames = model(data.source, *text(data.instructions))
        errors = {
            "mask": mask_loss(logits, data.mask),
            "shown": F.cross_entropy(shown, data.shown),
            "wanted": F.cross_entropy(wanted, data.wanted),
            "frames": frame_loss(frames, data.frames),
        }
        score = iou(logits.detach().float().sigmoid(), data.mask).mean().item()
        total = errors["mask"] + errors["shown"] + errors["wanted"] + errors["frames"]
        return total, {name: error.item() for name, error in errors.items()} | {"iou": score}

    trainer = Trainer(model, loss, config, folder)
    trainer.run()
    trainer.use_ema()
    return trainer
