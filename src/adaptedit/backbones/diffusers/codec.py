"""The pipelines' VAEs: a picture's latents, what they decode to, and the tokens that the DiT sees."""

from __future__ import annotations

from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F


def encode(pipe: Any, image: Image.Image) -> Tensor:
    """PIL RGB at working size -> the VAE's own latents, the most likely ones: (1, C, h, w)."""
    pixels = pipe.image_processor.preprocess(image).to(pipe._execution_device, pipe.vae.dtype)
    if _is_video(pipe.vae):
        return pipe.vae.encode(pixels.unsqueeze(2)).latent_dist.mode()[:, :, 0]  # type: ignore[no-any-return]
    return pipe.vae.encode(pixels).latent_dist.mode()  # type: ignore[no-any-return]


def decode(pipe: Any, latents: Tensor) -> Image.Image:
    """Inverse of `encode`."""
    if _is_video(pipe.vae):
        pixels = pipe.vae.decode(latents.unsqueeze(2), return_dict=False)[0][:, :, 0]
    else:
        pixels = pipe.vae.decode(latents, return_dict=False)[0]
    picture: Image.Image = pipe.image_processor.postprocess(pixels.detach(), output_type="pil")[0]
    return picture


def scaled(vae: Any, latents: Tensor) -> Tensor:
    """FLUX.1 and LongCat -> (1, N, 4 C)."""
    return _tokens((latents - vae.config.shift_factor) * vae.config.scaling_factor)


def standardised(vae: Any, latents: Tensor) -> Tensor:
    """Qwen-Image: by the mean and standard deviation of each channel -> (1, N, 4 C)."""
    mean, std = (
        torch.tensor(values).to(latents)[:, None, None]
        for values in (vae.config.latents_mean, vae.config.latents_std)
    )
    return _tokens((latents - mean) / std)


def batch_normalised(vae: Any, latents: Tensor) -> Tensor:
    """FLUX.2: by the statistics of its batch norm, after patching -> (1, N, 4 C)."""
    mean, variance = (values.to(latents)[:, None] for values in (vae.bn.running_mean, vae.bn.running_var))
    tokens = _tokens(latents).mT
    normalised: Tensor = (tokens - mean) / torch.sqrt(variance + vae.config.batch_norm_eps)
    return normalised.mT


def _tokens(latents: Tensor) -> Tensor:
    """A token is 2 x 2 latents, row by row."""
    return F.pixel_unshuffle(latents, 2).flatten(2).mT


def _is_video(vae: Any) -> bool:
    return hasattr(vae.config, "temperal_downsample")  # diffusers' spelling
