"""From a scene to pixels: Mitsuba 3, one seed per scene, so that what did not change has the same samples."""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from adaptedit.data.render.board import board
from adaptedit.data.render.denoise import denoise
from adaptedit.data.render.obj import box_mapped, read_ply, write_ply
from adaptedit.data.render.scalar import mitsuba
from adaptedit.data.render.scene import Scene, Thing
from adaptedit.data.render.surfaces import COLOURS, METALS, SURFACES, picture
from adaptedit.pictures.read import read_image

Floats = npt.NDArray[np.float32]
DEPTH = 4  # path length: two bounces of diffuse light beside the direct one
FINE = 4  # the outlines are sampled on a grid this many times finer
TABLE_HEIGHT = 0.74


@dataclass(frozen=True)
class Frame:
    """light: (h, w, 3) linear, denoised. depth: (h, w) metres, 0 where nothing is hit. cover: how much of
    each pixel a thing's key, or "floor", "wall", "table" takes, (h, w) in [0, 1]. albedo: (h, w, 3) linear.
    """

    light: Floats
    depth: Floats
    albedo: Floats
    cover: dict[int | str, Floats]


class Engine:
    """Renders scenes from a folder as `fetch` leaves it."""

    def __init__(self, folder: Path, size: int, spp: int) -> None:
        self.folder, self.size, self.spp = folder, size, spp
        self.mi = mitsuba()

    def render(self, scene: Scene, seed: int) -> Frame:
        mi = self.mi
        shapes, owners = self._shapes(scene)
        world = mi.load_dict(
            {
                "type": "scene",
                "sensor": self._sensor(scene, self.size),
                "fine": self._sensor(scene, self.size * FINE),
                **self._lights(scene),
                **shapes,
            },
            optimize=False,  # it would merge shapes, and with them their names
        )
        # One after the other: in one pass, mitsuba takes twice as long.
        light = self._pass(world, {"type": "path", "max_depth": DEPTH}, self.spp, seed)[..., :3]
        guides = {"type": "aov", "aovs": "a:albedo,n:sh_normal,d:depth"}
        seen = self._pass(world, guides, self.spp, seed)
        fine = self._pass(world, {"type": "aov", "aovs": "s:shape_index"}, 1, seed, sensor=1)
        albedo, normal, depth = seen[..., :3], seen[..., 3:6], seen[..., 6]
        light = _without_broken(light)
        names = [shape.id() for shape in world.shapes()]
        cover = _cover(fine, [owners[name] for name in names])
        return Frame(denoise(light, albedo, normal, depth), depth, albedo, cover)

    def _pass(self, world: Any, integrator: dict[str, Any], spp: int, seed: int, sensor: int = 0) -> Floats:
        loaded = self.mi.load_dict(integrator)
        return np.array(
            self.mi.render(world, integrator=loaded, spp=spp, seed=seed, sensor=sensor), np.float32
        )

    def _sensor(self, scene: Scene, size: int) -> dict[str, Any]:
        camera = scene.camera
        return {
            "type": "perspective",
            "fov": camera.fov,
            "to_world": self.mi.ScalarTransform4f().look_at(camera.eye, camera.target, [0, 1, 0]),
            "film": {"type": "hdrfilm", "width": size, "height": size, "rfilter": {"type": "box"}},
            "sampler": {"type": "independent"},
        }

    def _lights(self, scene: Scene) -> dict[str, Any]:
        light, mi = scene.light, self.mi
        pixels = _hdri(self.folder / "lights" / f"{light.hdri}.npy")
        tinted = pixels * np.array(light.tint, np.float32) * light.strength
        turn = mi.ScalarTransform4f().rotate([0, 1, 0], light.rotation)
        lights: dict[str, Any] = {
            "sky": {"type": "envmap", "bitmap": mi.Bitmap(tinted.astype(np.float32)), "to_world": turn}
        }
        if light.key:
            azimuth, height = math.radians(light.azimuth), math.radians(light.height)
            towards = np.array(
                [math.sin(azimuth) * math.cos(height), math.sin(height), math.cos(azimuth) * math.cos(height)]
            )
            colour = np.array(light.tint) * np.array([1.0, 0.93, 0.82]) * light.key * light.strength * math.pi
            if scene.family == "street":
                lights["sun"] = {
                    "type": "directional",
                    "direction": (-towards).tolist(),
                    "irradiance": {"type": "rgb", "value": colour.tolist()},
                }
            else:  # a soft lamp: a square, a quarter of its distance wide
                far = 1.2 * math.dist(scene.camera.eye, scene.camera.target)
                place = mi.ScalarTransform4f().look_at((towards * far).tolist(), [0, 0.4, 0], [0.01, 1, 0.02])
                lights["lamp"] = {
                    "type": "rectangle",
                    "to_world": place @ mi.ScalarTransform4f().scale(far / 8),
                    "emitter": {
                        "type": "area",
                        "radiance": {"type": "rgb", "value": (colour * 16).tolist()},
                    },
                }
        return lights

    def _shapes(self, scene: Scene) -> tuple[dict[str, Any], dict[str, int | str]]:
        shapes, owners = self._stage(scene)
        for thing in scene.things:
            parts = self._board(thing) if not thing.model else self._model(thing)
            for number, part in enumerate(parts):
                shapes[f"thing_{thing.key}_{number}"] = part
                owners[f"thing_{thing.key}_{number}"] = thing.key
        return shapes, owners

    def _stage(self, scene: Scene) -> tuple[dict[str, Any], dict[str, int | str]]:
        """Floor, walls and table top; names to owners ("lamp" is nobody's)."""
        place = self.mi.ScalarTransform4f()
        stage: dict[str, Any] = {}
        owners: dict[str, int | str] = {"lamp": "lamp"}
        ground = -TABLE_HEIGHT if scene.family == "table" else 0.0
        reach = 40.0 if scene.family == "street" else 6.0
        flat = place.translate([0, ground, 0]).rotate([1, 0, 0], -90).scale(reach)
        stage["floor"] = self._plane(flat, scene.floor, 2 * reach)
        if scene.wall:
            upright = place.translate([0, ground + 3, scene.back]).scale([6, 3, 1])
            stage["wall"] = self._plane(upright, scene.wall, 12, 6)
            if scene.side:
                aside = place.translate([scene.side * 3.2, ground + 3, 0])
                aside = aside.rotate([0, 1, 0], -90 * scene.side).scale([6, 3, 1])
                stage["wall2"] = self._plane(aside, scene.wall, 12, 6)
        if scene.table:
            slab = place.translate([0, -0.02, 0]).scale([scene.top[0] / 2, 0.02, scene.top[1] / 2])
            stage["table"] = {
                "type": "cube",
                "to_world": slab,
                "bsdf": self._surface(scene.table, scene.top[0], scene.top[1]),
            }
        for name in stage:
            owners[name] = "wall" if name == "wall2" else name
        return stage, owners

    def _plane(self, place: Any, surface: str, width: float, height: float | None = None) -> dict[str, Any]:
        return {
            "type": "rectangle",
            "to_world": place,
            "bsdf": self._surface(surface, width, height or width),
        }

    def _surface(self, name: str, width: float, height: float) -> dict[str, Any]:
        tile = SURFACES[name].tile
        repeat = self.mi.ScalarTransform3f().scale([width / tile, height / tile])
        return _diffuse(self._bitmap(picture(name, self.folder / "textures"), repeat))

    def _bitmap(self, pixels: npt.NDArray[np.uint8], repeat: Any = None) -> dict[str, Any]:
        bitmap = {"type": "bitmap", "bitmap": self.mi.Bitmap(np.array(pixels)), "wrap_mode": "repeat"}
        return bitmap | ({} if repeat is None else {"to_uv": repeat})

    def _model(self, thing: Thing) -> list[dict[str, Any]]:
        folder = self.folder / "models" / thing.model
        record = _record(folder)
        size = [s / r for s, r in zip(thing.size, record["size"], strict=True)]
        place = self.mi.ScalarTransform4f().translate([thing.x, thing.y, thing.z])
        place = place.rotate([0, 1, 0], thing.turn).scale(size)
        clad = thing.paint in SURFACES
        parts = []
        for number, part in enumerate(record["parts"]):
            file = _boxed(folder / f"{number}.ply") if clad and part["main"] else folder / f"{number}.ply"
            bsdf = self._material(part, folder, thing.paint, max(thing.size))
            mesh = {"type": "ply", "filename": str(file), "face_normals": not part["smooth"]}
            parts.append(mesh | {"to_world": place, "bsdf": bsdf})
        return parts

    def _material(self, part: dict[str, Any], folder: Path, paint: str, reach: float) -> dict[str, Any]:
        texture = None if part["texture"] is None else _texture(folder / part["texture"])
        reflectance: dict[str, Any] = {"type": "rgb", "value": _linear(part["colour"])}
        if texture is not None:
            reflectance = self._bitmap(texture[..., :3])
        shiny = part["specular"] > 0.25
        if paint and part["main"]:
            if paint in METALS:
                colour, roughness = METALS[paint]
                metal = {"type": "roughconductor", "material": "none", "alpha": roughness}
                return _two_sided(metal | {"specular_reflectance": {"type": "rgb", "value": list(colour)}})
            if paint in SURFACES:
                tiles = reach / SURFACES[paint].tile  # along it; a small thing has a small pattern
                repeat = self.mi.ScalarTransform3f().scale(max(tiles, 1.5) / reach)
                reflectance = self._bitmap(picture(paint, self.folder / "textures"), repeat)
            elif texture is not None:
                reflectance = self._bitmap(_dyed(texture[..., :3], COLOURS[paint]))
            else:
                reflectance = {"type": "rgb", "value": _linear(COLOURS[paint])}
        bsdf = _diffuse(reflectance)
        if shiny and texture is None and part["opacity"] > 0.95 and not (paint in SURFACES and part["main"]):
            glossy = {"type": "roughplastic", "diffuse_reflectance": reflectance, "alpha": 0.15}
            bsdf = _two_sided(glossy)
        if texture is not None and texture.shape[2] == 4:
            return {"type": "mask", "opacity": self._opacity(texture[..., 3]), "bsdf": bsdf}
        if part["opacity"] < 0.95:
            return {"type": "mask", "opacity": max(0.2, part["opacity"]), "bsdf": bsdf}
        return bsdf

    def _opacity(self, alpha: npt.NDArray[np.uint8]) -> dict[str, Any]:
        grey = (alpha > 127).astype(np.float32)[..., None]
        return {"type": "bitmap", "bitmap": self.mi.Bitmap(grey), "raw": True, "filter_type": "nearest"}

    def _board(self, thing: Thing) -> list[dict[str, Any]]:
        """A thin box with a picture of its text before it."""
        width, height, depth = thing.size
        place = self.mi.ScalarTransform4f().translate([thing.x, thing.y, thing.z])
        place = place.rotate([0, 1, 0], thing.turn)
        box = place.translate([0, height / 2, 0]).scale([width / 2, height / 2, depth / 2])
        front = place.translate([0, height / 2, depth / 2 + 0.002]).scale([width / 2, height / 2, 1])
        face = board(thing.text, thing.paint or "white", width / height)
        wood = {"type": "rgb", "value": _linear((0.30, 0.22, 0.15))}
        return [
            {"type": "cube", "to_world": box, "bsdf": _diffuse(wood)},
            {"type": "rectangle", "to_world": front, "bsdf": _diffuse(self._bitmap(face))},
        ]


