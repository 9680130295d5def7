"""Wavefront OBJ with MTL, read once and baked to binary PLY parts, one per material.

Written here because trimesh changes textures or their coordinates in 14 of the 451 models ("Own code beside
libraries" in LOG.md).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from adaptedit.errors import AdaptEditError

Floats = npt.NDArray[np.float32]
_NONE = -1  # a corner without texture coordinates or without a normal


@dataclass
class Material:
    """colour: display (sRGB) values in [0, 1]. texture: a picture file, or None. opacity: 1 = solid."""

    colour: tuple[float, float, float] = (0.7, 0.7, 0.7)
    specular: float = 0.0
    opacity: float = 1.0
    texture: Path | None = None


@dataclass
class Part:
    """The triangles of one material. points, normals (n, 3), uvs (n, 2); faces (m, 3) into them."""

    points: Floats
    normals: Floats | None
    uvs: Floats
    faces: npt.NDArray[np.int32]
    material: Material = field(default_factory=Material)


def read_obj(path: Path) -> list[Part]:
    """The parts of a model. Polygons become fans, negative indices count from the end, a missing MTL or
    picture leaves a grey material, and corners that name no vertex drop their polygon.

    AdaptEditError if no triangle is left.
    """
    points: list[list[float]] = []
    uvs: list[list[float]] = []
    normals: list[list[float]] = []
    materials: dict[str, Material] = {}
    corners: dict[str, list[tuple[int, int, int]]] = {}
    current = ""
    for line in path.read_text("utf-8", errors="replace").splitlines():
        words = line.split()
        match words[:1]:
            case ["v"]:
                points.append([float(word) for word in words[1:4]])
            case ["vt"]:
                uvs.append([float(word) for word in words[1:3]])
            case ["vn"]:
                normals.append([float(word) for word in words[1:4]])
            case ["usemtl"]:
                current = " ".join(words[1:])
            case ["mtllib"]:
                materials |= read_mtl(path.parent / " ".join(words[1:]))
            case ["f"]:
                counts = len(points), len(uvs), len(normals)
                polygon = [_corner(word, counts) for word in words[1:]]
                if all(corner[0] != _NONE for corner in polygon):
                    fan = corners.setdefault(current, [])
                    for second, third in zip(polygon[1:], polygon[2:], strict=False):
                        fan += [polygon[0], second, third]
    parts = [
        _part(np.array(fan), points, uvs, normals, materials.get(name, Material()))
        for name, fan in corners.items()
        if fan
    ]
    if not parts:
        raise AdaptEditError(f"{path}: holds no triangles; give a Wavefront OBJ model")
    return parts


def read_mtl(path: Path) -> dict[str, Material]:
    """Materials by name; {} if there is no such file."""
    materials: dict[str, Material] = {}
    if not path.is_file():
        return materials
    material = Material()
    for line in path.read_text("utf-8", errors="replace").splitlines():
        words = line.split()
        match words[:1]:
            case ["newmtl"]:
                material = materials.setdefault(" ".join(words[1:]), Material())
            case ["Kd"] if len(words) >= 4:
                red, green, blue = (min(max(float(word), 0), 1) for word in words[1:4])
                material.colour = red, green, blue
            case ["Ks"] if len(words) >= 4:
                material.specular = sum(float(word) for word in words[1:4]) / 3
            case ["d"]:
                material.opacity = float(words[-1])
            case ["map_Kd"]:
                picture = path.parent / words[-1]
                material.texture = picture if picture.is_file() else None
    return materials


def without_twins(parts: list[Part]) -> list[Part]:
    """Without triangles that lie exactly on an earlier one, whichever way they face: light would be lost
    between the two."""
    corners = [part.points[part.faces] for part in parts]
    everything = np.concatenate(corners)
    grid = np.round(everything / max(float(np.ptp(everything)), 1e-9) * 1e5).astype(np.int64)
    keys = (grid * np.array([1, 1 << 20, 1 << 40])).sum(2)  # one number per corner
    _, first = np.unique(np.sort(keys, axis=1), axis=0, return_index=True)
    kept = np.zeros(len(everything), bool)
    kept[first] = True
    start = 0
    for part in parts:
        part.faces = part.faces[kept[start : (start := start + len(part.faces))]]
    return [part for part in parts if len(part.faces)]


def write_ply(path: Path, part: Part) -> None:
    """Binary little-endian PLY as mitsuba reads it; normals only if the part has them."""
    names = ["x", "y", "z", *(["nx", "ny", "nz"] if part.normals is not None else []), "u", "v"]
    columns = [part.points, *([part.normals] if part.normals is not None else []), part.uvs]
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {len(part.points)}"]
    header += [f"property float {name}" for name in names]
    header += [f"element face {len(part.faces)}", "property list uchar int vertex_indices", "end_header", ""]
    faces = np.empty(len(part.faces), [("count", "u1"), ("corners", "<i4", 3)])
    faces["count"], faces["corners"] = 3, part.faces
    vertices = np.concatenate(columns, axis=1).astype("<f4")
    path.write_bytes("\n".join(header).encode() + vertices.tobytes() + faces.tobytes())


def box_mapped(part: Part, scale: float = 1.0) -> Part:
    """The same triangles, each textured along the axis that it faces most; `scale` metres per tile."""
    points = part.points[part.faces.ravel()]
    triangles = points.reshape(-1, 3, 3)
    normal = np.abs(np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]))
    axes = np.array([[2, 1], [0, 2], [0, 1]])[normal.argmax(1)]  # which two coordinates become (u, v)
    uvs = np.take_along_axis(triangles, np.repeat(axes[:, None], 3, 1), 2).reshape(-1, 2) / scale
    normals = None if part.normals is None else part.normals[part.faces.ravel()]
    faces = np.arange(len(points), dtype=np.int32).reshape(-1, 3)
    return Part(points, normals, uvs.astype(np.float32), faces, part.material)


def _corner(word: str, counts: tuple[int, int, int]) -> tuple[int, int, int]:
    found = [_NONE, _NONE, _NONE]
    for place, digits in enumerate(word.split("/")[:3]):
        if digits.lstrip("-").isdigit():
            index = int(digits)
            index = index - 1 if index > 0 else counts[place] + index
            found[place] = index if 0 <= index < counts[place] else _NONE
    return found[0], found[1], found[2]


def _part(
    fan: npt.NDArray[np.int64],
    points: list[list[float]],
    uvs: list[list[float]],
    normals: list[list[float]],
    material: Material,
) -> Part:
    unique, inverse = np.unique(fan, axis=0, return_inverse=True)
    faces = inverse.reshape(-1, 3).astype(np.int32)
    place = np.array(points, np.float32)[unique[:, 0]]
    uv = np.zeros((len(unique), 2), np.float32)
    if (has := unique[:, 1] != _NONE).any():
        uv[has] = np.array(uvs, np.float32)[unique[has, 1]] * (1, -1) + (0, 1)  # v down, as pictures have it
    if (unique[:, 2] == _NONE).any():
        return Part(place, None, uv, faces, material)
    normal = np.array(normals, np.float32)[unique[:, 2]]
    corner = place[faces]
    facing = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    reverse = (facing * normal[faces].sum(1)).sum(1) < 0  # wound against its own normals
    faces[reverse] = faces[reverse][:, ::-1]
    return Part(place, normal, uv, faces, material)


def read_ply(path: Path) -> Part:
    """What `write_ply` wrote."""
    data = path.read_bytes()
    header, _, body = data.partition(b"end_header\n")
    words = header.decode().split()
    vertices, faces = int(words[words.index("vertex") + 1]), int(words[words.index("face") + 1])
    columns = words.count("float")
    floats = np.frombuffer(body, "<f4", vertices * columns).reshape(vertices, columns)
    triangles = np.frombuffer(body, [("n", "u1"), ("corners", "<i4", 3)], faces, vertices * columns * 4)
    normals = floats[:, 3:6].copy() if columns == 8 else None
    return Part(floats[:, :3].copy(), normals, floats[:, -2:].copy(), triangles["corners"].copy())
