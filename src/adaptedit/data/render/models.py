"""The models that may be drawn: what each is called, where it belongs, and how large it is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from adaptedit.data.sprites.assets import default_folder
from adaptedit.errors import AdaptEditError

PLACES = ("hand", "top", "room", "street", "any")
LIBRARIES = {
    "cc0": "BlendSwap-CC-0",
    "by": "BlendSwap-CC-BY",
    "kator": "KatorLegaz",
    "reallusion": "Reallusion",
    "scopia": "Scopia",
}


@dataclass(frozen=True)
class Model:
    """size: width (x), height (y), depth (z) in metres. top: height at which things stand on it.

    key: LIBRARY/NAME, the folder of its parts below `folder`.
    """

    key: str
    noun: str
    place: str
    held_out: bool
    size: tuple[float, float, float]
    top: float
    folder: Path

    @property
    def reach(self) -> float:
        return max(self.size)


def chosen() -> dict[str, tuple[str, str, bool]]:
    """Model key -> (noun, place, held out), as models.txt lists them."""
    found = {}
    for line in resources.files(__package__).joinpath("models.txt").read_text("utf-8").splitlines():
        if not line.startswith("#"):
            name, _, keys = line.partition(" = ")
            place, _, noun = name.partition(": ")
            for key in keys.split():
                found[key] = noun.rstrip("*"), place, noun.endswith("*")
    return found


def render_folder() -> Path:
    """Where `fetch --render` unpacks to."""
    return default_folder() / "render"


def load(folder: Path | None = None) -> list[Model]:
    """Every chosen model that was fetched. AdaptEditError if there is none."""
    folder = folder or render_folder()
    models = []
    for key, (noun, place, held_out) in chosen().items():
        described = folder / "models" / key / "model.json"
        if described.is_file():
            record = json.loads(described.read_text("utf-8"))
            width, height, depth = record["size"]
            models.append(
                Model(key, noun, place, held_out, (width, height, depth), record["top"], described.parent)
            )
    if not models:
        raise AdaptEditError(f"no models at {folder}: run `adaptedit data fetch --render` first (190 MB)")
    return models
