"""What one visitor has done: the picture in the editor, what is marked on it, and the edits so far."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

from adaptedit.interfaces.ui.canvas import Canvas
from adaptedit.interfaces.ui.previews import thumbnail
from adaptedit.pictures.picture import Picture
from adaptedit.region import Region

MOST_EDITS = 20  # kept in a history; each holds whole pictures


@dataclass(frozen=True, eq=False, kw_only=True)
class Edit:
    """One edit, which is never changed but for `chosen`.

    before, canvas: what it was made from and what was marked there. region: what was edited.
    results: the candidates; chosen: the one that the user looks at. seeds: theirs.
    """

    before: Picture
    canvas: Canvas
    instruction: str
    region: Region
    results: tuple[Picture, ...]
    seeds: tuple[int | None, ...]
    seconds: float
    chosen: int = 0

    @property
    def after(self) -> Picture:
        return self.results[self.chosen]

    @cached_property
    def thumbnails(self) -> list[str]:
        return [thumbnail(result) for result in self.results]


@dataclass(frozen=True, eq=False, kw_only=True)
class Session:
    """One picture and its edits. Handlers take one and return another.

    name: of the file. original: as it came. picture: in the editor. canvas: of `picture`.
    edits: oldest first. shown: index of the one in the result panel, -1 for none.
    stop: set to cancel what is running. folder: for downloads, gone with the session.
    """

    name: str
    original: Picture
    picture: Picture
    canvas: Canvas
    edits: tuple[Edit, ...] = ()
    shown: int = -1
    stop: threading.Event = field(default_factory=threading.Event)
    folder: TemporaryDirectory[str] = field(
        default_factory=lambda: TemporaryDirectory(
            prefix="adaptedit-", dir=os.environ.get("GRADIO_TEMP_DIR"), ignore_cleanup_errors=True
        )
    )

    @classmethod
    def open(cls, path: str | Path, read: Callable[[Path], Picture] | None = None) -> Session:
        """From a file. read: decodes it, by default here. Raises AdaptEditError as `Picture.read`."""
        path = Path(path)
        picture = Picture.read(path, name=path.name) if read is None else read(path)
        return cls(name=path.name, original=picture, picture=picture, canvas=Canvas(size=picture.size))

    def bytes(self) -> int:
        """Memory of its pictures and masks, each counted once."""
        pictures = {id(one): one.bytes for one in (self.original, self.picture)}
        regions = {id(self.canvas.region): self.canvas.region}
        for edit in self.edits:
            pictures |= {id(one): one.bytes for one in (edit.before, *edit.results)}
            regions |= {id(one): one for one in (edit.canvas.region, edit.region)}
        return sum(pictures.values()) + sum(one.mask.nbytes for one in regions.values() if one is not None)

    @property
    def edit(self) -> Edit | None:
        """The one in the result panel."""
        return self.edits[self.shown] if self.shown >= 0 else None

    @cached_property
    def original_thumbnail(self) -> str:
        return thumbnail(self.original)

    def marked(self, region: Region | None, found_for: tuple[str, float] | None = None) -> Session:
        """With another region on a fresh canvas."""
        canvas = Canvas(
            size=self.picture.size, serial=self.canvas.serial + 1, region=region, found_for=found_for
        )
        return replace(self, canvas=canvas)

    def edited(self, edit: Edit) -> Session:
        """With one more edit, shown."""
        edits = (*self.edits, edit)[-MOST_EDITS:]
        return replace(self, edits=edits, shown=len(edits) - 1)

    def showing(self, shown: int) -> Session:
        """With another edit in the result panel; -1 for none. An index that is not there is the nearest."""
        return replace(self, shown=max(-1, min(shown, len(self.edits) - 1)))

    def choosing(self, candidate: int) -> Session:
        """With another candidate of the edit shown."""
        if self.edit is None or not 0 <= candidate < len(self.edit.results):
            return self
        chosen = replace(self.edit, chosen=candidate)
        return replace(self, edits=(*self.edits[: self.shown], chosen, *self.edits[self.shown + 1 :]))

    def again(self) -> Session:
        """With the result shown, or else the original, as the picture to edit, nothing marked on it."""
        return replace(self, picture=self.edit.after if self.edit else self.original).marked(None)

    def undone(self) -> Session:
        """Without the last edit: its picture and what was marked on it are back in the editor."""
        if not self.edits:
            return self
        *edits, last = self.edits
        back = replace(self, edits=tuple(edits), shown=len(edits) - 1, picture=last.before)
        return back.marked(last.canvas.region, last.canvas.found_for)
