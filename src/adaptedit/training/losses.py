"""The losses: flow matching weighted towards the region (the paper's Region-Aware Loss), and the mask's."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def region_aware_loss(error: Tensor, mask: Tensor, weight: float) -> Tensor:
    """Mean error with weight 1 + weight * mask per place, normalised by the weights' sum.

    error: (B, N, C) prediction minus target, N tokens or pixels. mask: (B, N) in [0, 1], 1 = edit. The
    normalisation, per sample, keeps the effective learning rate independent of the mask's area (the idea is
    the paper's, the normalisation ours).
    """
    weights = 1 + weight * mask
    return ((weights * _per_place(error)).sum(-1) / weights.sum(-1)).mean()


def mean_error(error: Tensor) -> Tensor:
    """The same with equal weights: (B, N, C) -> a scalar."""
    return _per_place(error).mean()


def _per_place(error: Tensor) -> Tensor:
    """(B, N, C) -> (B, N): the root of the mean square over C. Unlike the square, it does not forgive a faint
    leak, and what the model cannot know becomes a median, not a blur."""
    return (error.float().square().mean(-1) + 1e-6).sqrt()


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


def sample_timesteps(count: int, generator: torch.Generator, shift: float) -> Tensor:
    """(B,) in [0, 1), 1 = noise: uniform for a shift of 1; above, it leans towards noise, as SD3's does, so
    that few steps suffice."""
    t = torch.rand(count, generator=generator)
    return shift * t / (1 + (shift - 1) * t)
