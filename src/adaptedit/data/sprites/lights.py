"""The whole picture at another hour, season or weather: fixed functions of it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from adaptedit.data.sprites.colours import luma

Pixels = npt.NDArray[np.float32]  # (H, W, 3) in [0, 1]


def _mixed(picture: Pixels, grey: float) -> Pixels:
    return np.asarray(picture * (1 - grey) + luma(picture)[..., None] * grey, np.float32)


def _rgb(*values: float) -> Pixels:
    return np.array(values, np.float32)


def night(picture: Pixels) -> Pixels:
    return _mixed(picture, 0.4) * _rgb(0.24, 0.29, 0.46)


def sunset(picture: Pixels) -> Pixels:
    return picture * _rgb(1.05, 0.74, 0.5) + _rgb(0.08, 0.02, 0)


def sunshine(picture: Pixels) -> Pixels:
    return picture**0.75 * _rgb(1.12, 1.08, 0.98)


def fog(picture: Pixels) -> Pixels:
    return _mixed(picture, 0.5) * 0.4 + 0.5


def winter(picture: Pixels) -> Pixels:
    return _mixed(picture, 0.6) * _rgb(0.62, 0.66, 0.7) + _rgb(0.28, 0.31, 0.35)


def autumn(picture: Pixels) -> Pixels:
    return _mixed(picture, 0.25) * _rgb(1.08, 0.82, 0.52) + _rgb(0.06, 0.02, 0)


def rain(picture: Pixels) -> Pixels:
    return _mixed(picture, 0.55) * _rgb(0.52, 0.58, 0.66) + 0.06


LIGHTS: dict[str, Callable[[Pixels], Pixels]] = {  # as an instruction says it -> what it does
    "at night": night,
    "by night": night,
    "in the dark": night,
    "at sunset": sunset,
    "in the evening sun": sunset,
    "in bright sunshine": sunshine,
    "on a sunny day": sunshine,
    "in the fog": fog,
    "on a foggy day": fog,
    "in winter": winter,
    "in the snow": winter,
    "in autumn": autumn,
    "in the fall": autumn,
    "in the rain": rain,
    "on a rainy day": rain,
}


def relit(picture: npt.NDArray[np.uint8], name: str) -> npt.NDArray[np.uint8]:
    """(H, W, 3) uint8 under the light `name`."""
    lit = LIGHTS[name](np.asarray(picture / 255, np.float32))
    return np.asarray(np.round(np.clip(lit, 0, 1) * 255), np.uint8)