def _without_broken(light: Floats) -> Floats:
    """Pixels where a sample came out infinite or negative, as on some models' thin triangles, take the
    median of those around them."""
    broken = np.any(~np.isfinite(light) | (light < 0), axis=2, keepdims=True)
    zeroed = np.where(broken, 0, light)
    return np.asarray(np.where(broken, ndimage.median_filter(zeroed, (3, 3, 1)), zeroed), np.float32)


def _cover(fine: Floats, owners: list[int | str]) -> dict[int | str, Floats]:
    size = fine.shape[0] // FINE
    index = np.round(fine[..., 0]).astype(int) - 1  # mitsuba counts from 1; 0 is the sky
    cover: dict[int | str, Floats] = {}
    for number, owner in enumerate(owners):
        hit = (index == number).reshape(size, FINE, size, FINE).mean((1, 3), dtype=np.float32)
        cover[owner] = cover[owner] + hit if owner in cover else hit
    return cover


@lru_cache(maxsize=32)
def _hdri(path: Path) -> Floats:
    """Scaled so that a grey card facing up receives 1. The sun's core is capped, for less noise."""
    pixels = np.asarray(np.load(path), np.float32)
    height = np.cos(np.linspace(0, np.pi, len(pixels)))[:, None]  # of each row: 1 is straight up
    area = np.sin(np.linspace(0, np.pi, len(pixels)))[:, None] * np.pi / len(pixels) * np.pi / len(pixels)
    received = (pixels.mean(2) * np.maximum(height, 0) * area).sum() / np.pi
    return np.asarray(np.minimum(pixels / received, 3000), np.float32)


