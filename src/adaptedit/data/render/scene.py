"""A scene in words and numbers: all that a picture depends on. Metres, y up, the camera looks towards -z."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

Vector = tuple[float, float, float]


@dataclass(frozen=True)
class Thing:
    """An object. key: who it is, the same in every turn. (x, y, z): the middle of its foot. turn: about y,
    degrees. on: the key of the thing that carries it, None for the floor or the table top.

    model: a model's key, or "" for a board that shows `text`. paint: a colour's name, a material's
    (a surface's or a metal's), or "" as it came.
    """

    key: int
    noun: str
    model: str
    x: float
    y: float
    z: float
    turn: float
    size: Vector
    on: int | None = None
    paint: str = ""
    text: str = ""

    def corners(self) -> npt.NDArray[np.float64]:
        """(8, 3) corners of its turned box."""
        half = np.array([self.size[0] / 2, 0, self.size[2] / 2])
        box = np.array([[i, 0, k] for i in (-1, 1) for k in (-1, 1)]) * half
        turn = np.radians(self.turn)
        cos, sin = np.cos(turn), np.sin(turn)
        across = box @ np.array([[cos, 0, -sin], [0, 1, 0], [sin, 0, cos]])
        foot = across + np.array([self.x, self.y, self.z])
        return np.concatenate([foot, foot + np.array([0, self.size[1], 0])])

    def front(self) -> npt.NDArray[np.float64]:
        """(4, 3) corners of the side that faces +z before the turn, in order around it."""
        return self.corners()[[1, 3, 7, 5]]


@dataclass(frozen=True)
class Light:
    """hdri: a fetched light. rotation: degrees about y. strength: relative to the picture's usual exposure.
    key: strength of an extra lamp or sun, 0 for none, from azimuth and height in degrees. tint: of it all."""

    hdri: str
    rotation: float
    strength: float = 1.0
    key: float = 0.0
    azimuth: float = 0.0
    height: float = 45.0
    tint: Vector = (1.0, 1.0, 1.0)
    fog: float = 0.0  # optical depth per metre, relative to the camera's distance


@dataclass(frozen=True)
class Camera:
    eye: Vector
    target: Vector
    fov: float  # degrees, across the square picture

    def frame(self) -> npt.NDArray[np.float64]:
        """Rows: right, up, forward."""
        forward = np.array(self.target) - np.array(self.eye)
        forward /= np.linalg.norm(forward)
        right = np.cross(forward, [0, 1, 0])
        right /= np.linalg.norm(right)
        return np.stack([right, np.cross(right, forward), forward])

    def project(self, points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """(n, 3) -> (n, 3): x right and y down in [0, 1] inside the picture, and the depth in metres."""
        seen = (points - np.array(self.eye)) @ self.frame().T
        depth = np.maximum(seen[:, 2], 1e-3)
        span = 2 * depth * np.tan(np.radians(self.fov / 2))
        return np.stack([0.5 + seen[:, 0] / span, 0.5 - seen[:, 1] / span, seen[:, 2]], 1)


@dataclass(frozen=True)
class Scene:
    """family: table, room or street. floor, wall, table: surfaces' names, "" for none."""

    family: str
    things: tuple[Thing, ...]
    camera: Camera
    light: Light
    floor: str
    wall: str = ""
    side: int = 0  # -1, 1: a second wall on the left or the right
    table: str = ""
    back: float = -2.0  # z of the wall
    top: tuple[float, float] = (1.4, 0.9)  # width and depth of the table top

    def thing(self, key: int) -> Thing:
        return next(thing for thing in self.things if thing.key == key)

    def without(self, key: int) -> Scene:
        """Without a thing and all that stands on it."""
        return replace(self, things=tuple(t for t in self.things if key not in (t.key, t.on)))

    def changed(self, thing: Thing) -> Scene:
        return replace(self, things=tuple(thing if t.key == thing.key else t for t in self.things))

    def added(self, thing: Thing) -> Scene:
        return replace(self, things=(*self.things, thing))
