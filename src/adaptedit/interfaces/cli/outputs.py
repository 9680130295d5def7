"""The files that `edit` and `region` write: checked before the work, written all or none after it."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from adaptedit.errors import AdaptEditError
from adaptedit.region import Region

if TYPE_CHECKING:
    from PIL import Image

    from adaptedit.pictures.image16 import Image16


def numbered(path: Path, count: int) -> list[Path]:
    if count == 1:
        return [path]
    try:
        return [path.with_stem(f"{path.stem}-{n}") for n in range(1, count + 1)]
    except ValueError:  # such as the folder "."
        raise AdaptEditError(f"{path}: is not a name for a file; give one that ends in .png") from None


def describe(region: Region) -> list[str]:
    return [f"region {region.coverage():.1%} of the picture", f"{region.confidence():.0%} sure"]


def check_outputs(pictures: list[Path | None], masks: list[Path | None], overwrite: bool) -> None:
    """Checks now, not after minutes of work, that the outputs can be written and replace no other file."""
    from adaptedit.files import check_writable
    from adaptedit.pictures.formats import WRITABLE

    paths = [path for path in (*pictures, *masks) if path]
    for path in paths:
        suffixes = [".png"] if path in masks else list(WRITABLE)
        if path.suffix.lower() not in suffixes:
            raise AdaptEditError(f"{path}: cannot write '{path.suffix}' here; use {', '.join(suffixes)}")
        check_writable(path)
        _check_free(path, overwrite)
    if len({os.path.realpath(path) for path in paths}) < len(paths):
        raise AdaptEditError("two outputs have the same name; give each its own")


def _check_free(path: Path, overwrite: bool) -> None:
    if not overwrite and os.path.exists(path):
        raise AdaptEditError(f"{path}: exists already; give another name, or --overwrite to replace it")


def write(pictures: dict[Path, Image.Image | Image16], overwrite: bool) -> None:
    """Writes all or none: every file is complete beside its place before the first is renamed.

    Looks again whether a place is free: an edit takes a while.
    """
    from adaptedit.files import replacing, write_atomically
    from adaptedit.pictures.save import encode

    files = {path: encode(picture, path.suffix, str(path)) for path, picture in pictures.items()}
    streams = [path for path in files if path.exists() and not path.is_file()]  # pipes and devices
    for path in files:
        _check_free(path, overwrite)
    with ExitStack() as stack:
        for path in files.keys() - streams:
            stack.enter_context(replacing(path)).write_bytes(files[path])
        for path in streams:
            write_atomically(path, files[path])


def report(paths: list[Path | None], facts: str, started: float) -> None:
    for path in paths:
        if path:
            typer.echo(path)
    typer.echo(f"{facts}, {time.perf_counter() - started:.1f} s")
