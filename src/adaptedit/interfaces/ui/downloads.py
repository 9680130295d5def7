"""Files to take home: made when they are asked for, at the picture's own size and depth."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from adaptedit.errors import AdaptEditError
from adaptedit.interfaces.ui.session import Session
from adaptedit.pictures.save import check_format, save

LONGEST_STEM = 60  # characters; a name has at most 255 bytes

Kind = Literal["picture", "png", "mask"]


def suffix(session: Session) -> str:
    """Of the picture's file: the format that it came in, or PNG if that cannot be written or hold it."""
    found = Path(session.name).suffix.lower()
    try:
        check_format(found, session.original.mode, session.original.size)
    except AdaptEditError:
        return ".png"
    return found


def write(session: Session | None, kind: Kind) -> str:
    """The path of the file in the session's folder, where it takes the last one's place.

    Raises AdaptEditError if there is no result yet.
    """
    if session is None or session.edit is None:
        raise AdaptEditError("there is no result to download yet; edit the picture first")
    folder = Path(session.folder.name)
    for old in folder.iterdir():
        old.unlink()
    stem = Path(session.name).stem[:LONGEST_STEM]
    if kind == "mask":
        path = folder / f"{stem}-region.png"
        session.edit.region.save(path)
    else:
        path = folder / f"{stem}-edited{'.png' if kind == 'png' else suffix(session)}"
        save(session.edit.after.original, path)
    return str(path)
