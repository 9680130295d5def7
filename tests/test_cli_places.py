"""Files and folders that cannot be read or written: one line, exit code 2, nothing changed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import adaptedit.files
import adaptedit.pictures.read
from adaptedit.editing.pipeline import AdaptEditPipeline
from command import (
    COMMAND,
    EDIT,
    LONG,
    REGION,
    SCORED,
    check,
    evaluated,
    fake_editor,
    home,
    posix,
    refused,
    run,
    tree,
)

__all__ = ["fake_editor", "home"]


FILES_OUT = {
    "edit -o": (*EDIT, "-o"),
    "edit --sheet": (*EDIT, "-o", "@/out.png", "--sheet"),
    "edit --save-region": (*EDIT, "-o", "@/out.png", "--save-region"),
    "region -o": (*REGION, "-o"),
    "region --overlay": (*REGION, "-o", "@/out.png", "--overlay"),
    "data preview -o": ("data", "preview", "--count", "1", "-o"),
}
BAD_FILES = {
    "folder.png": "is a folder",
    "no/a.png": "does not exist",
    "file/a.png": "",
    "loop.png": "symbolic links",
    "loop/a.png": "symbolic links",
    f"{LONG}.png": "too long",
    "a.gif": "cannot write '.gif'",
    "": "cannot write ''",
    ".": "cannot write ''",
}


@posix
@pytest.mark.parametrize("place", BAD_FILES)
@pytest.mark.parametrize("door", FILES_OUT)
def test_a_file_that_cannot_be_written(
    door: str, place: str, home: Path, fake_editor: AdaptEditPipeline
) -> None:
    refused(home, (*FILES_OUT[door], f"@/{place}" if len(place) > 1 else place), BAD_FILES[place])


@posix
@pytest.mark.parametrize("door", FILES_OUT)
def test_a_read_only_file_stays(door: str, home: Path, fake_editor: AdaptEditPipeline) -> None:
    (home / "a.png").write_bytes(b"mine")
    (home / "a.png").chmod(0o444)
    overwrite = () if door.startswith("data") else ("--overwrite",)
    refused(home, (*FILES_OUT[door], "@/a.png", *overwrite), "is read-only")


@posix
@pytest.mark.parametrize("door", [door for door in FILES_OUT if not door.startswith("data")])
def test_a_full_disk_leaves_none_of_several_outputs(
    door: str, home: Path, fake_editor: AdaptEditPipeline
) -> None:
    (home / "full.png").symlink_to("/dev/full")
    others = ("--sheet", "@/s.png", "--save-region", "@/r.png") if door == "edit -o" else ()
    refused(home, (*FILES_OUT[door], "@/full.png", *others, "--overwrite"), "No space left")


def test_a_disk_that_fills_leaves_none_of_several_outputs(
    home: Path, fake_editor: AdaptEditPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(path: Path, data: bytes, writes: list[Path] = []) -> int:  # noqa: B006
        writes.append(path)
        if len(writes) == 3:
            raise OSError(28, "No space left on device")
        with path.open("wb") as file:
            return file.write(data)

    monkeypatch.setattr(Path, "write_bytes", write)
    (home / "out-1.png").write_text("mine")
    refused(home, (*EDIT, "-n", "3", "-o", "@/out.png", "--sheet", "@/s.png", "--overwrite"), "No space left")


def test_a_name_that_is_too_long_by_default(home: Path, fake_editor: AdaptEditPipeline) -> None:
    name = f"{'y' * 246}.png"
    (home / "desk.png").rename(home / name)
    refused(home, ("edit", f"@/{name}", "x"), "too long" if os.name != "nt" else "")


FOLDERS_OUT = {
    "batch --out": ("batch", "@/pictures", "--instruction", "x", "--out"),
    "evaluate --out": ("evaluate", "folder", "--data", "@/set", *SCORED, "--out"),
    "report -o": ("report", "@/run", "-o"),
}


@posix
@pytest.mark.parametrize("place", ["file", "file/a", "loop", "loop/a", LONG])
@pytest.mark.parametrize("door", FOLDERS_OUT)
def test_a_folder_that_cannot_be_made(
    door: str, place: str, home: Path, fake_editor: AdaptEditPipeline
) -> None:
    (home / "pictures").mkdir()
    shutil.copy(home / "desk.png", home / "pictures")
    if door.startswith("report"):
        evaluated(home / "run")
    refused(home, (*FOLDERS_OUT[door], f"@/{place}"), place[:20])


IN = {
    "edit IMAGE": ("edit", "*", "x"),
    "edit --region": (*EDIT, "--region", "*"),
    "edit --within": (*EDIT, "--within", "*"),
    "region IMAGE": ("region", "*", "x", "-o", "@/m.png"),
    "batch JOBS": ("batch", "*", "--out", "@/out"),
    "report DIR": ("report", "*"),
    "serve --api-keys-file": ("serve", "--port", "0", "--api-keys-file", "*"),
    "evaluate --data": ("evaluate", "folder", "--data", "*", "--out", "@/out", *SCORED),
    "evaluate --threshold-from": (
        "evaluate",
        "folder",
        "--data",
        "@/set",
        "--out",
        "@/out",
        *SCORED,
        "--threshold-from",
        "*",
    ),
}


@posix
@pytest.mark.parametrize("place", ["none", "none/a", "file/a", "loop", LONG, "binary", "empty", ""])
@pytest.mark.parametrize("door", IN)
def test_what_cannot_be_read(door: str, place: str, home: Path, fake_editor: AdaptEditPipeline) -> None:
    given = f"@/{place}" if place else "@/empty" if door.startswith(("batch", "report", "evaluate")) else ""
    refused(home, tuple(given if one == "*" else one for one in IN[door]), "")


@pytest.mark.parametrize("door", ["edit IMAGE", "edit --region", "region IMAGE"])
def test_a_picture_that_goes_between_check_and_use(
    door: str, home: Path, fake_editor: AdaptEditPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = home / "goes.png"

    def vanish(path: Any, mode: str) -> Any:
        if str(path) == str(picture):
            picture.unlink()
        return open(path, mode)

    arguments = tuple("@/goes.png" if one == "*" else one for one in IN[door])
    before = tree(home)
    shutil.copy(home / "mask.png", picture)
    monkeypatch.setattr(adaptedit.pictures.read, "open", vanish, raising=False)
    check(run(*(one.replace("@", str(home)) for one in arguments)), "goes.png: no such file")
    assert tree(home) == before


@posix
@pytest.mark.parametrize("folder", ["closed", "read-only"])
@pytest.mark.parametrize(
    "arguments",
    [
        ("edit", "@/lock/desk.png", "x"),
        (*EDIT, "-o", "@/lock/a.png"),
        (*EDIT, "--region", "@/lock/mask.png"),
        (*REGION, "-o", "@/lock/a.png"),
        ("batch", "@/folder", "--instruction", "x", "--out", "@/lock/out"),
        ("report", "@/lock"),
        ("data", "preview", "--count", "1", "-o", "@/lock/a.png"),
        ("serve", "--port", "0", "--api-keys-file", "@/lock/keys"),
    ],
)
def test_a_folder_that_is_not_ours(arguments: tuple[str, ...], folder: str, home: Path) -> None:
    """Root may do everything, so it gives up that right first."""
    without: tuple[str, ...] = ()
    if os.geteuid() == 0:
        if not shutil.which("setpriv"):
            pytest.skip("root may write anywhere, and there is no setpriv to give that up")
        rights = "-dac_override,-dac_read_search"
        without = ("setpriv", f"--bounding-set={rights}", f"--inh-caps={rights}")
    shutil.copy(home / "desk.png", home / "folder")
    (home / "lock").mkdir(0o000 if folder == "closed" else 0o555)
    try:
        before = tree(home)
        given = [one.replace("@", str(home)) for one in arguments]
        done = subprocess.run([*without, *COMMAND, *given], capture_output=True, text=True, check=False)
        own = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        assert done.returncode == 2 and len(own) == 1 and "lock" in own[0], done.stderr
        assert "Traceback" not in done.stderr and done.stdout == ""
        assert tree(home) == before
    finally:
        (home / "lock").chmod(0o755)


@pytest.mark.parametrize(
    ("size", "suffix"), [((16_384, 1), "webp"), ((1, 65_501), "jpg"), ((65_501, 1), "jpeg")]
)
def test_a_side_that_the_format_cannot_hold_is_refused_before_a_model_is_loaded(
    size: tuple[int, int], suffix: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AdaptEditPipeline, "load", lambda *_, **__: pytest.fail("loaded"))
    Image.new("RGB", size).save(home / "long.png")
    for arguments in (
        ("edit", "-o", f"@/out.{suffix}"),
        ("region", "-o", "@/out.png", "--overlay", f"@/o.{suffix}"),
    ):
        refused(home, (arguments[0], "@/long.png", "x", *arguments[1:]), "pixels a side")
