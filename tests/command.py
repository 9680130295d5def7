"""The `adaptedit` command as tests run it: one line of error, and a folder in which nothing changed."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from adaptedit.editing.pipeline import AdaptEditPipeline
from adaptedit.interfaces.cli.main import app
from adaptedit.region import Region

posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such files, names, modes or streams")
COMMAND = (sys.executable, "-m", "adaptedit.interfaces.cli.main")
LONG = "y" * 300
SCORED = ("--metric", "pixels", "--editor", "nothing")


@pytest.fixture
def fake_editor(pipe: AdaptEditPipeline, monkeypatch: pytest.MonkeyPatch) -> AdaptEditPipeline:
    monkeypatch.setattr(AdaptEditPipeline, "load", lambda *_, **__: pipe)
    return pipe


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """desk.png, a mask of it, a set of one sample for `evaluate`, and whatever stands in the way."""
    values = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    Image.fromarray(values).save(tmp_path / "desk.png")
    Region.from_box((20, 30, 50, 60), (120, 90)).save(tmp_path / "mask.png")
    (tmp_path / "set").mkdir()
    Image.fromarray(values).save(tmp_path / "set" / "a.png")
    line = {"id": "a", "file_name": "a.png", "instruction": "make it lighter"}
    (tmp_path / "set" / "metadata.jsonl").write_text(json.dumps(line) + "\n")
    for name in ("folder", "folder.png", "empty"):
        (tmp_path / name).mkdir()
    (tmp_path / "file").write_text("I am a file")
    (tmp_path / "binary").write_bytes(bytes(range(128, 256)))
    if os.name != "nt":
        (tmp_path / "loop").symlink_to("loop")
        (tmp_path / "loop.png").symlink_to("loop.png")
    return tmp_path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], prog_name="adaptedit")


def tree(folder: Path) -> dict[str, object]:
    """All that is in a folder, by path."""
    return {
        str(path.relative_to(folder)): os.readlink(path)
        if path.is_symlink()
        else path.read_bytes()
        if path.is_file()
        else None
        for path in folder.rglob("*")
    }


def check(result: Result, message: str, code: int = 2) -> None:
    assert result.exit_code == code, (result.exception, result.output)
    assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1, result.stderr
    assert message in result.stderr and len(result.stderr) < 1100, result.stderr
    assert result.stdout == ""


def refused(home: Path, arguments: tuple[object, ...], message: str) -> None:
    before = tree(home)
    check(run(*(str(argument).replace("@", str(home)) for argument in arguments)), message)
    assert tree(home) == before


EDIT = ("edit", "@/desk.png", "remove the apple")
REGION = ("region", "@/desk.png", "remove the apple")


def evaluated(out: Path) -> None:
    done = run("evaluate", "folder", "--data", out.parent / "set", "--out", out, *SCORED)
    assert done.exit_code == 0, done.output
