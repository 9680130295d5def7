"""One batch in a folder at a time; shares of one batch side by side.

Each share holds a lock of the operating system on OUT/shards/share-I-of-N.lock, which ends with its process,
however that ends. Beside it a JSON file says who holds it: each process that tries a lock empties its file.
"""

from __future__ import annotations

import errno
import json
import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import typer
from filelock import BaseFileLock, FileLock, Timeout

from adaptedit.errors import AdaptEditError
from adaptedit.interfaces.batch.fields import named

NAME = re.compile(r"share-([0-9]+)-of-([0-9]+)\.lock")
WAIT = 60.0  # seconds for another batch to start or to end, which takes it milliseconds
NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)  # of file systems that have none


@contextmanager
def only_batch(out: Path, number: int, count: int) -> Iterator[None]:
    """Makes the folder, and holds it for share `number` of `count` in the body.

    Raises AdaptEditError if a batch is running there that would do the same records, or if the folder cannot
    be made or written to. Removes folders that it made and in which nothing was written.
    """
    shards = out / "shards"
    made = [folder for folder in (shards, out, *out.parents) if not os.path.lexists(folder)]
    try:
        shards.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        _remove(made)
        raise AdaptEditError(f"{named(out)}: cannot be made ({error.strerror}); give another --out") from None
    try:
        lock = _take(out, number, count)
        try:
            yield
        finally:
            if lock is not None:
                _give_back(shards, lock)
    finally:
        if made and [path.name for path in shards.glob("*")] == ["lock"]:
            with suppress(OSError):
                (shards / "lock").unlink()
        _remove(made)


def _take(out: Path, number: int, count: int) -> BaseFileLock | None:
    shards = out / "shards"
    ours = shards / f"share-{number}-of-{count}.lock"
    try:
        with _starting(shards):
            for path in shards.glob("share-*.lock"):
                share = NAME.fullmatch(path.name)
                if share and (path == ours or int(share[2]) != count):
                    _check_free(out, path, share[1], share[2])
            lock = FileLock(ours)
            lock.acquire(timeout=0)
            owner = {"pid": os.getpid(), "host": socket.gethostname(), "started": time.time()}
            try:
                ours.with_suffix(".json").write_text(json.dumps(owner))
            except OSError:
                lock.release()
                _unlink(ours)
                raise
            return lock
    except NotImplementedError:  # by older versions of filelock
        pass
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise AdaptEditError(
                f"{named(error.filename or shards)}: cannot be written ({error.strerror}); correct that, or "
                "give another --out"
            ) from None
    typer.echo(f"{named(out)}: this file system has no locks; start no second batch there", err=True)
    return None


@contextmanager
def _starting(shards: Path) -> Iterator[None]:
    """One batch at a time looks for others, starts, or ends. Raises OSError, NotImplementedError."""
    lock = FileLock(shards / "lock")
    try:
        lock.acquire(timeout=WAIT)
    except Timeout:
        raise AdaptEditError(
            f"{named(shards)}: another batch has been starting there for {WAIT:.0f} seconds; end it, or give "
            "another --out"
        ) from None
    try:
        yield
    finally:
        lock.release()


def _check_free(out: Path, path: Path, number: str, count: str) -> None:
    """Raises AdaptEditError if a process holds this share; else removes what an ended one left."""
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        share = "" if count == "1" else f" as --shard {number}/{count}"
        raise AdaptEditError(
            f"{named(out)}: another batch is running there{share}{_owner(path)}; wait for it, or give "
            "another --out"
        ) from None
    lock.release()
    _unlink(path)


def _give_back(shards: Path, lock: BaseFileLock) -> None:
    with suppress(OSError, AdaptEditError), _starting(shards):
        lock.release()
        _unlink(Path(lock.lock_file))
    lock.release()


def _unlink(path: Path) -> None:
    """Removes a share's lock file and its owner's file, while no other batch may start."""
    for one in (path, path.with_suffix(".json")):
        one.unlink(missing_ok=True)


def _owner(path: Path) -> str:
    try:
        owner = json.loads(path.with_suffix(".json").read_bytes())
        age = _age(time.time() - float(owner["started"]))
        return f" (process {int(owner['pid'])} on {named(owner['host'])}, started {age} ago)"
    except (OSError, ValueError, TypeError, KeyError, OverflowError):  # it is just being written
        return ""


def _age(seconds: float) -> str:
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1)):
        count = int(seconds // length)
        if count >= 1:
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return "a moment"


def _remove(folders: list[Path]) -> None:
    """Removes the empty ones, the innermost first."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()
