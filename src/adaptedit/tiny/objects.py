"""Objects that an edit adds or changes: how the DiT describes them, and the decoder that draws them.

The DiT describes an object by its frame (centre and size) and a code (what it looks like). These are smooth,
so a token can give them exactly. Sharp things (letters, stripes, a texture, an outline) are learnt by the
decoder, which draws them relative to the frame. So an object is equally sharp at every place.

This is `tiny`'s own way, not the paper's (LOG.md: "Objects in their own frames").
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Lengths are fractions of the picture's side, unless another unit is given.
FRAME_CHANNELS = 3  # the DiT's values for a frame: x and y from the cell's centre, and the size's logarithm
_OFFSET_UNIT = 0.25  # the distance for which the DiT's value is 1
_SIZE_UNIT = 44 / 128  # the size for which the DiT's value, a logarithm, is 0: a typical object
_MAX_OBJECTS = 9  # in one picture
_MIN_CELLS = 3  # fewer cells that agree are a stray vote, not an object
_MAX_CENTRE_DISTANCE = 0.07  # cells whose centres are closer than this mean the same object
_RADIUS = 0.7  # an object is drawn up to this distance from its centre in x and y, in units of its size


@dataclass(frozen=True)
class Objects:
    """N objects in a batch of pictures.

    image: (N,) int64, the index of the object's picture. code: (N, C).
    frame: (N, 3), centre x, centre y and longest side, as fractions of the picture's side.
    """

    image: Tensor
    frame: Tensor
    code: Tensor

    def merge(self, others: Objects) -> Objects:
        """These objects and the others, which are in the same batch of pictures."""
        both = zip(
            (self.image, self.frame, self.code), (others.image, others.frame, others.code), strict=True
        )
        return Objects(*(torch.cat(pair) for pair in both))


@dataclass(frozen=True)
class Votes:
    """The DiT's predictions of objects: each of S x S cells votes for the object that the edit adds or
    changes there.

    presence: (B, S, S), logits that there is an object. frame: (B, S, S, 3), as in `Objects`.
    code: (B, S, S, C).
    """

    presence: Tensor
    frame: Tensor
    code: Tensor

    @classmethod
    def from_channels(cls, channels: Tensor) -> Votes:
        """channels: (B, 1 + 3 + C, S, S), a network's output."""
        sizes = [1, FRAME_CHANNELS, channels.shape[1] - 1 - FRAME_CHANNELS]
        presence, frame, code = torch.split(channels, sizes, 1)
        return cls(presence[:, 0], decode_frames(frame), code.movedim(1, -1))

    def cluster(self) -> Objects:
        """The objects on which enough cells agree, in each picture those with most cells first.

        An object's frame and code are the means over its cells.
        """
        clusters = _cluster_cells(self.presence, self.frame)
        in_cluster = clusters >= 0
        image = in_cluster.nonzero()[:, 0]
        keys = image * _MAX_OBJECTS + clusters[in_cluster]
        keys, index = torch.unique(keys, return_inverse=True)
        frame, code = (_group_means(x[in_cluster], index, len(keys)) for x in (self.frame, self.code))
        return Objects(keys // _MAX_OBJECTS, frame, code)

    def at_frames(self, frame: Tensor) -> Objects:
        """The objects with these true frames: (B, S, S, 3), NaN in cells without an object.

        An object's code is the mean over its cells.
        """
        has_frame = frame[..., 0].isfinite()
        image = has_frame.nonzero()[:, :1]
        keys = torch.cat([image.to(frame.dtype), frame[has_frame]], 1)
        keys, index = torch.unique(keys, dim=0, return_inverse=True)
        return Objects(keys[:, 0].long(), keys[:, 1:], _group_means(self.code[has_frame], index, len(keys)))


def _group_means(values: Tensor, groups: Tensor, count: int) -> Tensor:
    """The mean of each group, (count, C).

    values: (K, C). groups: (K,), the group of each row, 0 to count - 1.
    """
    values = values.float()
    sums = values.new_zeros(count, values.shape[1]).index_add(0, groups, values)
    return sums / groups.bincount(minlength=count)[:, None]


@torch.no_grad()
def _cluster_cells(presence: Tensor, frame: Tensor) -> Tensor:
    """(B, S, S): the cluster of each cell, 0 to `_MAX_OBJECTS` - 1, or -1 for none.

    Repeatedly, the cell with whose centre most other cells agree makes a cluster of these. Cells that place
    their centre within half an object's size of it are used up too, so that they do not make a second one.
    """
    free = presence.flatten(1) > 0
    frames = frame.flatten(1, 2).float()
    distance = torch.cdist(frames[..., :2], frames[..., :2])
    clusters = torch.full(free.shape, -1, device=free.device)
    rows = torch.arange(len(free), device=free.device)
    for number in range(_MAX_OBJECTS):
        agrees = (distance < _MAX_CENTRE_DISTANCE) & free[:, None]
        count, best = (agrees.sum(-1) * free).max(-1)
        found = (count >= _MIN_CELLS)[:, None]
        if not found.any():
            break
        clusters[agrees[rows, best] & found] = number
        free &= ~((distance[rows, best] < frames[rows, best, 2:] / 2) & found) & found
    return clusters.view_as(presence)


def decode_frames(channels: Tensor) -> Tensor:
    """(B, 3, S, S), a network's output -> frames (B, S, S, 3) as in `Objects`."""
    centre = _cell_centres(channels.shape[-1]).to(channels.device) + _OFFSET_UNIT * channels[:, :2]
    return torch.cat([centre, _SIZE_UNIT * channels[:, 2:].exp()], 1).movedim(1, -1)


def frame_loss(predicted: Tensor, true: Tensor) -> Tensor:
    """Mean absolute error of frames (B, S, S, 3), over the cells where `true` is not NaN.

    Centres are compared in units of a quarter of the picture's side, sizes by their logarithms.
    """
    has_frame = true[..., 0].isfinite()
    predicted, true = predicted[has_frame], true[has_frame]
    centre = (predicted[:, :2] - true[:, :2]) / _OFFSET_UNIT
    size = (predicted[:, 2:] / true[:, 2:]).log()
    return torch.cat([centre, size], 1).abs().sum() / max(1, FRAME_CHANNELS * len(true))


def _cell_centres(side: int) -> Tensor:
    """(2, side, side): x and y of the centres of side x side cells, as fractions of the picture's side."""
    centres = (torch.arange(side) + 0.5) / side
    return torch.stack([centres.expand(side, side), centres[:, None].expand(side, side)])


@dataclass(frozen=True)
class ObjectConfig:
    """code: length of an object's code. planes: number of feature planes that a code gives.
    frequencies: cosines along x, and along y, of which a plane is made. hidden: width of the layers that
    turn a code into planes. mixed: width of the layer that turns planes into colours.
    """

    code: int = 48
    planes: int = 8
    frequencies: int = 32
    hidden: int = 256
    mixed: int = 32


class ObjectDecoder(nn.Module):
    """Draw objects onto a sketch.

    A code becomes coefficients of cosines, a sum of which is a feature plane in the object's frame. The
    planes, together with source and sketch, become colour and coverage of each pixel. Before training it
    draws nothing.
    """

    decay: Tensor  # (K, K), for K frequencies: high ones start small

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
        self.register_buffer("decay", 1 / (1 + order[:, None] + order), persistent=False)

    def forward(
        self, objects: Objects, source: Tensor, sketch: Tensor, matte: Tensor
    ) -> tuple[Tensor, Tensor]:
        """source, sketch: (B, 3, H, W), about [0, 1]. matte: (B, 1, H, W), 1 where the source is removed.

        Returns the sketch with the objects drawn onto it, (B, 3, H, W), and their coverage, (B, 1, H, W):
        0 where nothing is drawn, 1 where the sketch is hidden.
        """
        if not len(objects.image):
            return sketch, torch.zeros_like(matte)
        height, width = sketch.shape[-2:]
        waves_x, inside_x = self._waves(objects.frame[:, 0], objects.frame[:, 2], width)
        waves_y, inside_y = self._waves(objects.frame[:, 1], objects.frame[:, 2], height)
        k = self.config.frequencies
        coefficients = self.layers(objects.code).unflatten(1, (-1, k, k)) * self.decay
        planes = torch.einsum("nyk,npkl,nxl->npyx", waves_y, coefficients, waves_x)
        context = torch.cat([source - 0.5, sketch - 0.5, matte], 1)[objects.image]
        scale, shift = self.modulation(objects.code)[..., None].chunk(2, 1)
        mixed = torch.baddbmm(
            self.mix.bias[:, None] + shift,
            self.mix.weight * (1 + scale),
            torch.cat([planes, context.to(planes.dtype)], 1).flatten(2),
        )
        drawn = self.last.weight @ F.gelu(mixed) + self.last.bias[:, None]
        inside = inside_y[:, None, :, None] * inside_x[:, None, None, :]
        drawn = drawn.view(-1, 4, height, width).float() * inside
        layers = drawn.new_zeros(len(sketch), 4, height, width).index_add(0, objects.image, drawn)
        colour, coverage = layers[:, :3], layers[:, 3:]
        return sketch + colour - (sketch - 0.5) * coverage, coverage

    def _waves(self, centre: Tensor, size: Tensor, pixels: int) -> tuple[Tensor, Tensor]:
        """Cosines along one axis of the picture, (N, pixels, K), and 1 where the object lies, (N, pixels).

        centre, size: (N,), those of N objects on this axis.
        """
        places = (torch.arange(pixels, device=centre.device) + 0.5) / pixels
        position = (places - centre[:, None]) / size[:, None]
        order = torch.arange(self.config.frequencies, device=centre.device)
        waves = (math.pi * order * (position[..., None] + _RADIUS) / (2 * _RADIUS)).cos()
        return waves, (position.abs() < _RADIUS).float()
