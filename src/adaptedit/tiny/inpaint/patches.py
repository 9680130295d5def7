"""Fill the hole that a removed object leaves with patches from elsewhere in the same picture.

The DiT's tokens can say which colour the ground behind an object has. They cannot describe planks, tiles or
grain. But the same detail is often visible next to the hole. So, for each hole:

1. Find a few shifts (rows, columns). A shift is good if the picture, moved by it, matches the surroundings of
   the hole, and inside the hole roughly matches what the decoder drew there.
2. At each pixel of the hole, take the shifts that match best around that pixel.
3. Paste their gradients, not their values, so that no seam shows (see poisson.py).

This is exemplar-based inpainting. Nothing is trained. LOG.md has the measurements, under "Ground from several
places" and "Ground joined by its differences".

In all functions here colours are about [0, 1] and masks are 0 or 1. `source` is the picture before the edit
and `drawn` is what the decoder drew, both (1, 3, H, W) unless another shape is given. `patches` (K, 3, H, W)
are K copies of the source, each moved by one shift. `valid` (K, 1, H, W) is 1 where such a copy shows ground.
"""

from __future__ import annotations

import cv2
import torch
import torch.nn.functional as F
from torch import Tensor

from adaptedit.tiny.inpaint.neighbours import (
    CELL,
    TINY_WEIGHT,
    blur,
    dilate,
    erode,
    weighted_mean,
    wide_blur,
)
from adaptedit.tiny.inpaint.poisson import solve_screened_poisson

# -- holes ---------------------------------------------------------------------------------------------

# A pixel belongs to a hole if its matte is above this.
_MIN_MATTE = 0.3
# A pixel counts as covered by a new object if its coverage, positive or negative, is at least this.
_MIN_COVERAGE = 0.05
# Pixels by which a hole is widened, because the old object's edge is soft.
_HOLE_MARGIN = 2
# Pixels. Width of the band around a hole in which patches are compared with the source.
_SURROUNDINGS_WIDTH = 10
# Pixels. A smaller hole cannot show detail.
_MIN_HOLE_PIXELS = 100
# Share of the picture. A larger hole is a new background, not a removed object.
_MAX_HOLE_SHARE = 0.5

# -- shifts --------------------------------------------------------------------------------------------

# Pixels, in rows and in columns.
_MAX_SHIFT = 96
# At most so many shifts for one hole.
_MAX_CANDIDATES = 8
# Pixels, odd. A candidate is the best shift in a square with this side, so candidates are not all alike.
_CANDIDATE_WINDOW = 5
# Share of the hole for which a shift must have ground.
_MIN_HOLE_OVERLAP = 0.4
# The same for hole and surroundings together, by their weights.
_MIN_TOTAL_OVERLAP = 0.4
# Weight of the error inside the hole; the error in the surroundings has weight 1. Inside, we only know what
# was drawn, which has no detail.
_INSIDE_WEIGHT = 0.25
# Weight of a shift's mean error over the whole hole; its error near the pixel has weight 1.
_MEAN_ERROR_WEIGHT = 0.3
# Mean square error. Patches whose errors differ by less than this are mixed rather than one chosen.
_MIXING_TEMPERATURE = 1e-3
# Mean square error up to which a patch is always accepted.
_MAX_ERROR = 0.002
# Share of the ground's own variance that is accepted in addition: rough ground never matches exactly.
_MAX_ERROR_OF_VARIANCE = 0.7

# -- what is ground ------------------------------------------------------------------------------------

# Largest difference, in any colour channel, that tone or detail can explain. More means another object.
_MAX_GROUND_DIFFERENCE = 0.15
# About so many of the colours drawn in the hole stand for the ground.
_NUM_GROUND_COLOURS = 12
# Pixels. What is at most twice as thick (a joint, grain) is detail of the ground, not another object.
_DETAIL_RADIUS = 2
# Pixels. Within this distance of another object even thin things of other colours belong to it.
_OBJECT_GROWTH = 4
# Largest difference between source and drawing, in any colour channel, that counts as no change.
_MAX_UNCHANGED_DIFFERENCE = 0.1

# -- blurs: standard deviations in pixels --------------------------------------------------------------

