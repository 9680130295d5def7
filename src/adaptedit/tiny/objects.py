"""`tiny` draws an object in its own frame: where it lies, how large it is, and a code of what it looks like.

A token says of the object that shall lie there only what is smooth: its centre, its size, a code. Letters,
stripes, a texture, a sprite's outline stand in a dictionary, which the decoder learns, in the object's frame;
so they are drawn as sharply at one place as at another (our choice).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FRAME = 3  # what is said of a frame: its centre's offset from the cell, x and y, and its size
_OFFSET = 0.25  # unit of an offset, in sides of the picture
_SIZE = 44 / 128  # unit of a size, in sides of the picture; what is said is its logarithm
_MOST, _FEWEST = 9, 3  # objects of one edit; cells that make one
_AGREE = 0.07  # cells whose centres lie closer, in sides of the picture, speak of one object
_REACH = 0.7  # how far from its centre an object is drawn, in its sizes


@dataclass(frozen=True)
class Objects:
    """N objects of a batch of pictures. image (N,) int64, which picture; frame (N, 3), centre x and y and
    longest side, in sides of the picture; code (N, C)."""

    image: Tensor
    frame: Tensor
    code: Tensor

    def joined(self, others: Objects) -> Objects:
        """Those of both, of the same pictures."""
        both = zip(
            (self.image, self.frame, self.code), (others.image, others.frame, others.code), strict=True
        )
        return Objects(*(torch.cat(pair) for pair in both))


@dataclass(frozen=True)
class Votes:
    """What each of S x S cells says of the object that an edit puts or changes there: there (B, S, S), logits
    that there is one; frame (B, S, S, 3) as in `Objects`; code (B, S, S, C)."""

    there: Tensor
    frame: Tensor
    code: Tensor

    @classmethod
    def of(cls, said: Tensor) -> Votes:
        """said (B, 1 + 3 + C, S, S), as a network says it."""
        there, frame, code = torch.split(said, [1, FRAME, said.shape[1] - 1 - FRAME], 1)
        return cls(there[:, 0], frames_said(frame), code.movedim(1, -1))

    def counted(self) -> Objects:
        """The objects that enough cells agree on, the best supported first; their frame and code are the
        cells' mean."""
        return self._grouped(_agreed(self.there, self.frame))

    def given(self, frame: Tensor) -> Objects:
        """The objects at known frames (B, S, S, 3), NaN where there is none; their codes are the cells'
        mean."""
        known = frame[..., 0].isfinite()
        image = known.nonzero()[:, :1]
        named = torch.cat([image.to(frame.dtype), frame[known]], 1)
        rows, which = torch.unique(named, dim=0, return_inverse=True)
        return Objects(rows[:, 0].long(), rows[:, 1:], _mean(self.code[known], which, len(rows)))

    def _grouped(self, groups: Tensor) -> Objects:
        """groups (B, S, S): number of a cell's object in its picture, -1 for none."""
        chosen = groups >= 0
        image = chosen.nonzero()[:, 0]
        rows, which = torch.unique(image * _MOST + groups[chosen], return_inverse=True)
        frame, code = (_mean(values[chosen], which, len(rows)) for values in (self.frame, self.code))
        return Objects(rows // _MOST, frame, code)


def _mean(values: Tensor, groups: Tensor, count: int) -> Tensor:
    """Rows (K, C), each of one of `count` groups (K,) -> (count, C)."""
    values = values.float()
    sums = values.new_zeros(count, values.shape[1]).index_add(0, groups, values)
    return sums / groups.bincount(minlength=count)[:, None]


@torch.no_grad()
def _agreed(there: Tensor, frame: Tensor) -> Tensor:
    """-> (B, S, S): the object that a cell speaks of, 0 to _MOST - 1, or -1."""
    left = there.flatten(1) > 0
    flat = frame.flatten(1, 2).float()
    away = torch.cdist(flat[..., :2], flat[..., :2])
    groups = torch.full(left.shape, -1, device=left.device)
    rows = torch.arange(len(left), device=left.device)
    for number in range(_MOST):
        agreeing = (away < _AGREE) & left[:, None]
        support, best = (agreeing.sum(-1) * left).max(-1)
        found = (support >= _FEWEST)[:, None]
        if not found.any():
            break
        groups[agreeing[rows, best] & found] = number
        left &= ~((away[rows, best] < flat[rows, best, 2:] / 2) & found) & found
    return groups.view_as(there)


def frames_said(said: Tensor) -> Tensor:
    """(B, 3, S, S) as a network says it -> (B, S, S, 3) as in `Objects`."""
    centre = _cells(said.shape[-1]).to(said.device) + _OFFSET * said[:, :2]
    return torch.cat([centre, _SIZE * said[:, 2:].exp()], 1).movedim(1, -1)


def frame_loss(said: Tensor, known: Tensor) -> Tensor:
    """Mean absolute error of (B, S, S, 3) frames, where they are not NaN; in units of 32 pixels of 128, and
    of e-fold sizes."""
    where = known[..., 0].isfinite()
    said, known = said[where], known[where]
    centre = (said[:, :2] - known[:, :2]) / _OFFSET
    size = (said[:, 2:] / known[:, 2:]).log()
    return torch.cat([centre, size], 1).abs().sum() / max(1, FRAME * len(known))


def _cells(side: int) -> Tensor:
    """Centres x, y of side x side cells in sides of the picture, (2, side, side)."""
    centres = (torch.arange(side) + 0.5) / side
    return torch.stack([centres.expand(side, side), centres[:, None].expand(side, side)])


@dataclass(frozen=True)
class ObjectConfig:
    """code: channels that the DiT says of an object. planes, frequencies: what the dictionary holds of one,
    in waves across it. hidden: width of the dictionary. mixed: of what makes colours of the planes."""

    code: int = 48
    planes: int = 8
    frequencies: int = 32
    hidden: int = 256
    mixed: int = 32


class ObjectDecoder(nn.Module):
    """Looks each object's code up, as planes of waves in its frame, and makes of them, of the source and of
    the sketch its colours and its coverage. Draws nothing until it is trained."""

    falling: Tensor  # (K, K)

    def __init__(self, config: ObjectConfig) -> None:
        super().__init__()
        self.config = config
        waves = config.planes * config.frequencies**2
        self.layers = nn.Sequential(
            nn.Linear(config.code, config.hidden), nn.GELU(),
            nn.Linear(config.hidden, config.hidden), nn.GELU(),
            nn.Linear(config.hidden, waves),
        )  # fmt: skip
        self.modulation = nn.Linear(config.code, 2 * config.mixed)
        self.mix = nn.Linear(config.planes + 3 + 3 + 1, config.mixed)
        self.last = nn.Linear(config.mixed, 4)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)
        order = torch.arange(config.frequencies)
        self.register_buffer("falling", 1 / (1 + order[:, None] + order), persistent=False)

    def forward(
        self, objects: Objects, source: Tensor, sketch: Tensor, matte: Tensor
    ) -> tuple[Tensor, Tensor]:
        """source, sketch (B, 3, H, W) about [0, 1], matte (B, 1, H, W) -> the sketch with
        the objects on it, and how much of it they cover, (B, 1, H, W)."""
        if not len(objects.image):
            return sketch, torch.zeros_like(matte)
        height, width = sketch.shape[-2:]
        across, inside_x = self._waves(objects.frame[:, 0], objects.frame[:, 2], width)
        down, inside_y = self._waves(objects.frame[:, 1], objects.frame[:, 2], height)
        k = self.config.frequencies
        coefficients = self.layers(objects.code).unflatten(1, (-1, k, k)) * self.falling
        planes = torch.einsum("nyk,npkl,nxl->npyx", down, coefficients, across)
        seen = torch.cat([source - 0.5, sketch - 0.5, matte], 1)[objects.image]
        scale, shift = self.modulation(objects.code)[..., None].chunk(2, 1)
        mixed = torch.baddbmm(
            self.mix.bias[:, None] + shift,
            self.mix.weight * (1 + scale),
            torch.cat([planes, seen.to(planes.dtype)], 1).flatten(2),
        )
        drawn = self.last.weight @ F.gelu(mixed) + self.last.bias[:, None]
        inside = inside_y[:, None, :, None] * inside_x[:, None, None, :]
        drawn = drawn.view(-1, 4, height, width).float() * inside
        layers = drawn.new_zeros(len(sketch), 4, height, width).index_add(0, objects.image, drawn)
        colour, covered = layers[:, :3], layers[:, 3:]
        return sketch + colour - (sketch - 0.5) * covered, covered

    def _waves(self, centre: Tensor, size: Tensor, pixels: int) -> tuple[Tensor, Tensor]:
        """Cosines (N, pixels, K) across N objects, and where they lie within reach, (N, pixels)."""
        places = (torch.arange(pixels, device=centre.device) + 0.5) / pixels
        along = (places - centre[:, None]) / size[:, None]
        order = torch.arange(self.config.frequencies, device=centre.device)
        waves = (math.pi * order * (along[..., None] + _REACH) / (2 * _REACH)).cos()
        return waves, (along.abs() < _REACH).float()
