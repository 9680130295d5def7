"""Where something is taken away, the ground's detail is borrowed from elsewhere in the picture.

A token can say the colour of the ground behind an object, not its planks, tiles or grain. They go on beside
it: among all shifts of the picture there are some whose copies fit the surroundings of a hole, and inside,
coarsely, what was drawn there; each pixel takes those that fit best around it, and their differences from
pixel to pixel are joined to what lies around the hole (our choice; after exemplar-based inpainting).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from adaptedit.tiny.inpaint.poisson import joined

_TAKEN = 0.3  # of a pixel, from which on it is part of a hole
_EDGE, _RING = 2, 10  # pixels around a hole: drawn anew with it; compared
_LEAST, _MOST = 100, 0.5  # pixels of a hole that can show detail; of a picture, that are no other background
_FARTHEST = 96  # pixels, of a shift
_SHIFTS, _APART = 8, 5  # shifts that a hole chooses among; pixels between them, odd
_SEEN, _COMPARED = 0.4, 0.4  # of a hole, that a shift must have something for; of hole and surroundings
_INSIDE = 0.25  # weight of the inside beside the surroundings
_WHOLE = 0.3  # weight of a shift's error everywhere beside that around a pixel
_EVEN = 1e-3  # difference of errors up to which copies are mixed
_FINE, _DRAWN, _KEEN = 3.0, 1.0, 0.7  # standard deviations of blurs, in pixels
_COARSE, _NEAR, _TONE = 4.0, 6.0, 12.0  # of wide ones
_ALIKE = 0.15  # differences that are of tone or of detail; larger ones are of other things
_COLOURS = 12  # of what was drawn in a hole; only what has one of them is ground
_THIN, _SPREAD = 2, 4  # pixels: up to twice the first, what has none is detail; else so is all near it
_SAME = 0.1  # differences of source and drawing, up to which another thing was left as it was
_FITS, _OWN = 0.002, 0.7  # mean square error up to which a copy is believed; of the ground's variance, more
_CELL = 4  # pixels, of what wide blurs work on
_NONE = 1e-3  # weight that is as good as none


def borrow(source: Tensor, drawn: Tensor, matte: Tensor, covered: Tensor) -> Tensor:
    """source, drawn (B, 3, H, W) about [0, 1]; matte, covered (B, 1, H, W), how much of the source is taken
    away, and how much of that objects cover -> drawn, each of its holes filled with the differences that the
    best shifts have there, joined to its surroundings. Where no shift fits, those of the softened drawing."""
    taken, bare = (matte > _TAKEN).float(), (covered.abs() < 0.05).float()
    filled = drawn.clone()
    for i in (taken * bare).flatten(1).any(1).nonzero()[:, 0].tolist():
        one = slice(i, i + 1)
        holes = _wider(taken[one], _EDGE)
        for hole in _parts(holes):
            inside = hole * bare[one]
            if inside.sum() >= _LEAST and hole.mean() <= _MOST:
                fill, share = _filling(source[one].float(), drawn[one].float(), hole, inside, 1 - holes)
                filled[one] = filled[one] + share * bare[one] * (fill - filled[one])
    return filled


def _parts(holes: Tensor) -> list[Tensor]:
    """(1, 1, H, W) of 0 and 1 -> its connected parts."""
    count, numbers = cv2.connectedComponents(holes[0, 0].byte().cpu().numpy(), connectivity=4)
    return [(torch.from_numpy(numbers) == number).to(holes)[None, None] for number in range(1, count)]


@torch.no_grad()
def _filling(
    source: Tensor, drawn: Tensor, hole: Tensor, inside: Tensor, known: Tensor
) -> tuple[Tensor, Tensor]:
    """One picture (1, 3, H, W) and one hole; inside: where nothing covers it; known: where no hole is, each
    (1, 1, H, W) -> the filling, and how much of a pixel it shall be."""
    other = _other(source, drawn, inside)
    known = known * (1 - other)
    ring = _wider(hole, _RING) * known
    shifts = _shifts(source, drawn, ring, inside, known)
    if not shifts:
        return drawn, torch.zeros_like(hole)
    moved = _moved(torch.cat([source, known], 1), shifts)
    rows, columns = _extent(hole + ring)

    def near(x: Tensor) -> Tensor:
        return x[..., rows, columns]

    fill, share = torch.zeros_like(source), torch.zeros_like(hole)
    fill[..., rows, columns], share[..., rows, columns] = _of_copies(
        near(moved), near(source), near(drawn), near(hole), near(inside), near(ring), near(other)
    )
    return fill, share


def _of_copies(
    moved: Tensor, source: Tensor, drawn: Tensor, hole: Tensor, inside: Tensor, ring: Tensor, other: Tensor
) -> tuple[Tensor, Tensor]:
    """The same of a hole's extent; moved (K, 4, H, W): the source a shift away, and where that is ground."""
    copies, seen = moved[:, :-1], moved[:, -1:]
    off = source - copies
    alike = ring * seen * (off.abs().amax(1, keepdim=True) < _ALIKE)
    copies = copies + _mean(off, alike, _smooth, _TONE)
    cost = _cost(source, drawn, ring, inside, copies, seen)
    detail = (source - _mean(source, ring, _blur, _FINE)).square().mean(1, keepdim=True)
    good = cost.amin(0, keepdim=True) < _FITS + _OWN * _mean(detail, ring, _smooth, _TONE)
    share = (-cost / _EVEN).softmax(0)
    soft = _blur(drawn, _DRAWN)
    start = torch.where(good, (share * copies).sum(0, keepdim=True), soft)
    free = hole * _wider(inside, _EDGE) * (1 - _kept(source, drawn, other))
    down, across = (_differences(copies, share * seen * good, soft, dim) for dim in (2, 3))
    return joined(torch.where(free > 0, start, source), free, ring, down, across), _blur(free, 0.5)