_SOURCE_BLUR = 0.7  # before colours of single pixels are compared: removes noise
_DRAWN_BLUR = 1.0  # of the drawing, where no patch matches: softens outlines that were drawn by mistake
_DETAIL_BLUR = 3.0  # what this blur removes is the ground's detail
_COARSE_BLUR = 4.0  # of drawing and source, when they are compared inside the hole
_ERROR_BLUR = 6.0  # how far from a pixel errors still count for it
_TONE_BLUR = 12.0  # how far from a pixel its tone and its variance are measured


def fill_holes(source: Tensor, drawn: Tensor, matte: Tensor, coverage: Tensor) -> Tensor:
    """Return `drawn` with each hole filled from the source.

    source, drawn: (B, 3, H, W). matte: (B, 1, H, W), 1 where the source is removed, 0 where it stays.
    coverage: (B, 1, H, W), 1 where a new object covers the ground, 0 where the ground is bare.

    Pixels outside the holes and under new objects stay as they were drawn. Where no patch matches, the
    drawing is softened and its tone is matched to the surroundings.
    """
    removed, bare = (matte > _MIN_MATTE).float(), (coverage.abs() < _MIN_COVERAGE).float()
    filled = drawn.clone()
    for i in (removed * bare).flatten(1).any(1).nonzero()[:, 0].tolist():
        one = slice(i, i + 1)
        holes = dilate(removed[one], _HOLE_MARGIN)
        for hole in _split_components(holes):
            inside = hole * bare[one]
            if inside.sum() >= _MIN_HOLE_PIXELS and hole.mean() <= _MAX_HOLE_SHARE:
                fill, weight = _fill_hole(source[one].float(), drawn[one].float(), hole, inside, 1 - holes)
                filled[one] = filled[one] + weight * bare[one] * (fill - filled[one])
    return filled


def _split_components(mask: Tensor) -> list[Tensor]:
    """(1, 1, H, W) -> its connected parts, each a mask of the same shape."""
    count, labels = cv2.connectedComponents(mask[0, 0].byte().cpu().numpy(), connectivity=4)
    return [(torch.from_numpy(labels) == label).to(mask)[None, None] for label in range(1, count)]


@torch.no_grad()
def _fill_hole(
    source: Tensor, drawn: Tensor, hole: Tensor, inside: Tensor, outside: Tensor
) -> tuple[Tensor, Tensor]:
    """Fill one hole of one picture.

    Masks (1, 1, H, W): hole; inside, the part of it that no new object covers; outside, the pixels that are
    in no hole at all. Returns the filling (1, 3, H, W) and its weight (1, 1, H, W) in [0, 1].
    """
    objects = _find_other_objects(source, drawn, inside)
    ground = outside * (1 - objects)
    surroundings = dilate(hole, _SURROUNDINGS_WIDTH) * ground
    shifts = _find_shifts(source, drawn, surroundings, inside, ground)
    if not shifts:
        return drawn, torch.zeros_like(hole)
    shifted = _apply_shifts(torch.cat([source, ground], 1), shifts)
    rows, columns = _bounding_box(hole + surroundings)

    def crop(x: Tensor) -> Tensor:
        return x[..., rows, columns]

    patches, valid = crop(shifted[:, :-1]), crop(shifted[:, -1:])
    fill, weight = torch.zeros_like(source), torch.zeros_like(hole)
    fill[..., rows, columns], weight[..., rows, columns] = _blend_patches(
        patches, valid, *(crop(x) for x in (source, drawn, hole, inside, surroundings, objects))
    )
    return fill, weight


