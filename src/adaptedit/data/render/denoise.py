"""A spatial filter for path-traced light: smooths what the surface receives, never its texture or edges.

Edge-avoiding a-trous wavelets (Dammertz et al., HPG 2010) on light divided by albedo.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Floats = npt.NDArray[np.float32]
_KERNEL = np.array([1, 4, 6, 4, 1], np.float32) / 16
_LEVELS = 3


def denoise(light: Floats, albedo: Floats, normal: Floats, depth: Floats) -> Floats:
    """light, albedo, normal: (h, w, 3), light linear; depth: (h, w), 0 where nothing is hit.
    Sky and outlines stay as they are.
    """
    length = np.linalg.norm(normal, axis=2, keepdims=True)
    hit = (depth > 0) & (length[..., 0] > 0.8)  # an outline mixes surfaces: nothing to divide by
    divisor = np.where(hit[..., None], np.maximum(albedo, 0.03), 1)
    received = np.asarray(light / divisor, np.float32)
    received = _without_specks(received)
    normal = np.asarray(normal / np.maximum(length, 1e-3), np.float32)
    relative = np.asarray(np.log(np.maximum(depth, 1e-3)), np.float32)
    for level in range(_LEVELS):
        received = _smooth(received, normal, relative, hit, 2**level, 0.5 / 2**level)
    return np.asarray(np.where(hit[..., None], received * divisor, light), np.float32)


def _without_specks(light: Floats) -> Floats:
    """A sample that found the sun by chance outshines its neighbours, a pixel whose samples all missed the
    lamp is darker than all: the one is dimmed, the other takes their median."""
    bright = light.mean(2)
    padded = np.pad(bright, 1, mode="edge")
    h, w = bright.shape
    around = np.stack([padded[i : i + h, j : j + w] for i in range(3) for j in range(3) if (i, j) != (1, 1)])
    ordered = np.sort(around, 0)
    limit = 1.5 * ordered[6] + 0.02
    dimmed = light * np.minimum(1, limit / np.maximum(bright, 1e-6))[..., None]
    dark = bright < ordered[1] / 1.5 - 0.02
    return np.asarray(np.where(dark[..., None], ndimage.median_filter(dimmed, (3, 3, 1)), dimmed), np.float32)


def _smooth(
    light: Floats, normal: Floats, depth: Floats, hit: npt.NDArray[np.bool_], step: int, tolerance: float
) -> Floats:
    h, w = depth.shape
    reach = 2 * step
    bright = np.log(light.mean(2) + 0.02)
    pads = ((reach, reach), (reach, reach))
    padded = [np.pad(a, pads + ((0, 0),) * (a.ndim - 2), mode="edge") for a in (light, normal, depth, bright)]
    there = np.pad(hit, pads)
    total = np.zeros_like(light)
    weights = np.zeros((h, w, 1), np.float32)
    for i, row in enumerate(_KERNEL):
        for j, column in enumerate(_KERNEL):
            at = slice(i * step, i * step + h), slice(j * step, j * step + w)
            other, its_normal, its_depth, its_bright = (a[at] for a in padded)
            far = np.abs(its_depth - depth) / (0.02 * (1 + step))
            turned = 16 * (1 - np.clip((its_normal * normal).sum(2), -1, 1))
            unlike = np.abs(its_bright - bright) / tolerance
            weight = (row * column * np.exp(-far - turned - unlike) * there[at])[..., None]
            total += weight * other
            weights += weight
    return np.asarray(np.where(weights > 0, total / np.maximum(weights, 1e-12), light), np.float32)
