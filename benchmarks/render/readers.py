"""Our reader of OBJ models beside trimesh's, on all models that rendered pairs are made of.

    pip install trimesh
    apt-get download sweethome3d-furniture && dpkg-deb -x sweethome3d-furniture*.deb FOLDER
    python benchmarks/render/readers.py FOLDER

Prints what differs after trimesh's meshes are turned into our parts, and the seconds of each reader.
Triangles without area count for nothing, nor does which corner comes first.
"""

from __future__ import annotations

import sys
import time
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from trimesh.exchange.obj import load_obj
from trimesh.geometry import triangulate_quads
from trimesh.resolvers import FilePathResolver

from adaptedit.data.render.fetch import catalogue
from adaptedit.data.render.models import LIBRARIES, chosen
from adaptedit.data.render.obj import Material, Part, read_obj


def models(package: Path, folder: Path) -> Iterator[tuple[str, Path]]:
    """Key and OBJ file of every model in models.txt, unpacked below `folder`."""
    for short, library in LIBRARIES.items():
        root = folder / library
        with zipfile.ZipFile(next(package.rglob(f"{library}.sh3f"))) as archive:
            archive.extractall(root)
        for name, record in catalogue(root / "PluginFurnitureCatalog.properties").items():
            if f"{short}/{name}" in chosen():
                yield f"{short}/{name}", root / record["model"].lstrip("/")


def read_by_trimesh(path: Path) -> list[Part]:
    """What `read_obj` gives, from trimesh. KeyError if an opened picture does not say its file."""
    with path.open("rb") as file:
        meshes = load_obj(file, FilePathResolver(str(path)))["geometry"]
    return [_part(mesh, path.parent) for mesh in reversed(meshes.values())]  # it turns the order around


def _part(mesh: dict[str, Any], folder: Path) -> Part:
    points, visual = np.asarray(mesh["vertices"], np.float32), mesh["visual"]
    faces = triangulate_quads(mesh["faces"], np.int32)
    uv = np.zeros((len(points), 2), np.float32)
    if visual is not None and visual.uv is not None:
        uv = visual.uv.astype(np.float32) * np.float32([1, -1]) + np.float32([0, 1])
    normals = mesh.get("vertex_normals")
    if normals is not None:
        normals = normals.astype(np.float32)
        corner = points[faces]
        facing = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
        reverse = (facing * normals[faces].sum(1)).sum(1) < 0
        faces[reverse] = faces[reverse][:, ::-1]
    material = Material()
    if visual is not None:
        described = visual.material.kwargs
        red, green, blue = np.clip(described.get("kd", material.colour), 0, 1).tolist()
        material.colour = red, green, blue
        material.specular = float(np.mean(described.get("ks", 0.0)))
        material.opacity = float(np.ravel(described.get("d", 1.0))[-1])
        if visual.material.image is not None:
            material.texture = folder / visual.material.image.info["file_path"]
    return Part(points, normals, uv, faces, material)


def triangles(part: Part, channels: slice) -> NDArray[np.float32]:
    """(m, 3 C) sorted: the corners' points, normals and uvs, of which `channels` are looked at."""
    normals = np.zeros_like(part.points) if part.normals is None else part.normals
    values = np.concatenate([part.points, normals, part.uvs], axis=1, dtype=np.float32) + 0.0  # no -0
    corner = part.points[part.faces]
    area = [(corner[:, i] != corner[:, (i + 1) % 3]).any(1) for i in range(3)]
    found = np.ascontiguousarray(values[part.faces][np.all(area, axis=0)][..., channels])
    keys = found.view([("", np.float32)] * found.shape[-1])[..., 0]
    first = np.argsort(keys, axis=1)[:, :1]
    found = np.take_along_axis(found, ((first + np.arange(3)) % 3)[..., None], axis=1).reshape(
        len(found), 3 * found.shape[-1]
    )
    return found[np.lexsort(found.T[::-1])]


def differences(ours: Part, theirs: Part) -> set[str]:
    found = set()
    if not np.array_equal(*(triangles(part, np.s_[:6]) for part in (ours, theirs))):
        found.add("triangles or normals")
    elif not np.array_equal(*(triangles(part, np.s_[:8]) for part in (ours, theirs))):
        found.add("texture coordinates")
    if ours.material.texture != theirs.material.texture:
        found.add("texture not found")
    numbers = [[*m.colour, m.specular, m.opacity] for m in (ours.material, theirs.material)]
    if not np.allclose(*numbers, atol=1e-6):
        found.add("material")
    return found


def main(package: Path) -> None:
    seconds = {"ours": 0.0, "trimesh": 0.0}
    found: dict[str, list[str]] = defaultdict(list)
    count, same, parts = 0, 0, 0
    with TemporaryDirectory() as folder:
        for key, path in models(package, Path(folder)):
            start = time.perf_counter()
            ours = read_obj(path)
            seconds["ours"] += time.perf_counter() - start
            count, parts = count + 1, parts + len(ours)
            start = time.perf_counter()
            try:
                theirs = read_by_trimesh(path)
            except KeyError:
                found["texture whose file is not known"].append(key)
                continue
            seconds["trimesh"] += time.perf_counter() - start
            kinds = [kind for pair in zip(ours, theirs, strict=True) for kind in differences(*pair)]
            for kind in kinds:
                found[kind].append(key)
            same += not kinds
    print(f"{count} models of {parts} parts; the same from both readers: {same}")
    for kind, keys in found.items():
        print(f"{kind}: {len(keys)} parts of {len(set(keys))} models, such as {', '.join(keys[:3])}")
    print(", ".join(f"{name} {total:.0f} s" for name, total in seconds.items()))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
