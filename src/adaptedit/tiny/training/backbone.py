"""Stage 3: train the DiT and its decoders as an ordinary instruction editor. They never see a mask.

The error is that of the predicted picture x0, in pixels, at every timestep t. This is the velocity's error
times t, so timesteps near pure noise count most. There the target cannot be seen yet, and there `tiny`, which
takes one step, has to decide.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from adaptedit.backbones.base import PromptStates
from adaptedit.tiny.backbone import TinyBackbone
from adaptedit.tiny.dit import Block, QwenImageTransformer2DModel
from adaptedit.tiny.objects import Objects, Votes, frame_loss
from adaptedit.tiny.training import batches
from adaptedit.tiny.training.configs import TIMESTEP_SHIFT, VOTE_WEIGHT
from adaptedit.tiny.training.cpu_attention import use_cpu_attention
from adaptedit.tiny.training.objects import Codes, add_code_noise
from adaptedit.training.losses import mean_error, sample_timesteps
from adaptedit.training.trainer import TrainConfig, Trainer

_TEXT_TOKENS = 24  # one number for all batches, so that compiled blocks see one shape


def pad_text(states: PromptStates) -> PromptStates:
    """Cut or pad the text tokens to a fixed number. Padding is masked."""
    missing = states.num_image_tokens + _TEXT_TOKENS - states.hidden_states.shape[1]
    return PromptStates(
        F.pad(states.hidden_states, (0, 0, 0, missing)),
        F.pad(states.attention_mask, (0, missing), value=False),
        states.num_image_tokens,
    )


def add_noise(target: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Noisy latents (B, N, C) and their timesteps (B,).

    Seven of eight samples are pure noise, because that is where the one step of `tiny` starts.
    """
    timestep = sample_timesteps(len(target), generator, TIMESTEP_SHIFT)
    timestep[torch.arange(len(target)) % 8 > 0] = 1
    noise = torch.randn(target.shape, generator=generator)
    t = timestep[:, None, None]
    return (1 - t) * target + t * noise, timestep


def initialise(transformer: QwenImageTransformer2DModel) -> None:
    """adaLN-Zero, as in the DiT paper: every block starts as the identity, and the output is zero."""
    blocks = [module for module in transformer.modules() if isinstance(module, Block)]
    modulations = [modulation for block in blocks for modulation in (block.img_mod, block.txt_mod)]
    for module in [*modulations, transformer.proj_out]:
        for parameter in module.parameters():
            nn.init.zeros_(parameter)


@dataclass(frozen=True)
class FlowStep:
    """One batch as the DiT gets it: noisy latents (B, N, C) at `timestep` (B,), and the clean latents of
    source and target (B, N, C)."""

    states: PromptStates
    source: Tensor
    target: Tensor
    latents: Tensor
    timestep: Tensor


def pixel_error(backbone: TinyBackbone, latents: Tensor, target: Tensor) -> Tensor:
    """The difference of latents (B, N, C) from their target, in pixels: (B, H * W, 3) float32."""
    error = backbone.decode_latents(latents.float() - target) - 0.5  # the codec is linear
    return error.flatten(2).transpose(1, 2)


@torch.no_grad()
def flow_step(backbone: TinyBackbone, data: batches.Batch) -> FlowStep:
    """Encode a batch with the frozen parts and add noise to its targets."""
    states = pad_text(backbone.encode_prompt(data.source, data.instructions))
    source, target = backbone.encode_image(data.source), backbone.encode_image(data.target)
    return FlowStep(states, source, target, *add_noise(target, data.generator))


def _objects_to_draw(votes: Votes, data: batches.Batch, true_codes: Tensor) -> Objects:
    """The objects for the decoders: as voted, or with their true frames and codes.

    New objects are true in three of four samples: they may lie a few pixels off, but must be sharp. Objects
    that are in the source already are true in one of four: there the votes must be exact, so the pixels'
    error has to reach them. true_codes: (B, S, S, C).
    """
    new = torch.tensor([kind in ("add", "replace") for kind in data.kinds])
    use_true = data.framed & (new == (torch.arange(len(new)) % 4 > 0))
    presence = votes.presence.masked_fill(use_true[:, None, None], -1.0)
    voted = replace(votes, presence=presence).cluster()
    true_frames = data.frames.masked_fill(~use_true[:, None, None, None], math.nan)
    true_votes = replace(votes, code=add_code_noise(true_codes, data.generator))
    return true_votes.at_frames(true_frames).merge(voted)


def _vote_loss(votes: Votes, data: batches.Batch, true_codes: Tensor) -> tuple[Tensor, Tensor]:
    """Two errors of the votes: that of presence and frame together, and that of the code."""
    has_object = data.frames[..., 0].isfinite()
    error = F.binary_cross_entropy_with_logits(votes.presence, has_object.float(), reduction="none")
    framed = data.framed.float()
    presence_error = (error.mean((1, 2)) * framed).sum() / framed.sum().clamp(min=1)
    squares = F.mse_loss(votes.code[has_object], true_codes[has_object], reduction="sum")
    code_error = squares / has_object.sum().clamp(min=1) / true_codes.shape[-1]
    return presence_error + frame_loss(votes.frame, data.frames), code_error


def train_backbone(
    config: TrainConfig, folder: Path, pairs: batches.Pairs, backbone: TinyBackbone, codes: Codes
) -> Trainer:
    """Train the transformer and the decoders for all of the config's steps. They then have the averaged
    weights. codes: the code of each thing that the object decoder has learnt."""
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
            true_codes = codes(data.things)
        output = backbone.run_dit(flow.latents, flow.source, flow.states, flow.timestep)
        with torch.autocast("cpu", enabled=False):
            frame_error, code_error = _vote_loss(output.votes, data, true_codes)
        objects_to_draw = _objects_to_draw(output.votes, data, true_codes)
        predicted = backbone.draw(output, flow.source, objects_to_draw)
        error = mean_error(pixel_error(backbone, predicted, flow.target))
        error_of_source = mean_error(pixel_error(backbone, flow.source, flow.target))
        numbers = {"relative": error / error_of_source, "placing": frame_error, "naming": code_error}
        total = error + VOTE_WEIGHT * (frame_error + code_error)
        return total, {name: number.item() for name, number in numbers.items()}

    parts = nn.ModuleDict({"transformer": transformer, "decoder": decoder, "objects": objects})
    trainer = Trainer(parts, loss, config, folder)
    trainer.run()
    trainer.use_ema()
    return trainer
