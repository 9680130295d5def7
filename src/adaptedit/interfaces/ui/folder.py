"""The folder of a page's files, which goes with the page, or when the next one starts."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

PREFIX, LOCK = "adaptedit-page-", "page.lock"
YOUNG = 60.0  # seconds; a page that starts has its folder a moment before its lock


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A new folder, for this user only. Folders that killed pages of the same user left are removed first."""
    root = Path(tempfile.gettempdir())
    for path in root.glob(f"{PREFIX}*"):
        _remove_if_left(path)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=root))
    lock = FileLock(folder / LOCK)
    try:
        with lock:
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_if_left(folder: Path) -> None:
    with suppress(OSError, Timeout, NotImplementedError):
        status = folder.lstat()  # a link, or another user's folder, is none of ours
        own = not hasattr(os, "getuid") or status.st_uid == os.getuid()
        if not own or folder.is_symlink() or time.time() - status.st_mtime < YOUNG:
            return
        with FileLock(folder / LOCK, timeout=0):  # an ended process holds no lock
            pass
        shutil.rmtree(folder, ignore_errors=True)