def _blend_patches(
    patches: Tensor,
    valid: Tensor,
    source: Tensor,
    drawn: Tensor,
    hole: Tensor,
    inside: Tensor,
    surroundings: Tensor,
    objects: Tensor,
) -> tuple[Tensor, Tensor]:
    """Choose among the patches at each pixel and paste their gradients. Returns as `_fill_hole` does."""
    difference = source - patches
    is_ground = difference.abs().amax(1, keepdim=True) < _MAX_GROUND_DIFFERENCE
    comparable = surroundings * valid * is_ground
    patches = patches + weighted_mean(difference, comparable, wide_blur, _TONE_BLUR)
    errors = _patch_errors(source, drawn, surroundings, inside, patches, valid)
    detail = source - weighted_mean(source, surroundings, blur, _DETAIL_BLUR)
    variance = detail.square().mean(1, keepdim=True)
    variance = weighted_mean(variance, surroundings, wide_blur, _TONE_BLUR)
    accepted = errors.amin(0, keepdim=True) < _MAX_ERROR + _MAX_ERROR_OF_VARIANCE * variance
    share = (-errors / _MIXING_TEMPERATURE).softmax(0)
    softened = blur(drawn, _DRAWN_BLUR)
    init = torch.where(accepted, (share * patches).sum(0, keepdim=True), softened)
    unknown = hole * dilate(inside, _HOLE_MARGIN) * (1 - _find_unchanged(source, drawn, objects))
    weights = share * valid * accepted
    grad_y, grad_x = (_mean_gradient(patches, weights, softened, dim) for dim in (2, 3))
    init = torch.where(unknown > 0, init, source)
    return solve_screened_poisson(init, unknown, surroundings, grad_y, grad_x), blur(unknown, 0.5)


def _bounding_box(mask: Tensor) -> tuple[slice, slice]:
    """The rows and columns that contain a mask (1, 1, H, W), rounded outwards to multiples of `CELL`."""
    places = mask[0, 0].nonzero()
    low, high = places.amin(0) // CELL * CELL, places.amax(0) // CELL * CELL + CELL
    return slice(int(low[0]), int(high[0])), slice(int(low[1]), int(high[1]))


def _patch_errors(
    source: Tensor, drawn: Tensor, surroundings: Tensor, inside: Tensor, patches: Tensor, valid: Tensor
) -> Tensor:
    """(K, 1, H, W): how badly each patch matches around each pixel, a mean square error. 1 is added where
    the patch shows no ground."""
    outer = (source - patches).square().mean(1, keepdim=True).clamp(max=1.5 * _MAX_GROUND_DIFFERENCE**2)
    coarse_difference = wide_blur(drawn, _COARSE_BLUR) - wide_blur(patches, _COARSE_BLUR)
    inner = coarse_difference.square().mean(1, keepdim=True)
    weight = (surroundings + _INSIDE_WEIGHT * inside) * valid
    error = (surroundings * outer + _INSIDE_WEIGHT * inside * inner) * valid
    mean = error.sum((1, 2, 3), keepdim=True) / weight.sum((1, 2, 3), keepdim=True).clamp(min=1)
    near = wide_blur(error, _ERROR_BLUR) / (wide_blur(weight, _ERROR_BLUR) + TINY_WEIGHT)
    return near + _MEAN_ERROR_WEIGHT * mean + (1 - valid)


def _mean_gradient(patches: Tensor, weights: Tensor, fallback: Tensor, dim: int) -> Tensor:
    """Each pixel's difference from the one before it along `dim`, averaged over the patches.

    weights: (K, 1, H, W). Only patches with a weight at both pixels count. Where there is none, the gradient
    is that of `fallback` (1, 3, H, W).
    """
    count = patches.shape[dim] - 1
    first, second = weights.narrow(dim, 0, count), weights.narrow(dim, 1, count)
    pair = (first + second) * (first > 0) * (second > 0)
    total = pair.sum(0, keepdim=True)
    mean = (torch.diff(patches, dim=dim) * pair).sum(0, keepdim=True) / total.clamp(min=TINY_WEIGHT)
    return torch.where(total > TINY_WEIGHT, mean, torch.diff(fallback, dim=dim))


