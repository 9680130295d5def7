"""How pictures are brought to a size: PIL doing what torchvision's transforms do on PIL pictures."""

from __future__ import annotations

import torch
from PIL import Image
from torch import Tensor

from adaptedit.pictures.tensors import to_tensor
from adaptedit.region import Size

Triple = tuple[float, float, float]

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def fitted(image: Image.Image, size: Size) -> Image.Image:
    """Resized to (W, H), bicubic, as MagicBrush's script does to a result of another size than its target."""
    return image.resize(size)


def shorter_side(image: Image.Image, size: int) -> Image.Image:
    """torchvision's Resize(size): the shorter side becomes `size`, the longer is rounded down; bicubic."""
    width, height = image.size
    if min(width, height) == size:
        return image
    scaled = int(size * max(width, height) / min(width, height))
    return image.resize((size, scaled) if width <= height else (scaled, size), Image.Resampling.BICUBIC)


def centre_crop(image: Image.Image, size: int) -> Image.Image:
    """torchvision's CenterCrop(size) of a picture that is at least that large."""
    left, top = round((image.width - size) / 2), round((image.height - size) / 2)
    return image.crop((left, top, left + size, top + size))


def normalised(image: Image.Image, mean: Triple, std: Triple) -> Tensor:
    """PIL RGB -> float32 (1, 3, H, W)."""
    return (to_tensor(image) - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
