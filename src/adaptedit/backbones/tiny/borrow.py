"""Where something is taken away, the ground's detail is borrowed from elsewhere in the picture.

A token can say the colour of the ground behind an object, not its planks, tiles or grain. They go on beside
it: among all shifts of the picture there are some whose copies fit the surroundings of a hole, and inside,
coarsely, what was drawn there; each pixel takes the one that fits best around it (our choice; after
exemplar-based inpainting).
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import torch
import torch.nn.functional as F
from torch import Tensor

_TAKEN = 0.3  # of a pixel, from which on it is part of a hole
_EDGE, _RING = 2, 10  # pixels around a hole: drawn anew with it; compared
_LEAST = 100  # pixels of a hole that can show detail
_FARTHEST = 96  # pixels, of a shift
_SHIFTS, _APART = 8, 5  # shifts that a hole chooses among; pixels between them, odd
_SEEN, _COMPARED = 0.4, 0.4  # of a hole, that a shift must have something for; of hole and surroundings
_INSIDE = 0.25  # weight of the inside beside the surroundings
_WHOLE = 0.3  # weight of a shift's error everywhere beside that around a pixel
_EVEN = 3e-4  # difference of errors up to which copies are mixed: on soft ground they hide each other's seams
_FINE, _SEAM = 3.0, 1.0  # standard deviations of blurs, in pixels
_COARSE, _NEAR, _TONE = 4.0, 6.0, 12.0  # of wide ones
_ALIKE = 0.15  # differences that are of tone or of detail; larger ones are of other things
_COLOURS = 12  # of what was drawn in a hole; only what has one of them is ground
_FITS, _OWN = 0.003, 0.7  # mean square error up to which a copy is believed; of the ground's variance, more
_PASSES = 2  # the second borrows also from what the first has filled
_NONE = 1e-3  # weight that is as good as none


def borrow(source: Tensor, drawn: Tensor, matte: Tensor, covered: Tensor) -> Tensor:
    """source, drawn (B, 3, H, W) about [0, 1]; matte, covered (B, 1, H, W), how much of the source is taken
    away, and how much of that objects cover -> drawn, each of its holes filled with what the best shifts have
    there, in the tone of its surroundings. Where no shift fits, it stays as it is."""
    taken, free = (matte > _TAKEN).float(), (covered.abs() < 0.05).float()
    some = (taken * free).flatten(1).any(1)
    if not some.any():
        return drawn
    filled = drawn.clone()
    for i in some.nonzero()[:, 0].tolist():
        one = slice(i, i + 1)
        ground, holes = source[one].float(), _wider(taken[one], _EDGE)
        for _ in range(_PASSES):
            left = holes
            for hole in _parts(holes):
                inside = hole * free[one]
                if inside.sum() < _LEAST:
                    continue
                copy, share = _filling(ground, drawn[one].float(), hole, inside, 1 - holes)
                filled[one] = filled[one] + share * free[one] * (copy - filled[one])
                ground, left = ground + share * (copy - ground), left * (share < 0.5)
            holes = left
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
    (1, 1, H, W) -> the copy, and how much of a pixel it shall be."""
    known = known * _like(source, drawn, inside)
    ring = _wider(hole, _RING) * known
    shifts = _shifts(source, drawn, ring, inside, known)
    if not shifts:
        return drawn, torch.zeros_like(hole)
    moved = _moved(torch.cat([source, known], 1), shifts)
    copies, seen = moved[:, :-1], moved[:, -1:]
    off = source - copies
    alike = ring * seen * (off.abs().amax(1, keepdim=True) < _ALIKE)
    copies = copies + _mean(off, alike, _smooth, _TONE)
    outer = (source - copies).square().mean(1, keepdim=True).clamp(max=1.5 * _ALIKE**2)
    inner = (_smooth(drawn, _COARSE) - _smooth(copies, _COARSE)).square().mean(1, keepdim=True)
    weight = (ring + _INSIDE * inside) * seen
    error = (ring * outer + _INSIDE * inside * inner) * seen
    whole = error.sum((1, 2, 3), keepdim=True) / weight.sum((1, 2, 3), keepdim=True).clamp(min=1)
    around = _smooth(error, _NEAR) / (_smooth(weight, _NEAR) + _NONE)
    cost = around + _WHOLE * whole + (1 - seen)
    copy = (copies * (-cost / _EVEN).softmax(0)).sum(0, keepdim=True)
    detail = (source - _mean(source, ring, _blur, _FINE)).square().mean(1, keepdim=True)
    good = cost.amin(0, keepdim=True) < _FITS + _OWN * _mean(detail, ring, _smooth, _TONE)
    return copy, _blur(hole * good, _SEAM)


