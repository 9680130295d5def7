"""Stage 3: train the DiT and its decoders as an ordinary instruction editor. They never see a mask.

The error is that of the clean picture in pixels, whatever the timestep: the velocity's error times t. So most
weight is near noise, where few-step sampling is decided and nothing of the target shows yet.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from diffusers import QwenImageTransformer2DModel
from torch import Tensor, nn
from torch.nn import functional as F

from adaptedit.backbones.base import PromptStates
from adaptedit.tiny.backbone import TinyBackbone
from adaptedit.tiny.objects import Objects, Votes, frame_loss
from adaptedit.tiny.training import batches
from adaptedit.tiny.training.cpu_attention import use_cpu_attention
from adaptedit.tiny.training.objects import Codes, noisy
from adaptedit.training.losses import mean_error, sample_timesteps
from adaptedit.training.trainer import TrainConfig, Trainer

VOTING = 0.1  # weight of the votes' error beside the pixels'
_TEXT_TOKENS = 24  # fixed length in training, so that compiled blocks see one shape


def fixed_length(states: PromptStates) -> PromptStates:
    """Cut or pad the text tokens to a fixed number (padding is masked)."""
    missing = states.num_image_tokens + _TEXT_TOKENS - states.hidden_states.shape[1]
    return PromptStates(
        F.pad(states.hidden_states, (0, 0, 0, missing)),
        F.pad(states.attention_mask, (0, missing), value=False),
        states.num_image_tokens,
    )


def noised(target: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Latents (B, N, C) on the way to noise, and their timestep (B,): seven of eight are noise alone, where
    the one step starts that `tiny` takes."""
    timestep = sample_timesteps(len(target), generator)
    timestep[torch.arange(len(target)) % 8 > 0] = 1
    noise = torch.randn(target.shape, generator=generator)
    t = timestep[:, None, None]
    return (1 - t) * target + t * noise, timestep


def initialise(transformer: QwenImageTransformer2DModel) -> None:
    """adaLN-Zero, as DiT: every block starts as the identity, the output at zero."""
    linears = [m[1] for block in transformer.transformer_blocks for m in (block.img_mod, block.txt_mod)]
    for linear in [*linears, transformer.proj_out]:
        nn.init.zeros_(linear.weight)
        nn.init.zeros_(linear.bias)


@dataclass(frozen=True)
class FlowStep:
    """One batch, ready for the DiT: latents (B, N, C) on the way to noise at `timestep` (B,)."""

    states: PromptStates
    source: Tensor
    target: Tensor
    latents: Tensor
    timestep: Tensor


def pixel_error(backbone: TinyBackbone, latents: Tensor, target: Tensor) -> Tensor:
    """Latents (B, N, C) and their target -> their difference in pixels, (B, H * W, 3) float32."""
    error = backbone.decode_latents(latents.float() - target) - 0.5  # the codec is linear
    return error.flatten(2).transpose(1, 2)


@torch.no_grad()
def flow_step(backbone: TinyBackbone, data: batches.Batch) -> FlowStep:
    """Encode a batch with the frozen parts and noise its targets."""
    states = fixed_length(backbone.encode_prompt(data.source, data.instructions))
    source, target = backbone.encode_image(data.source), backbone.encode_image(data.target)
    return FlowStep(states, source, target, *noised(target, data.generator))


def _objects(votes: Votes, data: batches.Batch, coded: Tensor) -> Objects:
    """As voted, or at their true frames and codes: of what is new, in three of four samples, for it may lie a
    few pixels off, if only it is sharp; of what is there already, and must be met exactly, in one of four."""
    new = torch.tensor([kind in ("add", "replace") for kind in data.kinds])
    told = data.framed & (new == (torch.arange(len(new)) % 4 > 0))
    own = replace(votes, there=votes.there.masked_fill(told[:, None, None], -1.0)).counted()
    true = replace(votes, code=noisy(coded, data.generator))
    return true.given(data.frames.masked_fill(~told[:, None, None, None], math.nan)).joined(own)


def _vote_loss(votes: Votes, data: batches.Batch, coded: Tensor) -> tuple[Tensor, Tensor]:
    """How wrong the votes are: which cells have an object and where it lies; and what it is."""
    known = data.frames[..., 0].isfinite()
    error = F.binary_cross_entropy_with_logits(votes.there, known.float(), reduction="none").mean((1, 2))
    framed = data.framed.float()
    there = (error * framed).sum() / framed.sum().clamp(min=1)
    naming = F.mse_loss(votes.code[known], coded[known], reduction="sum") / known.sum().clamp(min=1)
    return there + frame_loss(votes.frame, data.frames), naming / coded.shape[-1]


def train_backbone(
    config: TrainConfig, folder: Path, pairs: batches.Pairs, backbone: TinyBackbone, codes: Codes
) -> Trainer:
    """Train the backbone's transformer and decoders to the config's end; they then hold the averaged weights.
    codes: what the object decoder calls each thing."""
    backbone.requires_grad_(False)
    transformer = backbone.transformer.requires_grad_(True).train()
    decoder = backbone.decoder.requires_grad_(True).train()
    objects = backbone.objects.requires_grad_(True).train()
    if config.compile:
        use_cpu_attention(transformer)
        for block in transformer.transformer_blocks:
            block.compile()
        decoder.compile()

    def loss(step: int) -> tuple[Tensor, dict[str, float]]:
        data = batches.batch(pairs, config.batch, seed=config.seed, step=step, rank=trainer.rank)
        flow = flow_step(backbone, data)
        with torch.no_grad():
            coded = codes(data.things)
        said = backbone.say(flow.latents, flow.source, flow.states, flow.timestep)
        with torch.autocast("cpu", enabled=False):
            placing, naming = _vote_loss(said.votes, data, coded)
        predicted = backbone.draw(said, flow.source, _objects(said.votes, data, coded))
        value = mean_error(pixel_error(backbone, predicted, flow.target))
        copying = mean_error(pixel_error(backbone, flow.source, flow.target))
        numbers = {"relative": value / copying, "placing": placing, "naming": naming}
        return value + VOTING * (placing + naming), {name: number.item() for name, number in numbers.items()}

    parts = nn.ModuleDict({"transformer": transformer, "decoder": decoder, "objects": objects})
    trainer = Trainer(parts, loss, config, folder)
    trainer.run()
    trainer.use_ema()
    return trainer