def _extent(mask: Tensor) -> tuple[slice, slice]:
    """Rows and columns that have all of a mask (1, 1, H, W), from and to multiples of `_CELL`."""
    places = mask[0, 0].nonzero()
    low, high = places.amin(0) // _CELL * _CELL, places.amax(0) // _CELL * _CELL + _CELL
    return slice(int(low[0]), int(high[0])), slice(int(low[1]), int(high[1]))


def _cost(
    source: Tensor, drawn: Tensor, ring: Tensor, inside: Tensor, copies: Tensor, seen: Tensor
) -> Tensor:
    """(K, 1, H, W): mean square error of each of K copies around each pixel; more where it has nothing."""
    outer = (source - copies).square().mean(1, keepdim=True).clamp(max=1.5 * _ALIKE**2)
    inner = (_smooth(drawn, _COARSE) - _smooth(copies, _COARSE)).square().mean(1, keepdim=True)
    weight = (ring + _INSIDE * inside) * seen
    error = (ring * outer + _INSIDE * inside * inner) * seen
    whole = error.sum((1, 2, 3), keepdim=True) / weight.sum((1, 2, 3), keepdim=True).clamp(min=1)
    around = _smooth(error, _NEAR) / (_smooth(weight, _NEAR) + _NONE)
    return around + _WHOLE * whole + (1 - seen)


def _differences(copies: Tensor, share: Tensor, otherwise: Tensor, dim: int) -> Tensor:
    """What the next pixel is more than this, by the mean of copies that have both; else by `otherwise`."""
    count = copies.shape[dim] - 1
    one, following = share.narrow(dim, 0, count), share.narrow(dim, 1, count)
    both = (one + following) * (one > 0) * (following > 0)
    total = both.sum(0, keepdim=True)
    mean = (torch.diff(copies, dim=dim) * both).sum(0, keepdim=True) / total.clamp(min=_NONE)
    return torch.where(total > _NONE, mean, torch.diff(otherwise, dim=dim))


