"""Where something is taken away, the ground's detail is borrowed from elsewhere in the picture.

A token can say the colour of the ground behind an object, not its planks, tiles or grain. They go on beside
it: among all shifts of the picture there is one whose copy fits the surroundings of the hole, and inside,
coarsely, what was drawn there (our choice; after exemplar-based inpainting).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_TAKEN = 0.3  # of a pixel, from which on it is part of the hole
_EDGE, _RING = 2, 10  # pixels around the hole: drawn anew with it; compared
_FARTHEST = 64  # pixels, of a shift
_INSIDE = 2.0  # weight of the inside beside the surroundings
_COARSE, _TONE, _SEAM = 3.0, 8.0, 1.2  # standard deviations of blurs, in pixels
_FITS = 0.004  # mean square error up to which a shift is believed
_ALIKE = 0.15  # differences from the surroundings that are of tone; larger ones are of other things


def borrow(source: Tensor, drawn: Tensor, matte: Tensor, covered: Tensor) -> Tensor:
    """source, drawn (B, 3, H, W) about [0, 1]; matte, covered (B, 1, H, W), how much of the source is taken
    away, and how much of that objects cover -> drawn, its holes filled with what the best shift has there, in
    the tone of their surroundings. A picture without a hole, or without a shift that fits, stays as it is."""
    hole = (matte > _TAKEN).float()
    fills = hole.flatten(1).sum(1) > 0
    if not fills.any():
        return drawn
    wide = F.max_pool2d(hole, 2 * _EDGE + 1, 1, _EDGE)
    ring = F.max_pool2d(hole, 2 * _RING + 1, 1, _RING) - wide
    free = (covered.abs() < 0.05).float()
    rows, columns, error = _shifts(source.float(), drawn.float(), ring, wide, free)
    fills &= error < _FITS
    filled = drawn.clone()
    for i in fills.nonzero()[:, 0].tolist():
        one = slice(i, i + 1)
        shifted = source[one].roll((-int(rows[i]), -int(columns[i])), (2, 3))
        off = source[one] - shifted
        alike = ring[one] * (off.abs().amax(1, keepdim=True) < _ALIKE)
        tone = _blur(off * alike, _TONE) / (_blur(alike, _TONE) + 1e-4)
        share = _blur(wide[one], _SEAM) * free[one]
        filled[one] = drawn[one] + share * (shifted + tone - drawn[one])
    return filled


@torch.no_grad()
def _shifts(
    source: Tensor, drawn: Tensor, ring: Tensor, wide: Tensor, free: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The best shift of each picture, in rows and columns (B,) int64, and its mean square error (B,),
    infinite where none covers the hole."""
    known = 1 - wide
    size = source.shape[-1] + _FARTHEST

    def spectrum(x: Tensor) -> Tensor:
        transformed: Tensor = torch.fft.rfft2(x, s=(size, size))
        return transformed

    def summed(spectra: Tensor) -> Tensor:
        """Products conj(a) b -> at each shift d the sum over x and channels of a(x) b(x + d)."""
        sums: Tensor = torch.fft.irfft2(spectra.sum(1), s=(size, size))
        return sums

    usable = spectrum(known)
    filled = wide * free
    squares = counted = overlap = torch.zeros((), device=source.device)
    for weight, here, there, factor in (
        (ring, source, source, 1.0),
        (filled, _blur(drawn, _COARSE), _blur(source, _COARSE), _INSIDE),
    ):
        weights = spectrum(weight).conj()
        own = spectrum((weight * here.square()).sum(1, True)).conj() * usable
        theirs = weights * spectrum((known * there.square()).sum(1, True))
        both = (spectrum(weight * here).conj() * spectrum(known * there)).sum(1, True)
        overlap = weights * usable
        squares = squares + factor * (own + theirs - 2 * both)
        counted = counted + factor * overlap
    count, full = summed(counted), (ring + _INSIDE * filled).sum((1, 2, 3))[:, None, None]
    possible = (summed(overlap) > filled.sum((1, 2, 3))[:, None, None] - 0.5) & (count > 0.8 * full)
    error = torch.where(possible, summed(squares) / (source.shape[1] * count.clamp(min=1)), torch.inf)
    error[:, _FARTHEST : size - _FARTHEST] = torch.inf  # these would wrap around
    error[:, :, _FARTHEST : size - _FARTHEST] = torch.inf
    least, where = error.flatten(1).min(1)
    rows, columns = where // size, where % size
    return _signed(rows, size), _signed(columns, size), least


def _signed(shift: Tensor, size: int) -> Tensor:
    return torch.where(shift > size // 2, shift - size, shift)


def _blur(x: Tensor, deviation: float) -> Tensor:
    """Gaussian, with the edge's values beyond the edge."""
    reach = int(3 * deviation)
    steps = torch.arange(-reach, reach + 1, device=x.device)
    kernel = torch.exp(-steps.square() / (2 * deviation**2)).to(x.dtype)
    kernel = (kernel / kernel.sum()).expand(x.shape[1], 1, 1, -1)
    padded = F.pad(x, (reach, reach, reach, reach), mode="replicate")
    return F.conv2d(F.conv2d(padded, kernel, groups=len(kernel)), kernel.mT, groups=len(kernel))
