"""Our registration beside scikit-image's and OpenCV's, on pictures that were moved by known amounts.

    pip install scikit-image
    PYTHONPATH=tests python benchmarks/evaluation/registration.py

Prints, for each case and method, the error of the shift in pixels and of the zoom in per cent. The pictures
are those of tests/test_metrics_shift.py: 200x150, with another texture where the mask is, less contrast and
a brighter tone. One seed, one thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.registration import phase_cross_correlation

from adaptedit.evaluation.metrics import registration
from test_metrics_shift import moved, rectangle, texture

Plane = NDArray[np.float64]
Motion = tuple[float, float, float]  # x, y in pixels, zoom
Method = Callable[[Plane, Plane, Plane], Motion]

HEIGHT, WIDTH = 150, 200


@dataclass(frozen=True)
class Case:
    """An edit of a texture. mask: True where it changed; given: whether the methods are told where."""

    motion: Motion
    source: Plane
    mask: NDArray[np.bool_]
    noise: float = 0.0
    rotation: float = 0.0  # degrees
    given: bool = True

    def planes(self) -> tuple[Plane, Plane, Plane]:
        """First picture, second picture, background, (H, W) each, in [0, 1]."""
        result = 0.9 * moved(self.source, *self.motion) + 0.05
        if self.rotation:
            result = ndimage.rotate(result, self.rotation, axes=(1, 0), reshape=False, mode="mirror")
        where = moved(self.mask[..., None].repeat(3, 2).astype(float), *self.motion) > 0.5
        result = np.where(where, texture(HEIGHT, WIDTH, 9), result)
        result = result + np.random.default_rng(0).normal(0, self.noise, result.shape)
        result = (result.clip(0, 1) * 255).round() / 255
        background = np.ones_like(self.mask)
        if self.given:
            background = ~ndimage.binary_dilation(self.mask, iterations=2)
        return self.source.mean(2), result.mean(2), background.astype(float)


def cases() -> dict[str, Case]:
    source, mask = texture(HEIGHT, WIDTH, 1), rectangle(HEIGHT, WIDTH)
    large = np.zeros_like(mask)
    large[20:110, 40:140] = True
    tiles = np.tile(texture(50, 50, 3), (3, 4, 1))
    return {
        "no motion": Case((0, 0, 1), source, mask),
        "0.5, 0": Case((0.5, 0, 1), source, mask),
        "0.13, 0.37": Case((0.13, 0.37, 1), source, mask),
        "3.25, -1.5": Case((3.25, -1.5, 1), source, mask),
        "20.4, -15.7": Case((20.4, -15.7, 1), source, mask),
        "zoom 0.97": Case((0, 0, 0.97), source, mask),
        "zoom 1.05": Case((0, 0, 1.05), source, mask),
        "-7.3, 4.1, zoom 1.02": Case((-7.3, 4.1, 1.02), source, mask),
        "5, 0, zoom 1.2": Case((5, 0, 1.2), source, mask),
        "3.25, -1.5, noise of 10 %": Case((3.25, -1.5, 1), source, mask, noise=0.1),
        "4.5, 2.25, mask of 30 %": Case((4.5, 2.25, 1), source, large),
        "3.25, -1.5, mask not given": Case((3.25, -1.5, 1), source, mask, given=False),
        "6.5, -3, repeated texture": Case((6.5, -3, 1), tiles, mask),
        "3, 0, rotated by 1 degree": Case((3, 0, 1), source, mask, rotation=1.0),
    }


def ours(first: Plane, second: Plane, mask: Plane) -> Motion:
    found = registration.register(first, second, mask)
    return found.x, found.y, found.zoom


def skimage_masked(first: Plane, second: Plane, mask: Plane) -> Motion:
    """With masks it finds whole pixels only, and no zoom."""
    on = mask > 0
    shift, *_ = phase_cross_correlation(
        first, second, reference_mask=on, moving_mask=on, overlap_ratio=registration.OVERLAP
    )
    return -float(shift[1]), -float(shift[0]), 1.0


def skimage_subpixel(first: Plane, second: Plane, mask: Plane) -> Motion:
    """The masked call, then the one to a twentieth of a pixel, which takes no mask: outside it, no detail."""
    x, y, _ = skimage_masked(first, second, mask)
    nearer = ndimage.shift(second, (-y, -x), order=1, mode="nearest")
    details = [registration._details(picture, mask) * mask for picture in (first, nearer)]
    rest, *_ = phase_cross_correlation(*details, upsample_factor=20, normalization=None)
    return (x - rest[1], y - rest[0], 1.0) if np.abs(rest).max() <= 1.5 else (x, y, 1.0)


def opencv(first: Plane, second: Plane, mask: Plane, start: Motion = (0, 0, 1)) -> Motion:
    """Enhanced correlation coefficient, masked, affine (OpenCV has no similarity)."""
    matrix = np.array([[1, 0, start[0]], [0, 1, start[1]]], dtype=np.float32)
    stop = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 200, 1e-6)
    on, planes = mask.astype(np.uint8), (first.astype(np.float32), second.astype(np.float32))
    try:
        _, matrix = cv2.findTransformECC(*planes, matrix, cv2.MOTION_AFFINE, stop, on, 5)
    except cv2.error:  # it did not converge
        return np.nan, np.nan, np.nan
    centre = (np.array([WIDTH, HEIGHT]) - 1) / 2
    x, y = matrix[:, :2] @ centre + matrix[:, 2] - centre
    return float(x), float(y), float(np.sqrt(np.linalg.det(matrix[:, :2])))


def both(first: Plane, second: Plane, mask: Plane) -> Motion:
    return opencv(first, second, mask, skimage_masked(first, second, mask))


METHODS: dict[str, Method] = {
    "ours": ours,
    "skimage, masked": skimage_masked,
    "+ sub-pixel": skimage_subpixel,
    "OpenCV's ECC": opencv,
    "skimage, then ECC": both,
}


def main() -> None:
    cv2.setNumThreads(1)
    seconds = dict.fromkeys(METHODS, 0.0)
    print("| motion | " + " | ".join(METHODS) + " |\n|---|" + "---|" * len(METHODS))
    known = cases()
    for name, case in known.items():
        cells = []
        for method, find in METHODS.items():
            planes = case.planes()
            start = time.perf_counter()
            x, y, zoom = find(*planes)
            seconds[method] += time.perf_counter() - start
            right = case.motion
            cells.append(f"{np.hypot(x - right[0], y - right[1]):.2f} / {100 * abs(zoom - right[2]):.2f}")
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)
    print("| seconds | " + " | ".join(f"{total / len(known):.2f}" for total in seconds.values()) + " |")


if __name__ == "__main__":
    main()
