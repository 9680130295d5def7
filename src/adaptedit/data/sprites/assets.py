"""Fetch the pictures that synthetic pairs are made of, by package name, and pack them into one file.

Objects: `@lobehub/fluent-emoji-3d` from npm (Microsoft Fluent emoji, MIT). Textures: `miniworld` from PyPI
(Apache-2.0). Nothing but the packages' own clients is used, so mirrors and proxies set up for them work.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from adaptedit.data.sprites.nouns import HELD_OUT, TRAIN
from adaptedit.errors import AdaptEditError
from adaptedit.pictures.read import read_image

EMOJI_PACKAGE = "@lobehub/fluent-emoji-3d@1.1.0"
TEXTURE_PACKAGE = "miniworld==2.1.0"
SPRITE_SIZE = 192  # pixels, longest side of a packed object
TEXTURE_SIZE = 256

TRAIN_TEXTURES = (
    "brick_wall_1", "cardboard_1", "cardboard_3", "ceiling_tiles_1", "cinder_blocks_1", "concrete_1",
    "concrete_3", "concrete_4", "drywall_1", "floor_tiles_white", "grass_1", "marble_1", "metal_grill_1",
    "rock_1", "stucco_1", "water_1", "water_3", "wood_1", "wood_planks_1", "asphalt_1",
)  # fmt: skip
HELD_OUT_TEXTURES = (
    "cardboard_2",
    "concrete_2",
    "concrete_tiles_1",
    "grass_2",
    "marble_2",
    "water_2",
    "wood_2",
)

ATTRIBUTION = """Pictures in this folder's pack, and where they come from
objects   npm package @lobehub/fluent-emoji-3d 1.1.0, the Fluent emoji of Microsoft Corporation, MIT licence
textures  PyPI package miniworld 2.1.0, Farama Foundation, Apache-2.0 licence
"""


def default_folder() -> Path:
    """Where the pack lives unless told otherwise: $ADAPTEDIT_ASSETS or ~/.cache/adaptedit/assets."""
    return Path(os.environ.get("ADAPTEDIT_ASSETS") or Path.home() / ".cache" / "adaptedit" / "assets")


def fetch(folder: Path | None = None) -> Path:
    """Download both packages with npm and pip, pack what the small world needs; returns the pack's path.

    Raises AdaptEditError if npm or pip is missing or fails.
    """
    folder = folder or default_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        emoji = _download(["npm", "pack", EMOJI_PACKAGE], Path(temporary), "*.tgz")
        textures = _download(
            [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", ".", TEXTURE_PACKAGE],
            Path(temporary),
            "*.whl",
        )
        arrays = {f"object/{name}": picture for name, picture in _objects(emoji).items()}
        arrays |= {f"texture/{name}": picture for name, picture in _textures(textures).items()}
    pack = folder / "pack.npz"
    np.savez_compressed(folder / "pack.tmp.npz", **arrays)  # type: ignore[arg-type]
    (folder / "pack.tmp.npz").replace(pack)
    (folder / "ATTRIBUTION").write_text(ATTRIBUTION)
    return pack


def load(folder: Path | None = None) -> dict[str, npt.NDArray[np.uint8]]:
    """The pack: "object/<noun>" (h, w, 4) uint8 RGBA and "texture/<name>" (256, 256, 3) uint8.

    Raises AdaptEditError if it was not fetched yet.
    """
    pack = (folder or default_folder()) / "pack.npz"
    if not pack.exists():
        raise AdaptEditError(
            f"no assets at {pack}: run `adaptedit data fetch` first (about 55 MB of downloads)"
        )
    with np.load(pack) as arrays:
        return {name: arrays[name] for name in arrays.files}


def _download(command: list[str], folder: Path, pattern: str) -> Path:
    if shutil.which(command[0]) is None:
        raise AdaptEditError(
            f"{command[0]} is needed to fetch the assets and was not found: install it and try again"
        )
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    found = sorted(folder.glob(pattern))
    if done.returncode or not found:
        reason = (done.stderr or done.stdout).strip().splitlines()
        raise AdaptEditError(f"`{' '.join(command)}` failed: {reason[-1] if reason else 'no output'}")
    return found[0]


def _objects(archive: Path) -> dict[str, npt.NDArray[np.uint8]]:
    wanted = {f"package/assets/{noun.emoji}.webp": noun.name for noun in TRAIN + HELD_OUT if noun.emoji}
    objects = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.name in wanted and (file := tar.extractfile(member)) is not None:
                picture = read_image(file.read(), member.name).convert("RGBA")
                picture = picture.crop(picture.getchannel("A").point(lambda a: 255 * (a > 8)).getbbox())
                picture.thumbnail((SPRITE_SIZE, SPRITE_SIZE), Image.Resampling.LANCZOS)
                objects[wanted[member.name]] = np.asarray(picture)
    if missing := set(wanted.values()) - set(objects):
        raise AdaptEditError(f"{EMOJI_PACKAGE} lacks the pictures of: {', '.join(sorted(missing))}")
    return objects


def _textures(wheel: Path) -> dict[str, npt.NDArray[np.uint8]]:
    textures = {}
    with zipfile.ZipFile(wheel) as archive:
        for name in TRAIN_TEXTURES + HELD_OUT_TEXTURES:
            picture = read_image(archive.read(f"miniworld/textures/{name}.png"), name).convert("RGB")
            textures[name] = np.asarray(
                picture.resize((TEXTURE_SIZE, TEXTURE_SIZE), Image.Resampling.LANCZOS)
            )
    return textures