@lru_cache(maxsize=512)
def _record(folder: Path) -> dict[str, Any]:
    """model.json, with "main" for the parts that a colour goes to: the largest, and those like it."""
    record: dict[str, Any] = json.loads((folder / "model.json").read_text("utf-8"))
    solid = [part for part in record["parts"] if part["opacity"] > 0.5] or record["parts"]
    largest = max(solid, key=lambda part: part["area"])
    for part in record["parts"]:
        near = math.dist(part["colour"], largest["colour"]) < 0.25 and part["texture"] == largest["texture"]
        part["main"] = part is largest or near or part["area"] > 0.6 * largest["area"]
    return record


@lru_cache(maxsize=256)
def _texture(path: Path) -> npt.NDArray[np.uint8]:
    return np.asarray(read_image(path))


@cache
def _boxed(path: Path) -> Path:
    """The part's file with texture coordinates in metres, made when it is first asked for."""
    boxed = path.with_suffix(".box.ply")
    if not boxed.is_file():
        unfinished = boxed.with_suffix(f".{os.getpid()}.tmp")  # another shard may write it too
        write_ply(unfinished, box_mapped(read_ply(path)))
        unfinished.replace(boxed)
    return boxed


def _dyed(pixels: npt.NDArray[np.uint8], colour: tuple[float, float, float]) -> npt.NDArray[np.uint8]:
    """The texture's light and dark in one colour."""
    luma = pixels.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32) / 255
    shade = np.clip(luma / max(float(luma.mean()), 0.05), 0.35, 1.6)[..., None]
    return np.asarray(np.clip(np.array(colour) * shade, 0, 1) * 255, np.uint8)


def _linear(colour: tuple[float, ...] | list[float]) -> list[float]:
    """Display values to reflectances, never quite black or white."""
    return [min(max(value, 0.03) ** 2.2, 0.85) for value in colour]


def _diffuse(reflectance: dict[str, Any]) -> dict[str, Any]:
    return _two_sided({"type": "diffuse", "reflectance": reflectance})


def _two_sided(bsdf: dict[str, Any]) -> dict[str, Any]:
    return {"type": "twosided", "bsdf": bsdf}
