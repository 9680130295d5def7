"""Phrases that name one thing of a picture and no other: by noun, colour, place, size and relation."""

from __future__ import annotations

import colorsys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from adaptedit.data.render.engine import Frame
from adaptedit.data.render.scene import Scene, Thing
from adaptedit.data.sprites import phrases

_HUES = (  # degrees up to which a saturated colour has the name
    (14, "red"),
    (42, "orange"),
    (68, "yellow"),
    (160, "green"),
    (195, "turquoise"),
    (255, "blue"),
    (292, "purple"),
    (335, "pink"),
)
_LEAST_SEEN = 0.0008  # share of the picture below which a thing is not there for a reader


@dataclass(frozen=True)
class Seen:
    """A thing as the picture shows it. at: (x right, y down) in [0, 1]. depth: metres. colour: "" where it
    has no single one. share: of the picture."""

    thing: Thing
    at: tuple[float, float]
    depth: float
    share: float
    colour: str

    @property
    def noun(self) -> str:
        return self.thing.noun


def seen(scene: Scene, frame: Frame) -> list[Seen]:
    """The things that the picture shows, in the scene's order."""
    found = []
    for thing in scene.things:
        cover = frame.cover.get(thing.key)
        if cover is None or cover.mean() < _LEAST_SEEN:
            continue
        y, x = np.argwhere(cover > 0.3).mean(0) / len(cover) if (cover > 0.3).any() else (0.5, 0.5)
        depth = float(scene.camera.project(thing.corners())[:, 2].mean())
        colour = "" if not thing.model else colour_of(frame.albedo[cover > 0.9])
        found.append(Seen(thing, (float(x), float(y)), depth, float(cover.mean()), colour))
    return found


def colour_of(albedo: npt.NDArray[np.float32]) -> str:
    """The one name that most of (n, 3) linear reflectances share, "" if there is none."""
    if len(albedo) < 6:
        return ""
    shown = np.clip(albedo, 0, 1) ** (1 / 2.2)
    names = [_name(*(float(v) for v in pixel)) for pixel in shown[:: max(1, len(shown) // 200)]]
    most = max(set(names), key=lambda name: (names.count(name), name))
    return most if names.count(most) > 0.72 * len(names) else ""


def _name(red: float, green: float, blue: float) -> str:
    hue, saturation, value = colorsys.rgb_to_hsv(red, green, blue)
    hue *= 360
    if value < 0.2:
        return "black"
    if saturation < 0.16:
        return "white" if value > 0.78 else "grey"
    if 12 <= hue < 45 and value < 0.62:
        return "brown"
    if (hue < 18 or hue >= 325) and value > 0.75 and saturation < 0.6:
        return "pink"
    return next((name for bound, name in _HUES if hue < bound), "red")


def names(rng: np.random.Generator, it: Seen, others: Sequence[Seen]) -> str | None:
    """Words for `it` with their article, at random among those that fit only it; None if none does.

    An office chair is a chair, too: "the chair" does not tell it from another.
    """
    twins = [other for other in others if other is not it and f" {other.noun}".endswith(f" {it.noun}")]
    rest = [other for other in others if other is not it and other not in twins]
    ways = [f"the {it.noun}"] * 3 if not twins else []
    if it.colour and all(twin.colour not in (it.colour, "") for twin in twins):
        ways += [f"the {it.colour} {it.noun}"] * (2 if twins else 1)
    ways += _extremes(it, twins)
    cell = _cell(it.at)
    if all(_cell(twin.at) != cell for twin in twins):
        ways.append(f"the {it.noun} {phrases.CELLS[cell][int(rng.integers(len(phrases.CELLS[cell])))]}")
    for other in rest:
        if sum(one.noun == other.noun for one in others) > 1:
            continue
        for words, holds in RELATIONS.items():
            if holds(it, other) and not any(holds(twin, other) for twin in twins):
                ways.append(f"the {it.noun} {words} the {other.noun}")
    return ways[int(rng.integers(len(ways)))] if ways else None


def places(rng: np.random.Generator, it: Seen, others: Sequence[Seen]) -> str:
    """Words for where a new thing is: its place in the picture, or how it stands to another one."""
    cell = _cell(it.at)
    ways = list(phrases.CELLS[cell][:1])
    for other in others:
        if other is it or other.noun == it.noun or sum(o.noun == other.noun for o in others) > 1:
            continue
        ways += [f"{words} the {other.noun}" for words, holds in RELATIONS.items() if holds(it, other)]
    return ways[int(rng.integers(len(ways)))]


def _extremes(it: Seen, twins: Sequence[Seen]) -> list[str]:
    if not twins:
        return []
    ways = []
    if all(it.at[0] < twin.at[0] - 0.06 for twin in twins):
        ways += [f"the leftmost {it.noun}", f"the {it.noun} furthest to the left"]
    if all(it.at[0] > twin.at[0] + 0.06 for twin in twins):
        ways += [f"the rightmost {it.noun}", f"the {it.noun} furthest to the right"]
    if all(it.share > 1.6 * twin.share for twin in twins):
        ways.append(f"the largest {it.noun}" if len(twins) > 1 else f"the larger {it.noun}")
    if all(it.share < twin.share / 1.6 for twin in twins):
        ways.append(f"the smallest {it.noun}" if len(twins) > 1 else f"the smaller {it.noun}")
    if all(it.depth < 0.85 * twin.depth for twin in twins):
        ways.append(f"the {it.noun} in front")
    if all(it.depth > 1.15 * twin.depth for twin in twins):
        ways.append(f"the {it.noun} at the back")
    return ways


def _reach(one: Seen, other: Seen) -> float:
    return (max(one.thing.size[0], one.thing.size[2]) + max(other.thing.size[0], other.thing.size[2])) / 2


def _gap(one: Seen, other: Seen) -> float:
    return float(np.hypot(one.thing.x - other.thing.x, one.thing.z - other.thing.z))


def _beside(one: Seen, other: Seen) -> bool:
    level = one.thing.on == other.thing.on and other.thing.key != one.thing.on
    return level and abs(one.depth - other.depth) < 0.7 * _reach(one, other)


def _in_line(one: Seen, other: Seen) -> bool:
    return one.thing.on == other.thing.on and abs(one.at[0] - other.at[0]) < 0.16


RELATIONS: dict[str, Callable[[Seen, Seen], bool]] = {
    "to the left of": lambda a, b: _beside(a, b) and a.at[0] < b.at[0] - 0.12,
    "to the right of": lambda a, b: _beside(a, b) and a.at[0] > b.at[0] + 0.12,
    "next to": lambda a, b: _beside(a, b) and _gap(a, b) < 1.3 * _reach(a, b),
    "behind": lambda a, b: _in_line(a, b) and a.depth > b.depth + 0.6 * _reach(a, b),
    "in front of": lambda a, b: _in_line(a, b) and a.depth < b.depth - 0.6 * _reach(a, b),
    "on": lambda a, b: a.thing.on == b.thing.key,
}


def _cell(at: tuple[float, float]) -> tuple[float, float]:
    return min(phrases.CELLS, key=lambda cell: (cell[0] - at[0]) ** 2 + (cell[1] - at[1]) ** 2)
