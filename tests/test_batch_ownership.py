"""A batch replaces and removes the files that it wrote, and no other, whatever happens around it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from adaptedit.editing.pipeline import AdaptEditPipeline
from adaptedit.pictures.formats import WRITABLE
from conftest import FakeAdapter
from test_batch import batch, hashes, jobs, rows

MINE = b"a file of the user's"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    source = tmp_path / "in"
    source.mkdir()
    values = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    for name in "abc":
        Image.fromarray(values).save(source / f"{name}.png")
    return source


@pytest.fixture(autouse=True)
def editor(pipe: AdaptEditPipeline, monkeypatch: pytest.MonkeyPatch) -> AdaptEditPipeline:
    monkeypatch.setattr(AdaptEditPipeline, "load", lambda *_, **__: pipe)
    return pipe


def finds_nothing(editor: AdaptEditPipeline) -> None:
    editor.adapter = FakeAdapter(certainty=0.1)  # type: ignore[assignment]


def put(path: Path, data: bytes = MINE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def tree(folder: Path) -> dict[str, bytes | None]:
    """All that is in a folder; None for what is no file."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


@pytest.mark.parametrize("suffix", WRITABLE)
@pytest.mark.parametrize("nothing_found", [False, True])
def test_a_users_file_is_refused_before_the_work(
    source: Path, out: Path, editor: AdaptEditPipeline, suffix: str, nothing_found: bool
) -> None:
    mine = put(out / f"sub/x{suffix}")
    if nothing_found:
        finds_nothing(editor)
    path, before = jobs(source, x={"out": f"sub/x{suffix}"}, y={}), tree(out)
    result = batch(path, out)
    assert result.exit_code == 2 and result.stdout == ""
    assert result.stderr == (
        f"error: {mine}: was not written by this batch; move it away, or give --overwrite to replace it\n"
    )
    assert tree(out) == before
    result = batch(path, out, "--overwrite")
    assert result.exit_code == nothing_found
    if nothing_found:  # to replace is not to remove
        assert mine.read_bytes() == MINE
    else:
        assert mine.read_bytes() != MINE and hashes(out)
        mine.unlink()
        assert batch(path, out).exit_code == 0 and mine.exists()


def make_folder(path: Path) -> None:
    path.mkdir(parents=True)


def make_link(path: Path) -> None:
    path.symlink_to(put(path.parent.parent / "elsewhere.png"))


def make_dangling_link(path: Path) -> None:
    path.symlink_to(path.parent / "nowhere.png")


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize("make", [make_folder, make_link, make_dangling_link, make_pipe])
@pytest.mark.parametrize("option", [(), ("--overwrite",)])
def test_what_is_no_file_is_never_replaced(
    source: Path, out: Path, make: Callable[[Path], None], option: tuple[str, ...]
) -> None:
    out.mkdir()
    make(out / "x.png")
    before = tree(out.parent)
    result = batch(jobs(source, x={}), out, *option)
    assert result.exit_code == 2 and result.stderr.count("\n") == 1
    assert f"{out / 'x.png'}: is a" in result.stderr and "never replaced" in result.stderr
    after = tree(out.parent)
    assert after.pop("in/jobs.jsonl") and after == before


def test_each_file_has_its_line_and_nothing_is_touched(source: Path, out: Path) -> None:
    put(out / "x-2.png")
    put(out / "deep")
    (out / "y.png").mkdir()
    records: dict[str, Any] = {
        "x": {"candidates": 3, "out": "x.png"},
        "y": {},
        "z": {"out": "deep/er/z.png"},
    }
    before = tree(out)
    result = batch(jobs(source, **records, free={}), out)
    assert result.exit_code == 2 and tree(out) == before
    assert [line.split("; ")[0] for line in result.stderr.splitlines()] == [
        f"{out / 'x-2.png'}: was not written by this batch",
        f"{out / 'y.png'}: is a folder, which is never replaced",
        f"{out / 'deep'}: is not a folder, but deep/er/z.png goes into it",
        f"error: {out}: 3 problems",
    ]
    (out / "deep").unlink()
    (out / "y.png").rmdir()
    assert batch(jobs(source, **records, free={}), out, "--overwrite").exit_code == 0
    assert len(hashes(out)["x"]) == 3


def test_a_retouched_result_is_the_users(source: Path, out: Path) -> None:
    path = jobs(source, x={}, y={})
    assert batch(path, out).exit_code == 0
    before = hashes(out)
    put(out / "x.png")
    result = batch(path, out)
    assert result.exit_code == 2 and "x.png: was changed after this batch wrote it" in result.stderr
    changed = jobs(source, x={"steps": 2}, y={})
    for option in ((), ("--retry-failed",), ("--shard", "1/2")):
        assert batch(changed, out, *option).exit_code == 2
    assert batch(changed, out, "--shard", "2/2").exit_code == 0
    assert (out / "x.png").read_bytes() == MINE
    assert batch(jobs(source, x={}, y={}), out, "--overwrite").exit_code == 0 and hashes(out) == before