def _other(source: Tensor, drawn: Tensor, inside: Tensor) -> Tensor:
    """(1, 1, H, W): where the source has other things than ground, by their colour. What is thin, as joints
    and grain are, is ground all the same."""
    colours = _smooth(drawn, _COARSE)[0, :, inside[0, 0] > 0]
    colours = colours[:, :: max(1, colours.shape[1] // _COLOURS)]
    pixels = _blur(source, _KEEN)[0]
    away = (pixels - colours.T[..., None, None]).abs().amax(1, keepdim=True)
    unlike = (away >= _ALIKE).all(0, keepdim=True).to(inside)
    other = _narrower(unlike, _THIN)
    for _ in range(_SPREAD):
        other = _wider(other, 1) * unlike
    return _wider(other, 1)


def _kept(source: Tensor, drawn: Tensor, other: Tensor) -> Tensor:
    """(1, 1, H, W): where the drawing leaves another thing as it was."""
    same = (drawn - source).abs().amax(1, keepdim=True) < _SAME
    return _wider(_narrower(other * same, _THIN), _THIN)


def _shifts(
    source: Tensor, drawn: Tensor, ring: Tensor, inside: Tensor, known: Tensor
) -> list[tuple[int, int]]:
    """The best shifts of a picture (1, 3, H, W), in rows and columns, at most _SHIFTS, from the mean square
    error of all: in the ring, and of what was drawn inside, coarsely."""
    size = source.shape[-1] + _FARTHEST

    def spectrum(x: Tensor) -> Tensor:
        transformed: Tensor = torch.fft.rfft2(x, s=(size, size))
        return transformed

    def summed(spectra: Tensor) -> Tensor:
        """Products conj(a) b, (K, C, ...) -> at each shift d the sums over x and C of a(x) b(x + d)."""
        sums: Tensor = torch.fft.irfft2(spectra.sum(1), s=(size, size))
        return sums

    weight = torch.cat([ring, _INSIDE * inside])
    here = torch.cat([source, _smooth(drawn, _COARSE)])
    there = torch.cat([source, _smooth(source, _COARSE)])
    of_hole = [weight, (weight * here.square()).sum(1, True), weight * here]
    of_known = [known.expand_as(weight), (known * there.square()).sum(1, True), known * there]
    weights, own, colours = torch.split(spectrum(torch.cat(of_hole, 1)).conj(), [1, 1, 3], 1)
    usable, theirs, others = torch.split(spectrum(torch.cat(of_known, 1)), [1, 1, 3], 1)
    overlap = weights * usable
    squares = own * usable + weights * theirs - 2 * (colours * others).sum(1, True)
    seen, count, error = summed(torch.cat([overlap[1:], overlap.sum(0, True), squares.sum(0, True)]))
    full = ring.sum() + _INSIDE * inside.sum()
    possible = (seen > _SEEN * _INSIDE * inside.sum()) & (count > _COMPARED * full)
    error = error / (source.shape[1] * count.clamp(min=1))
    error = torch.where(possible, error, torch.inf)
    error[_FARTHEST : size - _FARTHEST] = torch.inf  # these would wrap around
    error[:, _FARTHEST : size - _FARTHEST] = torch.inf
    lowest = -_wider(-error[None, None], _APART // 2)[0, 0]
    least, where = torch.where(error == lowest, error, torch.inf).flatten().topk(_SHIFTS, largest=False)
    found = where[least.isfinite()].tolist()
    return [(_signed(place // size, size), _signed(place % size, size)) for place in found]


def _signed(shift: int, size: int) -> int:
    return shift - size if shift > size // 2 else shift


def _moved(picture: Tensor, shifts: list[tuple[int, int]]) -> Tensor:
    """(1, C, H, W) -> (len(shifts), C, H, W): at a place what lies a shift away, 0 beyond the edge."""
    height, width = picture.shape[-2:]
    wide = F.pad(picture[0], [_FARTHEST] * 4)
    return torch.stack([wide[:, _FARTHEST + y :, _FARTHEST + x :][:, :height, :width] for y, x in shifts])


def _wider(mask: Tensor, pixels: int) -> Tensor:
    side = 2 * pixels + 1
    wide = cv2.dilate(mask[0, 0].cpu().numpy(), np.ones((side, side), np.uint8))
    return torch.from_numpy(wide).to(mask)[None, None]


def _narrower(mask: Tensor, pixels: int) -> Tensor:
    return 1 - _wider(1 - mask, pixels)


def _mean(x: Tensor, weight: Tensor, blur: Callable[[Tensor, float], Tensor], deviation: float) -> Tensor:
    """The weighted mean around each pixel, falling to 0 where nothing weighs."""
    return blur(x * weight, deviation) / (blur(weight, deviation) + _NONE)


def _smooth(x: Tensor, deviation: float) -> Tensor:
    """A wide Gaussian, at a part of the resolution."""
    rows, columns = (_smoothing(size, deviation).to(x) for size in x.shape[-2:])
    return rows.T @ x @ columns


def _blur(x: Tensor, deviation: float) -> Tensor:
    """Gaussian, with the edge's values beyond the edge."""
    rows, columns = (_gaussian(size, deviation).to(x) for size in x.shape[-2:])
    return rows.T @ x @ columns


@lru_cache(maxsize=256)
def _smoothing(size: int, deviation: float) -> Tensor:
    """(size, size): of each pixel of a line, what all get."""
    with torch.autocast("cpu", enabled=False):
        cells = F.avg_pool1d(torch.eye(size)[None], _CELL) @ _gaussian(size // _CELL, deviation / _CELL)
    return F.interpolate(cells, scale_factor=_CELL, mode="linear")[0]


@lru_cache(maxsize=256)
def _gaussian(size: int, deviation: float) -> Tensor:
    """The same of `_blur`."""
    steps = torch.arange(-int(3 * deviation), int(3 * deviation) + 1)
    kernel = torch.exp(-steps.square() / (2 * deviation**2))
    places = (torch.arange(size)[:, None] + steps).clamp(0, size - 1)
    taken = torch.zeros(size, size).scatter_add(1, places, (kernel / kernel.sum()).expand(size, -1))
    return taken.T
