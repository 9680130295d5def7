"""A picture in another manner: filters of Pillow and OpenCV over the finished picture."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

Pixels = npt.NDArray[np.uint8]


def _grey(picture: Pixels) -> npt.NDArray[np.float32]:
    return np.asarray(np.asarray(Image.fromarray(picture).convert("L")) / 255, np.float32)


def _edges(picture: Pixels, sigma: float) -> npt.NDArray[np.float32]:
    smooth = _blurred(_grey(picture), sigma)
    return np.asarray(np.hypot(cv2.Sobel(smooth, -1, 1, 0), cv2.Sobel(smooth, -1, 0, 1)), np.float32)


def _blurred(picture: npt.NDArray[np.float32], sigma: float) -> npt.NDArray[np.float32]:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.float32)


def _scale(picture: Pixels) -> float:
    return float(max(picture.shape[0] / 128, 0.5))


def pencil(picture: Pixels) -> Pixels:
    grey = _grey(picture)
    blurred = _blurred(1 - grey, 4 * _scale(picture))
    dodged = np.clip(grey / np.maximum(1 - blurred, 0.05), 0, 1) ** 1.6
    line = np.clip(1 - 0.55 * _edges(picture, 0.6), 0, 1)
    return np.asarray(np.repeat((255 * dodged * line)[..., None], 3, 2), np.uint8)


def watercolour(picture: Pixels) -> Pixels:
    size = int(2 * round(2 * _scale(picture)) + 1)
    flat = cv2.medianBlur(picture, size).astype(np.float32)
    paper = _blurred(np.random.default_rng(0).standard_normal(picture.shape[:2], np.float32), 1.2)
    pale = 255 - (255 - flat) * (0.8 + 0.05 * paper[..., None] / paper.std())
    bleed = 1 - 0.35 * np.clip(_edges(flat.astype(np.uint8), 1.2), 0, 1)[..., None]
    return np.asarray(np.clip(pale * bleed, 0, 255), np.uint8)


def pixel_art(picture: Pixels) -> Pixels:
    image = Image.fromarray(picture)
    small = image.resize((40, 40), Image.Resampling.BOX).quantize(20, Image.Quantize.MEDIANCUT)
    return np.asarray(small.convert("RGB").resize(image.size, Image.Resampling.NEAREST))


def oil(picture: Pixels) -> Pixels:
    size = int(2 * round(2.2 * _scale(picture)) + 1)
    image = Image.fromarray(picture).filter(ImageFilter.ModeFilter(size))
    image = ImageEnhance.Color(image.filter(ImageFilter.SMOOTH)).enhance(1.5)
    return np.asarray(image.filter(ImageFilter.UnsharpMask(2, 120, 2)))


def comic(picture: Pixels) -> Pixels:
    flat = Image.fromarray(picture).filter(ImageFilter.MedianFilter(3))
    flat = ImageOps.posterize(ImageEnhance.Color(ImageOps.autocontrast(flat, 1)).enhance(1.8), 2)
    ink = (_edges(picture, 0.9 * _scale(picture)) < 0.42)[..., None]
    return np.asarray(np.where(ink, np.minimum(np.asarray(flat, int) + 40, 255), 15), np.uint8)


def grey(picture: Pixels) -> Pixels:
    return np.asarray(ImageOps.autocontrast(Image.fromarray(picture).convert("L"), 1).convert("RGB"))


def sepia(picture: Pixels) -> Pixels:
    tone = ImageOps.colorize(Image.fromarray(picture).convert("L"), "#20140a", "#fff4dc", "#a6845c")
    return np.asarray(tone)


def negative(picture: Pixels) -> Pixels:
    return np.asarray(255 - picture, np.uint8)


STYLES: dict[str, Callable[[Pixels], Pixels]] = {
    "a pencil drawing": pencil,
    "a pencil sketch": pencil,
    "a watercolour painting": watercolour,
    "pixel art": pixel_art,
    "an oil painting": oil,
    "a comic": comic,
    "a black and white photograph": grey,
    "a sepia photograph": sepia,
    "an old brownish photo": sepia,
    "a colour negative": negative,
}