@pytest.mark.parametrize("without_claims", [False, True])
def test_what_the_batch_wrote_is_replaced_and_removed(
    source: Path, out: Path, editor: AdaptEditPipeline, without_claims: bool
) -> None:
    """Of older versions, that wrote no claims, the lines say it."""
    batch(jobs(source, x={}, y={}, z={}), out)
    first = (out / "x.png").read_bytes()
    if without_claims:
        for path in (out / "shards").glob("outputs.*"):
            path.unlink()
    put(out / "z.png", b"")  # a power cut
    assert batch(jobs(source, x={"steps": 2}, y={}, z={}), out).exit_code == 0
    assert (out / "x.png").read_bytes() != first and (out / "z.png").read_bytes()
    finds_nothing(editor)
    assert batch(jobs(source, x={"steps": 3}, y={}, z={}), out).exit_code == 1
    assert not (out / "x.png").exists() and (out / "y.png").exists()


@pytest.mark.parametrize("option", [(), ("--overwrite",)])
def test_a_file_that_appears_during_the_run_fails_its_record(
    source: Path, out: Path, editor: AdaptEditPipeline, option: tuple[str, ...]
) -> None:
    whole = editor.backbone.edit

    def meanwhile(images: Any, prompts: list[str], *rest: Any, **options: Any) -> Any:
        if prompts[0] == "x" and not (out / "x-2.png").exists():
            put(out / "x-2.png")
        return whole(images, prompts, *rest, **options)

    editor.backbone.edit = meanwhile  # type: ignore[method-assign]
    path = jobs(source, x={"candidates": 3}, y={})
    result = batch(path, out, *option)
    if option:
        assert result.exit_code == 0 and (out / "x-2.png").read_bytes() != MINE
        return
    assert result.exit_code == 1 and "1 done, 1 failed" in result.stdout
    assert "x-2.png: was not written by this batch" in rows(out)["x"]["error"]
    assert (out / "x-2.png").read_bytes() == MINE and (out / "y.png").exists()
    assert not (out / "x-1.png").exists() and not (out / "x-3.png").exists()
    assert batch(path, out).exit_code == 1  # not tried again
    assert batch(path, out, "--retry-failed").exit_code == 2 and (out / "x-2.png").read_bytes() == MINE
    (out / "x-2.png").unlink()
    editor.backbone.edit = whole  # type: ignore[method-assign]
    assert batch(path, out, "--retry-failed").exit_code == 0 and len(hashes(out)["x"]) == 3


def test_two_names_of_one_file(source: Path, out: Path) -> None:
    """As where a file system takes A.png for a.png: the second record fails, the first keeps its picture."""
    (out / "one").mkdir(parents=True)
    (out / "two").symlink_to(out / "one")
    result = batch(jobs(source, x={"out": "one/p.png"}, y={"out": "two/p.png", "steps": 2}), out)
    assert result.exit_code == 1 and "1 done, 1 failed" in result.stdout
    assert "was not written by this batch" in rows(out)["y"]["error"] and hashes(out)["x"]


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from adaptedit.editing.pipeline import AdaptEditPipeline
from adaptedit.interfaces.batch import manifest
from adaptedit.interfaces.cli.main import app
from conftest import FakeAdapter, FakeBackbone
pipe = AdaptEditPipeline(FakeBackbone(), FakeAdapter())
AdaptEditPipeline.load = lambda *_, **__: pipe
moment, replace, write = sys.argv[2], os.replace, Path.write_bytes
def kill(when, path):
    if when == moment and Path(path).name == "y.png":
        os.kill(os.getpid(), signal.SIGKILL)
def replaced(source, target):
    kill("before the rename", target)
    replace(source, target)
    kill("after the rename", target)
os.replace = replaced
app(sys.argv[3:])
"""


@pytest.mark.parametrize("moment", ["before the rename", "after the rename"])
def test_a_kill_leaves_nothing_unknown(
    source: Path, out: Path, editor: AdaptEditPipeline, moment: str
) -> None:
    path = jobs(source, x={}, y={}, z={})
    command = [sys.executable, "-c", KILLED, str(Path(__file__).parent), moment]
    ended = subprocess.run([*command, "batch", str(path), "--out", str(out)], capture_output=True)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    assert (out / "y.png").exists() == (moment == "after the rename")
    left = list(out.glob(".*.tmp"))
    assert len(left) == (moment == "before the rename")
    foreign = put(out / f".{'ab' * 8}.tmp")
    for one in [*left, foreign]:
        os.utime(one, (0, 0))
    if moment == "after the rename":
        finds_nothing(editor)
        assert batch(jobs(source, x={}, y={}), out).exit_code == 1
        assert not (out / "y.png").exists() and (out / "x.png").exists()
    else:
        assert batch(path, out).exit_code == 0
        batch(path, out.parent / "whole")
        assert hashes(out) == hashes(out.parent / "whole")
    assert list(out.glob(".*.tmp")) == [foreign]
