"""No file is replaced unless that is said, whatever name or link leads to it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

from adaptedit.editing.pipeline import AdaptEditPipeline
from command import EDIT, REGION, fake_editor, home, refused, run

__all__ = ["fake_editor", "home"]


OUTPUTS = {
    "edit -o": (*EDIT, "-o"),
    "edit --sheet": (*EDIT, "-o", "@/other.png", "--sheet"),
    "edit --save-region": (*EDIT, "-o", "@/other.png", "--save-region"),
    "region -o": (*REGION, "-o"),
    "region --overlay": (*REGION, "-o", "@/other.png", "--overlay"),
}


def spellings(home: Path) -> dict[str, str]:
    """Other names of desk.png."""
    names = {
        "a name": "desk.png",
        "a dot": "./desk.png",
        "dots": "folder/../desk.png",
        "slashes": "//desk.png",
    }
    if os.name != "nt":
        (home / "soft.png").symlink_to(home / "desk.png")
        (home / "hard.png").hardlink_to(home / "desk.png")
        (home / "beside").symlink_to(home)
        names |= {
            "a symbolic link": "soft.png",
            "a hard link": "hard.png",
            "a linked folder": "beside/desk.png",
        }
    if (home / "DESK.png").exists():  # a file system that does not know capitals
        names["capitals"] = "DESK.png"
    return names


@pytest.mark.parametrize("door", OUTPUTS)
def test_no_file_is_replaced_unless_that_is_said(
    door: str, home: Path, fake_editor: AdaptEditPipeline
) -> None:
    (home / "mine.png").write_bytes(b"mine")
    for name in ["mine.png", *spellings(home).values()]:
        refused(home, (*OUTPUTS[door], f"@/{name}"), "exists already")
    arguments = [one.replace("@", str(home)) for one in OUTPUTS[door]]
    assert run(*arguments, home / "mine.png", "--overwrite").exit_code == 0
    assert Image.open(home / "mine.png").size[1] >= 90


def test_the_default_name_is_not_replaced_either(home: Path, fake_editor: AdaptEditPipeline) -> None:
    assert run("edit", home / "desk.png", "x").exit_code == 0
    refused(home, ("edit", "@/desk.png", "x"), "desk-edited.png: exists already")
    assert run("edit", home / "desk.png", "x", "--overwrite").exit_code == 0


@pytest.mark.parametrize("how", ["a name", "a dot", "dots", "a symbolic link", "a hard link"])
@pytest.mark.parametrize("door", ["edit", "region"])
def test_the_picture_itself_is_replaced_only_when_that_is_said(
    door: str, how: str, home: Path, fake_editor: AdaptEditPipeline
) -> None:
    names = spellings(home)
    if how not in names:
        pytest.skip(f"there is no such thing as {how} here")
    original = (home / "desk.png").read_bytes()
    result = run(door, home / "desk.png", "x", "-o", f"{home}/{names[how]}", "--overwrite")
    assert result.exit_code == 0, result.output
    written = Image.open(home / names[how])
    assert written.size == (120, 90) and (home / names[how]).read_bytes() != original
    assert (home / "soft.png").is_symlink() == (os.name != "nt")
    replaced = (home / "desk.png").read_bytes() != original
    assert replaced == (how != "a hard link")  # the other name keeps the old picture


def test_two_outputs_never_share_a_file(home: Path, fake_editor: AdaptEditPipeline) -> None:
    for name in ("./a.png", "folder/../a.png"):
        refused(home, (*EDIT, "-o", "@/a.png", "--sheet", f"@/{name}"), "same name")
    refused(home, (*EDIT, "-n", "2", "-o", "@/a.png", "--save-region", "@/a-2.png"), "same name")
