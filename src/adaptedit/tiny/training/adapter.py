"""Stage 4, the paper's: train block adapters and MaskPredictor jointly, with everything else frozen.

The Region-Aware Loss trains the adapters. The mask loss, which is decoupled, trains only the MaskPredictor.
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from adaptedit.adapter.model import AdaptEditAdapter
from adaptedit.tiny.backbone import TinyBackbone
from adaptedit.tiny.training import batches
from adaptedit.tiny.training.backbone import flow_step, pixel_error
from adaptedit.tiny.training.configs import REGION_WEIGHT
from adaptedit.tiny.training.cpu_attention import use_cpu_attention
from adaptedit.training.losses import iou, mask_loss, region_aware_loss
from adaptedit.training.masks import degrade
from adaptedit.training.trainer import TrainConfig, Trainer


def train_adapter(
    config: TrainConfig,
    folder: Path,
    pairs: batches.Pairs,
    backbone: TinyBackbone,
    adapter: AdaptEditAdapter,
) -> Trainer:
    """Attach `adapter` and train it for all of the config's steps. It then has the averaged weights."""
    if config.compile:
        use_cpu_attention(backbone.transformer)
    adapter.attach(backbone)
    backbone.requires_grad_(False)

    def loss(step: int) -> tuple[Tensor, dict[str, float]]:
        data = batches.batch(pairs, config.batch, seed=config.seed, step=step, rank=trainer.rank)
        flow = flow_step(backbone, data)
        logits = adapter.predict_region_logits(flow.states, data.source)
        mask_error = mask_loss(logits, data.mask)
        predicted = logits.detach().float().sigmoid()
        with adapter.region(degrade(data.mask, predicted, data.generator)):
            output = backbone.run_dit(flow.latents, flow.source, flow.states, flow.timestep)
        # Holes are not filled here: filled pixels would give the adapters no gradient.
        latents = backbone.draw(output, flow.source, output.votes.cluster())
        error = pixel_error(backbone, latents, flow.target)
        edit_error = region_aware_loss(error, data.mask.flatten(1), REGION_WEIGHT)
        score = iou(predicted, data.mask).mean().item()
        return edit_error + mask_error, {"edit": edit_error.item(), "mask": mask_error.item(), "iou": score}

    trainer = Trainer(adapter, loss, config, folder)
    trainer.run()
    trainer.use_ema()
    return trainer