def _find_other_objects(source: Tensor, drawn: Tensor, inside: Tensor) -> Tensor:
    """(1, 1, H, W): 1 where the source shows something else than ground.

    The colours that were drawn inside the hole are the ground's. Thin things of other colours, such as joints
    and grain, are ground as well.
    """
    colours = wide_blur(drawn, _COARSE_BLUR)[0, :, inside[0, 0] > 0]
    colours = colours[:, :: max(1, colours.shape[1] // _NUM_GROUND_COLOURS)]
    pixels = blur(source, _SOURCE_BLUR)[0]
    distance = (pixels - colours.T[..., None, None]).abs().amax(1, keepdim=True)
    not_ground = (distance >= _MAX_GROUND_DIFFERENCE).all(0, keepdim=True).to(inside)
    objects = erode(not_ground, _DETAIL_RADIUS)
    for _ in range(_OBJECT_GROWTH):
        objects = dilate(objects, 1) * not_ground
    return dilate(objects, 1)


def _find_unchanged(source: Tensor, drawn: Tensor, objects: Tensor) -> Tensor:
    """(1, 1, H, W): 1 where the drawing shows another object just as the source does."""
    same = (drawn - source).abs().amax(1, keepdim=True) < _MAX_UNCHANGED_DIFFERENCE
    return dilate(erode(objects * same, _DETAIL_RADIUS), _DETAIL_RADIUS)


def _find_shifts(
    source: Tensor, drawn: Tensor, surroundings: Tensor, inside: Tensor, ground: Tensor
) -> list[tuple[int, int]]:
    """At most `_MAX_CANDIDATES` shifts (rows, columns), the best first.

    The errors of all shifts come from Fourier transforms: sum w(x) (a(x) - b(x + d))^2 is a sum of three
    correlations. In the surroundings a and b are the source. Inside the hole a is the drawing and b is the
    source, both blurred.
    """
    size = source.shape[-1] + _MAX_SHIFT

    def spectrum(x: Tensor) -> Tensor:
        transformed: Tensor = torch.fft.rfft2(x, s=(size, size))
        return transformed

    def correlations(spectra: Tensor) -> Tensor:
        """Products conj(a) b, (K, C, ...) -> for each shift d the sum over x and C of a(x) b(x + d)."""
        sums: Tensor = torch.fft.irfft2(spectra.sum(1), s=(size, size))
        return sums

    # Row 0 of each tensor is for the surroundings, row 1 for the inside of the hole.
    weight = torch.cat([surroundings, _INSIDE_WEIGHT * inside])
    here = torch.cat([source, wide_blur(drawn, _COARSE_BLUR)])
    there = torch.cat([source, wide_blur(source, _COARSE_BLUR)])
    at_hole = [weight, (weight * here.square()).sum(1, True), weight * here]
    at_ground = [ground.expand_as(weight), (ground * there.square()).sum(1, True), ground * there]
    weights, squares_here, colours_here = torch.split(spectrum(torch.cat(at_hole, 1)).conj(), [1, 1, 3], 1)
    usable, squares_there, colours_there = torch.split(spectrum(torch.cat(at_ground, 1)), [1, 1, 3], 1)
    overlap = weights * usable
    products = (colours_here * colours_there).sum(1, True)
    squares = squares_here * usable + weights * squares_there - 2 * products
    inside_overlap, total_overlap, error = correlations(
        torch.cat([overlap[1:], overlap.sum(0, True), squares.sum(0, True)])
    )
    full_overlap = surroundings.sum() + _INSIDE_WEIGHT * inside.sum()
    possible = (inside_overlap > _MIN_HOLE_OVERLAP * _INSIDE_WEIGHT * inside.sum()) & (
        total_overlap > _MIN_TOTAL_OVERLAP * full_overlap
    )
    error = error / (source.shape[1] * total_overlap.clamp(min=1))
    error = torch.where(possible, error, torch.inf)
    error[_MAX_SHIFT : size - _MAX_SHIFT] = torch.inf  # these shifts would wrap around the edge
    error[:, _MAX_SHIFT : size - _MAX_SHIFT] = torch.inf
    window_minimum = -dilate(-error[None, None], _CANDIDATE_WINDOW // 2)[0, 0]
    is_minimum = error == window_minimum
    lowest, places = torch.where(is_minimum, error, torch.inf).flatten().topk(_MAX_CANDIDATES, largest=False)
    found = places[lowest.isfinite()].tolist()
    return [(_signed(place // size, size), _signed(place % size, size)) for place in found]


def _signed(shift: int, size: int) -> int:
    """A Fourier transform's index as a shift: the upper half of the indices are negative shifts."""
    return shift - size if shift > size // 2 else shift


def _apply_shifts(picture: Tensor, shifts: list[tuple[int, int]]) -> Tensor:
    """(1, C, H, W) -> (K, C, H, W): pixel x of copy k is the picture's pixel x + shift k; 0 outside."""
    height, width = picture.shape[-2:]
    padded = F.pad(picture[0], [_MAX_SHIFT] * 4)
    return torch.stack([padded[:, _MAX_SHIFT + y :, _MAX_SHIFT + x :][:, :height, :width] for y, x in shifts])