def _like(source: Tensor, drawn: Tensor, inside: Tensor) -> Tensor:
    """(1, 1, H, W): the pixels of the source that have a colour of what was drawn inside."""
    colours = _smooth(drawn, _COARSE)[0, :, inside[0, 0] > 0]
    colours = colours[:, :: max(1, colours.shape[1] // _COLOURS)]
    pixels = _blur(source, 1.5)[0].flatten(1)
    away = torch.cdist(pixels.T, colours.T, p=torch.inf)
    return (away < _ALIKE).any(1).to(inside).view_as(inside)


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
        """Products conj(a) b -> at each shift d the sum over x and channels of a(x) b(x + d)."""
        sums: Tensor = torch.fft.irfft2(spectra.sum(1), s=(size, size))[0]
        return sums

    usable = spectrum(known)
    squares = counted = overlap = torch.zeros((), device=source.device)
    for weight, here, there in (
        (ring, source, source),
        (_INSIDE * inside, _smooth(drawn, _COARSE), _smooth(source, _COARSE)),
    ):
        weights = spectrum(weight).conj()
        own = spectrum((weight * here.square()).sum(1, True)).conj() * usable
        theirs = weights * spectrum((known * there.square()).sum(1, True))
        both = (spectrum(weight * here).conj() * spectrum(known * there)).sum(1, True)
        overlap = weights * usable
        squares, counted = squares + own + theirs - 2 * both, counted + overlap
    count, full = summed(counted), ring.sum() + _INSIDE * inside.sum()
    possible = (summed(overlap) > _SEEN * _INSIDE * inside.sum()) & (count > _COMPARED * full)
    error = summed(squares) / (source.shape[1] * count.clamp(min=1))
    error = torch.where(possible, error, torch.inf)
    error[_FARTHEST : size - _FARTHEST] = torch.inf  # these would wrap around
    error[:, _FARTHEST : size - _FARTHEST] = torch.inf
    lowest = -F.max_pool2d(-error[None, None], _APART, 1, _APART // 2)[0, 0]
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
    rows = F.max_pool2d(mask, (2 * pixels + 1, 1), 1, (pixels, 0))
    return F.max_pool2d(rows, (1, 2 * pixels + 1), 1, (0, pixels))


def _mean(x: Tensor, weight: Tensor, blur: Callable[[Tensor, float], Tensor], deviation: float) -> Tensor:
    """The weighted mean around each pixel, falling to 0 where nothing weighs."""
    return blur(x * weight, deviation) / (blur(weight, deviation) + _NONE)


def _smooth(x: Tensor, deviation: float) -> Tensor:
    """A wide Gaussian, at a quarter of the resolution."""
    return F.interpolate(_blur(F.avg_pool2d(x, 4), deviation / 4), scale_factor=4, mode="bilinear")


def _blur(x: Tensor, deviation: float) -> Tensor:
    """Gaussian, with the edge's values beyond the edge."""
    reach = int(3 * deviation)
    steps = torch.arange(-reach, reach + 1, device=x.device)
    kernel = torch.exp(-steps.square() / (2 * deviation**2)).to(x.dtype)
    kernel = (kernel / kernel.sum()).expand(x.shape[1], 1, 1, -1)
    padded = F.pad(x, (reach, reach, reach, reach), mode="replicate")
    return F.conv2d(F.conv2d(padded, kernel, groups=len(kernel)), kernel.mT, groups=len(kernel))
