"""Exposure, and where two renders of one scene differ: the thing itself, its shadow, its reflection."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from adaptedit.data.render.engine import Frame

Floats = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]

_FAINT, _CLEAR = 0.03, 0.08  # change of display value: below nobody sees it, above it is fully the edit's
_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)


def exposure(light: Floats) -> float:
    """The factor that brings a linear picture to a pleasant mean (0.42 of clipped luma)."""
    luma = light @ _LUMA
    return float(0.42 / max(np.minimum(luma, np.percentile(luma, 97)).mean(), 1e-4))


def develop(light: Floats, factor: float) -> Floats:
    """(h, w, 3) linear -> display values in [0, 1]: extended Reinhard on luma, sRGB curve."""
    scaled = light * factor
    luma = np.maximum(scaled @ _LUMA, 1e-6)[..., None]
    toned = np.clip(scaled * (1 + luma / 9) / (1 + luma) * 1.15, 0, 1)
    toned = toned**1.15  # a little more contrast than the scene's
    curve = np.where(toned < 0.0031308, 12.92 * toned, 1.055 * np.maximum(toned, 1e-8) ** (1 / 2.4) - 0.055)
    return np.asarray(np.clip(curve, 0, 1), np.float32)


def foggy(frame: Frame, density: float, distance: float, strength: float) -> Floats:
    """The frame's light behind fog: `density` is the optical depth at `distance` metres."""
    if not density:
        return frame.light
    depth = np.where(frame.depth > 0, frame.depth, 1e3)
    left = np.exp(-density * depth / distance)[..., None].astype(np.float32)
    return np.asarray(frame.light * left + np.float32(0.8 * strength) * (1 - left), np.float32)


def changed(before: Floats, after: Floats, cover: Floats) -> Pixels:
    """A soft mask, (h, w) uint8, 255 = edit. before, after: display values (h, w, 3); cover: (h, w) in
    [0, 1], how much of a pixel the thing takes before or after.

    Faint changes of shading are left out, and so are specks of them: under 0.3 % of the picture.
    """
    size = cover.shape[0]
    taken = ndimage.maximum_filter(cover, 3) if size >= 64 else cover
    difference = ndimage.median_filter(np.abs(after - before).max(2), 3)  # without the noise that is left
    difference = ndimage.gaussian_filter(difference, 0.01 * size)
    shaded = np.clip((difference - _FAINT) / (_CLEAR - _FAINT), 0, 1)
    labels, count = ndimage.label((shaded > 0) | (taken > 0))
    if count:
        numbers = np.arange(1, count + 1)
        areas = ndimage.sum_labels(np.ones_like(cover), labels, numbers)
        holds = ndimage.maximum(taken, labels, numbers) > 0
        keep = np.concatenate([[False], holds | (areas > 3e-3 * cover.size)])
        shaded = np.where(keep[labels], shaded, 0)
    return np.asarray(np.round(255 * np.maximum(shaded, np.minimum(1, 1.5 * taken))), np.uint8)


def blend(source: Pixels, after: Floats, mask: Pixels) -> Pixels:
    """The target: `after` (display values) where the mask is 255, the source itself, bit for bit, where 0."""
    weight = mask[..., None].astype(np.float32) / 255
    mixed = source + weight * (after * 255 - source)
    return np.asarray(np.where(mask[..., None] == 0, source, np.round(np.clip(mixed, 0, 255))), np.uint8)
