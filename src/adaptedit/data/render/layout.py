"""Putting a scene together: which things, where they stand without touching, from where they are seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from adaptedit.data.render.models import Model
from adaptedit.data.render.scene import Camera, Light, Scene, Thing
from adaptedit.data.render.surfaces import COLOURS, usable
from adaptedit.data.render.words import UNPAINTED, WORDS_ON_SIGNS

T = TypeVar("T")
Rng = np.random.Generator

FAMILIES = {"table": 0.4, "room": 0.35, "street": 0.25}
PLACES = {"table": ("hand",), "room": ("room", "top", "any"), "street": ("street", "any")}
LIGHTS = {
    "table": ("apartment", "lobby", "workshop", "warehouse", "studio", "esplanade", "city", "forest"),
    "room": ("apartment", "lobby", "workshop", "warehouse", "studio", "esplanade"),
    "street": ("city", "park", "sunrise", "sunset", "forest", "sky"),
}
HELD_OUT_LIGHTS = {"table": ("hall", "lab"), "room": ("hall", "lab"), "street": ("venice", "dawn")}
_NEVER_TURNED = ("rug",)


@dataclass(frozen=True)
class Stock:
    """What one split draws from."""

    models: list[Model]
    held_out_scenes: bool = False
    nouns: dict[str, list[Model]] = field(init=False)

    def __post_init__(self) -> None:
        nouns: dict[str, list[Model]] = {}
        for model in self.models:
            nouns.setdefault(model.noun, []).append(model)
        object.__setattr__(self, "nouns", nouns)

    def fitting(self, family: str, low: float, high: float, but: Sequence[str] = ()) -> list[str]:
        """Nouns at home in a family with a model whose longest side is between the two, in metres."""
        return [
            noun
            for noun, models in self.nouns.items()
            if noun not in but
            and models[0].place in PLACES[family]
            and any(low <= model.reach <= high for model in models)
        ]


def pick(rng: Rng, items: Sequence[T]) -> T:
    return items[int(rng.integers(len(items)))]


def apart(one: Thing, other: Thing, gap: float) -> bool:
    """Whether the turned footprints keep a gap (separating axes), or one is above the other."""
    if one.y >= other.y + other.size[1] - 1e-6 or other.y >= one.y + one.size[1] - 1e-6:
        return True
    corners = one.corners()[:4, ::2], other.corners()[:4, ::2]
    for thing in (one, other):
        turn = np.radians(thing.turn)
        for axis in ([np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]):
            a, b = (c @ np.array(axis) for c in corners)
            if a.max() + gap < b.min() or b.max() + gap < a.min():
                return True
    return False


def free(thing: Thing, things: Sequence[Thing]) -> bool:
    gap = 0.05 * max(thing.size[0], thing.size[2])
    return all(apart(thing, other, gap) for other in things if thing.on != other.key)


def new_thing(rng: Rng, key: int, noun: str, model: Model, paint: str = "") -> Thing:
    turn = 0.0 if noun in _NEVER_TURNED else float(rng.uniform(-50, 50))
    if model.place == "street" and rng.random() < 0.4:
        turn += 180.0
    scale = rng.uniform(0.92, 1.08)
    width, height, depth = (float(side * scale) for side in model.size)
    return Thing(key, noun, model.key, 0, 0, 0, turn, (width, height, depth), paint=paint)


def sign(rng: Rng, key: int, reach: float) -> Thing:
    """A standing board, turned to the camera, among things that are `reach` metres long."""
    height = float(np.clip(reach * rng.uniform(0.4, 0.7), 0.12, 1.5))
    width = height * float(rng.uniform(1.3, 2.0))
    colour = pick(rng, ("white", "white", "yellow", "blue", "red", "green", "black"))
    words = pick(rng, WORDS_ON_SIGNS)
    turn = float(rng.uniform(-20, 20))
    return Thing(key, "sign", "", 0, 0, 0, turn, (width, height, 0.03), paint=colour, text=words)


def settle(
    rng: Rng, thing: Thing, things: Sequence[Thing], reach: float, top: tuple[float, float] | None
) -> Thing | None:
    """The thing at a free place within `reach` of the middle (and on the table top), or None."""
    for attempt in range(40):
        wide = reach * (0.3 + 0.7 * attempt / 40)
        x, z = (float(v) for v in rng.uniform(-wide, wide, 2))
        placed = replace(thing, x=x, z=z * 0.8)
        if top is not None:
            foot = np.abs(placed.corners()[:, ::2]).max(0)
            if foot[0] > top[0] / 2 or foot[1] > top[1] / 2:
                continue
        if free(placed, things):
            return placed
    return None


def carried(
    rng: Rng, stock: Stock, key: int, carrier: Thing, model: Model, things: Sequence[Thing]
) -> Thing | None:
    """A small thing of a noun of its own standing on the carrier, or None."""
    taken = {thing.noun for thing in things}
    nouns = [
        noun
        for noun, models in stock.nouns.items()
        if noun not in taken and models[0].place == "hand" and any(0.15 < m.reach < 0.6 for m in models)
    ]
    if not nouns:
        return None
    noun = pick(rng, nouns)
    thing = new_thing(rng, key, noun, pick(rng, [m for m in stock.nouns[noun] if 0.15 < m.reach < 0.6]))
    room = np.array([carrier.size[0], carrier.size[2]]) / 2 - max(thing.size[0], thing.size[2]) * 0.55
    if (room < 0).any():
        return None
    turn = np.radians(carrier.turn)
    height = model.top * carrier.size[1] / model.size[1]
    for _ in range(10):
        a, b = rng.uniform(-room, room) * 0.9
        x = carrier.x + a * np.cos(turn) + b * np.sin(turn)
        z = carrier.z - a * np.sin(turn) + b * np.cos(turn)
        placed = replace(thing, x=float(x), y=carrier.y + height, z=float(z), on=carrier.key)
        if free(placed, things):
            return placed
    return None


def draw(rng: Rng, stock: Stock) -> Scene:
    """A scene with 1-5 things and perhaps a sign."""
    family = str(rng.choice(list(FAMILIES), p=list(FAMILIES.values())))
    things = _things(rng, stock, family)
    camera = camera_for(rng, things, family)
    light = _light(rng, stock, family, camera)
    if family == "street":
        return Scene(family, things, camera, light, pick(rng, usable("ground", stock.held_out_scenes)).name)
    corners = np.concatenate([thing.corners() for thing in things])
    floor = pick(rng, usable("floor", stock.held_out_scenes)).name
    wall = pick(rng, usable("wall", stock.held_out_scenes)).name
    side = 0
    if family == "room" and rng.random() < 0.5 and np.abs(corners[:, 0]).max() < 3.0:
        side = -1 if camera.eye[0] > 0 else 1
        light = replace(light, azimuth=-side * abs(light.azimuth))
    if family == "table" and rng.random() < 0.35:
        wall = ""  # the surroundings of the HDRI
    scene = Scene(family, things, camera, light, floor, wall, side)
    if family == "room":
        return replace(scene, back=float(corners[:, 2].min() - rng.uniform(0.15, 1.2)))
    half = np.abs(corners[:, ::2]).max(0)
    top = float(max(2 * half[0] + 0.25, 1.1)), float(max(2 * half[1] + 0.2, 0.75))
    table = pick(rng, usable("table", stock.held_out_scenes)).name
    return replace(scene, table=table, top=top, back=float(-top[1] / 2 - rng.uniform(0.1, 1.6)))


def camera_for(rng: Rng, things: Sequence[Thing], family: str) -> Camera:
    """A view that holds all things, from an angle, height and focal length of its own."""
    corners = np.concatenate([thing.corners() for thing in things])
    middle = (corners.max(0) + corners.min(0)) / 2
    fov = float(rng.uniform(26, 50))
    azimuth = np.radians(rng.uniform(-35, 35))
    low, high = {"table": (14, 48), "room": (8, 32), "street": (5, 24)}[family]
    height = np.radians(rng.uniform(low, high))
    towards = np.array([np.sin(azimuth) * np.cos(height), np.sin(height), np.cos(azimuth) * np.cos(height)])
    near, far = 0.05, 80.0
    for _ in range(30):
        distance = (near * far) ** 0.5
        seen = _camera(middle, towards * distance, fov).project(corners)
        inside = seen[:, 2].min() > 0.02 and np.abs(seen[:, :2] - 0.5).max() < 0.46
        near, far = (near, distance) if inside else (distance, far)
    distance = far * float(rng.uniform(1.0, 1.18))
    shift = rng.uniform(-0.04, 0.04, 3) * distance * np.array([1, 0.6, 0])
    return _camera(middle + shift, towards * distance - shift, fov)


def _camera(target: npt.NDArray[np.float64], offset: npt.NDArray[np.float64], fov: float) -> Camera:
    x, y, z = (float(v) for v in target)
    a, b, c = (float(v) for v in target + offset)
    return Camera((a, max(b, 0.05), c), (x, y, z), fov)


def _things(rng: Rng, stock: Stock, family: str) -> tuple[Thing, ...]:
    low = 0.06 if family == "table" else 0.25
    first = pick(rng, stock.fitting(family, low, 15 if rng.random() < 0.3 else 6))
    things: list[Thing] = []
    reach = pick(rng, stock.nouns[first]).reach
    alike = stock.fitting(family, reach / 2.2, reach * 2.0)
    noun = first
    for _ in range(int(rng.integers(1, 6))):
        model = pick(rng, stock.nouns[noun])
        paint = pick(rng, tuple(COLOURS)) if noun not in UNPAINTED and rng.random() < 0.25 else ""
        thing = new_thing(rng, len(things), noun, model, paint)
        top = (1.6, 1.0) if family == "table" else None
        spread = 0.45 * reach + 0.4 * sum(max(t.size[0], t.size[2]) for t in things)
        if (placed := settle(rng, thing, things, spread, top)) is not None:
            things.append(placed)
            if model.place == "top" and rng.random() < 0.7:
                small = carried(rng, stock, len(things), placed, model, things)
                things += [small] if small else []
        if rng.random() < 0.75:
            noun = pick(rng, alike or [first])
    if rng.random() < 0.3:
        top = (1.6, 1.0) if family == "table" else None
        board = settle(rng, sign(rng, len(things), reach), things, 0.8 * reach + 0.4, top)
        things += [board] if board else []
    return tuple(things)


def _light(rng: Rng, stock: Stock, family: str, camera: Camera) -> Light:
    """The lamp stands beside or behind the camera, where it is neither seen nor behind a wall."""
    names = (HELD_OUT_LIGHTS if stock.held_out_scenes else LIGHTS)[family]
    warmth = float(rng.uniform(-0.06, 0.06))
    own = float(np.degrees(np.arctan2(camera.eye[0] - camera.target[0], camera.eye[2] - camera.target[2])))
    beside = float(np.clip(own + rng.uniform(-75, 75), -85, 85))
    azimuth = float(rng.uniform(-180, 180)) if family == "street" else beside
    key = float(rng.uniform(0.5, 2.0)) if rng.random() < 0.65 else 0.0
    return Light(
        hdri=pick(rng, names),
        rotation=float(rng.uniform(0, 360)),
        key=key,
        azimuth=azimuth,
        height=float(rng.uniform(28, 65)),
        tint=(1 + warmth, 1.0, 1 - warmth),
    )
