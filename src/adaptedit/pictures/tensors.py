"""Between PIL pictures and the tensors that models take."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from adaptedit.errors import AdaptEditError


def to_tensor(rgb: Image.Image) -> Tensor:
    """PIL RGB -> float32 (1, 3, H, W) in [0, 1]."""
    assert rgb.mode == "RGB", rgb.mode
    pixels = torch.from_numpy(np.array(rgb)).permute(2, 0, 1)[None]
    return pixels.contiguous().float() / 255.0


def to_pil(pixels: Tensor) -> Image.Image:
    """Float (3, H, W) -> PIL RGB: clamped to [0, 1] and rounded to 8 bits. Raises AdaptEditError for NaN."""
    assert pixels.ndim == 3 and pixels.shape[0] == 3, tuple(pixels.shape)
    pixels = pixels.detach().float()
    if pixels.isnan().any():
        raise AdaptEditError("the edited picture has NaN values; try another seed or full precision")
    levels = (pixels.clamp(0.0, 1.0) * 255.0).round().to("cpu", torch.uint8)
    return Image.fromarray(levels.permute(1, 2, 0).contiguous().numpy())
