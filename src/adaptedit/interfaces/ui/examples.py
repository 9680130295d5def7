"""Pictures to try the page with, which also stand in the repository's `examples/`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from adaptedit.interfaces.ui import previews
from adaptedit.pictures.picture import Picture

HERE = Path(__file__).parent
FOLDERS = (HERE / "examples", HERE.parents[3] / "examples")  # in a wheel, in a checkout
INSTRUCTIONS = {
    "desk.png": "remove the apple",
    "party.jpg": "turn the balloon blue",
    "shelf.jpg": "turn the umbrella green",
    "tea.jpg": "replace the strawberry with a lemon",
    "lawn.png": "remove the banana",
}


@dataclass(frozen=True)
class Example:
    path: Path
    instruction: str

    @cached_property
    def thumbnail(self) -> str:
        return previews.thumbnail(Picture.open(self.path))


def examples() -> list[Example]:
    """Those that are there."""
    folder = next((folder for folder in FOLDERS if (folder / "desk.png").is_file()), None)
    if folder is None:
        return []
    return [
        Example(folder / name, words) for name, words in INSTRUCTIONS.items() if (folder / name).is_file()
    ]
