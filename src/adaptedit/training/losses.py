"""The losses: flow matching weighted towards the region (the paper's Region-Aware Loss), and the mask's."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def region_aware_loss(error: Tensor, mask: Tensor, weight: float) -> Tensor:
    """Mean error with weight 1 + weight * mask per place, normalised by the weights' sum.

    error: (B, N, C) prediction minus target, N tokens or pixels. mask: (B, N) in [0, 1], 1 = edit. A place's
    error is the root of its mean square over C: unlike the square, it does not forgive a faint leak. The
    normalisation, per sample, keeps the effective learning rate independent of the mask's area (both our
    choice; the idea: paper).
    """
    weights = 1 + weight * mask
    per_place = (error.float().square().mean(-1) + 1e-6).sqrt()
    return ((weights * per_place).sum(-1) / weights.sum(-1)).mean()


def mask_loss(logits: Tensor, mask: Tensor) -> Tensor:
    """Binary cross-entropy plus Dice (paper), logits and mask (B, H, W), mask in [0, 1]."""
    logits = logits.float()
    bce = F.binary_cross_entropy_with_logits(logits, mask)
    probability = logits.sigmoid().flatten(1)
    target = mask.flatten(1)
    overlap = 2 * (probability * target).sum(1) + 1
    return bce + (1 - overlap / (probability.sum(1) + target.sum(1) + 1)).mean()


def iou(probability: Tensor, mask: Tensor, threshold: float = 0.5) -> Tensor:
    """Intersection over union per sample, (B,); (B, H, W) both, in [0, 1]."""
    a, b = (probability > threshold).flatten(1), (mask > 0.5).flatten(1)
    return (a & b).sum(1) / (a | b).sum(1).clamp(min=1)


def sample_timesteps(count: int, generator: torch.Generator, shift: float = 6.0) -> Tensor:
    """(B,) in (0, 1), 1 = noise: uniform, shifted towards noise as SD3 does, so that few steps suffice."""
    t = torch.rand(count, generator=generator)
    return shift * t / (1 + (shift - 1) * t)
