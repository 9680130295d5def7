"""Writes files whole or not at all, and only where their permissions allow it."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from adaptedit.errors import AdaptEditError


def write_atomically(path: str | Path, data: bytes) -> None:
    """Writes a file that readers see as it was before, or complete; never a part of it.

    A symbolic link stays: the file that it points to is replaced. A file that is there keeps its mode, and
    its owner where we may set it; a new one gets what the umask allows. Data for a pipe or a device is
    written into it. Raises AdaptEditError as `check_writable`, and if writing fails.
    """
    check_writable(path)
    target = _target(path)
    if os.path.exists(target) and not target.is_file():
        try:
            target.write_bytes(data)
        except OSError as error:
            raise AdaptEditError(f"{path}: {_cannot(error)}") from error
        return
    with replacing(path) as temporary:
        temporary.write_bytes(data)


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """The body writes to the path that it gets; if it ends well, that file takes the place of `path`.

    As `write_atomically`, for libraries that can write only to a path. An OSError in the body becomes an
    AdaptEditError that names `path`; whatever goes wrong, nothing is left behind.
    """
    check_writable(path)
    target = _target(path)
    temporary = target.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        temporary.touch(exist_ok=False)  # by the umask; some libraries would let only this user read it
        mode = stat.S_IMODE(temporary.stat().st_mode)
        yield temporary
        os.chmod(temporary, mode)
        with suppress(FileNotFoundError):
            _copy_ownership(target, temporary)
        os.replace(temporary, target)
    except OSError as error:
        raise AdaptEditError(f"{path}: {_cannot(error)}") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def check_writable(path: str | Path) -> None:
    """Checks before long work that its result can be written.

    Raises AdaptEditError for a folder, a folder that does not exist or cannot be written to, a name that is
    too long, and a read-only file (for root too, whom the system would not stop).
    """
    folder, target = Path(path).parent, _target(path)
    try:
        parent = os.stat(target.parent)
    except FileNotFoundError:
        raise AdaptEditError(f"{path}: the folder {folder} does not exist; create it first") from None
    except OSError as error:
        raise AdaptEditError(f"{path}: {_cannot(error)}") from None
    try:
        status = os.stat(target)
    except FileNotFoundError:
        if not stat.S_ISDIR(parent.st_mode):
            raise AdaptEditError(f"{path}: {folder} is not a folder; give another name") from None
        if not os.access(target.parent, os.W_OK | os.X_OK):
            raise AdaptEditError(f"{path}: the folder {folder} is read-only; give another one") from None
        return
    except OSError as error:
        raise AdaptEditError(f"{path}: {_cannot(error)}") from None
    if stat.S_ISDIR(status.st_mode):
        raise AdaptEditError(f"{path}: is a folder; give the path of a file to write")
    if not status.st_mode & 0o222 or not os.access(target, os.W_OK):
        raise AdaptEditError(f"{path}: is read-only; make it writable, or give another name")


def _target(path: str | Path) -> Path:
    """Where links lead to."""
    try:
        return Path(os.path.realpath(path))
    except ValueError:  # a zero in the name
        raise AdaptEditError(f"{str(path)!r} is not a name for a file; give another") from None


def _copy_ownership(source: Path, target: Path) -> None:
    status = os.stat(source)
    with suppress(OSError, AttributeError):  # only root may give files away; Windows has no owner numbers
        os.chown(target, status.st_uid, status.st_gid)
    os.chmod(target, stat.S_IMODE(status.st_mode))


def _cannot(error: OSError) -> str:
    return f"cannot be written ({error.strerror or error})"
