"""`tiny`'s codec, in place of a VAE: a discrete cosine transform (DCT) of blocks of 8x8 pixels.

It keeps the lowest frequencies only. It is linear and needs no training.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

_BLOCK = 8
_PATCH = 2  # 2x2 blocks make a token, as Qwen-Image packs its latents


class BlockDCT(nn.Module):
    """Convert pictures to packed latents and back.

    A token covers 16x16 pixels, which are four blocks. Of each block it has `luma` coefficients of Y and
    `chroma` of Cb and of Cr, lowest frequencies first. A coefficient of frequency (u, v) is multiplied by
    2 (1 + u + v)^0.75. In natural pictures high frequencies are weak. Without the factor they would drown in
    the diffusion's noise; with a larger one they would count as much as the colours.
    """

    basis: Tensor  # (64, 64), each row a basis block, lowest frequency first
    gain: Tensor  # (channels,)
    to_ycc: Tensor  # (3, 3), RGB to Y, Cb, Cr

    def __init__(self, luma: int = 52, chroma: int = 15) -> None:
        super().__init__()
        self.luma, self.chroma = luma, chroma
        self.channels = luma + 2 * chroma  # per block
        self.token_channels = self.channels * _PATCH**2
        n = torch.arange(_BLOCK, dtype=torch.float64)
        dct = torch.cos(math.pi * (2 * n[None] + 1) * n[:, None] / (2 * _BLOCK)) * math.sqrt(2 / _BLOCK)
        dct[0] /= math.sqrt(2)
        order = sorted(
            ((u, v) for u in range(_BLOCK) for v in range(_BLOCK)), key=lambda f: (f[0] + f[1], f[0])
        )
        basis = torch.stack([torch.outer(dct[u], dct[v]).flatten() for u, v in order])
        gain = torch.tensor([2.0 * (1 + u + v) ** 0.75 for u, v in order])
        ycc = torch.tensor([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
        self.register_buffer("basis", basis.float(), persistent=False)
        self.register_buffer(
            "gain", torch.cat([gain[:luma], 2 * gain[:chroma], 2 * gain[:chroma]]), persistent=False
        )
        self.register_buffer("to_ycc", ycc, persistent=False)

    def encode(self, pixels: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1], H and W multiples of 16 -> (B, N, C)."""
        b, _, height, width = pixels.shape
        h, w = height // (_BLOCK * _PATCH), width // (_BLOCK * _PATCH)
        ycc = torch.einsum("kc,bchw->bkhw", self.to_ycc, pixels - 0.5)
        blocks = ycc.reshape(b, 3, h, _PATCH, _BLOCK, w, _PATCH, _BLOCK).permute(0, 2, 5, 3, 6, 1, 4, 7)
        coefficients = blocks.reshape(b, h * w, _PATCH**2, 3, _BLOCK**2) @ self.basis.T
        y, cb, cr = coefficients.unbind(-2)
        lowest = torch.cat([y[..., : self.luma], cb[..., : self.chroma], cr[..., : self.chroma]], -1)
        return (lowest * self.gain).flatten(2)

    def decode(self, latents: Tensor, grid: tuple[int, int]) -> Tensor:
        """(B, N, C) on an (h, w) token grid -> (B, 3, H, W), about [0, 1], not clamped."""
        b, (h, w) = latents.shape[0], grid
        coefficients = latents.reshape(b, h * w, _PATCH**2, self.channels) / self.gain
        y, cb, cr = torch.split(coefficients, [self.luma, self.chroma, self.chroma], -1)
        planes = [plane @ self.basis[: plane.shape[-1]] for plane in (y, cb, cr)]
        blocks = torch.stack(planes, -2).reshape(b, h, w, _PATCH, _PATCH, 3, _BLOCK, _BLOCK)
        ycc = blocks.permute(0, 5, 1, 3, 6, 2, 4, 7).reshape(b, 3, h * _PATCH * _BLOCK, w * _PATCH * _BLOCK)
        return torch.einsum("kc,bchw->bkhw", torch.linalg.inv(self.to_ycc), ycc) + 0.5
