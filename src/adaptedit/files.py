"""Files out: whole or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from adaptedit.errors import AdaptEditError


def write_atomically(path: str | Path, data: bytes) -> None:
    """Writes `data` beside `path`, then renames: a reader sees the old file or the new one, never a part."""
    path = Path(path)
    if path.is_dir():
        raise AdaptEditError(f"{path}: is a folder; give the path of a file to write")
    if not path.parent.is_dir():
        raise AdaptEditError(f"{path}: the folder {path.parent} does not exist; create it first")
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        temporary.write_bytes(data)
        os.replace(temporary, path)
    except OSError as error:
        raise AdaptEditError(f"{path}: cannot be written ({error.strerror or error})") from None
    finally:
        temporary.unlink(missing_ok=True)
