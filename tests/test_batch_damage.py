"""Damaged manifests, folders that cannot be written, full disks: one line, and on again afterwards."""

from __future__ import annotations

import errno
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from adaptedit.editing.pipeline import AdaptEditPipeline
from adaptedit.interfaces.batch import claims, manifest
from adaptedit.interfaces.batch import run as run_module
from adaptedit.pictures.formats import LONGEST_SIDE
from adaptedit.pictures.image16 import Image16
from adaptedit.pictures.save import save
from test_batch import batch, hashes, jobs, rows


@pytest.fixture
def source(tmp_path: Path, pipe: AdaptEditPipeline, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(AdaptEditPipeline, "load", lambda *_, **__: pipe)
    folder = tmp_path / "in"
    folder.mkdir()
    values = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    Image.fromarray(values).save(folder / "a.png")
    return folder


HEADERS = {
    "no JSON": b"{",
    "no text": b"\xff\xfe",
    "a list": b"[]",
    "a number": b"3",
    "nothing": b"null",
    "deep": b"[" * 100_000,
    "lacks the adapter": b'{"backbone": {"name": "tiny"}, "versions": []}',
    "lacks the versions": b'{"backbone": {"name": "tiny"}, "adapter": null}',
    "the backbone is a text": b'{"backbone": "tiny", "adapter": null, "versions": []}',
    "the backbone has no name": b'{"backbone": {}, "adapter": null, "versions": []}',
    "the versions are a number": b'{"backbone": {"name": "tiny"}, "adapter": null, "versions": 1}',
    "a web application's": b'{"name": "My app", "start_url": "/", "icons": []}',
}


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
def test_a_manifest_json_that_no_batch_wrote(source: Path, tmp_path: Path, header: bytes) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "manifest.json").write_bytes(header)
    result = batch(jobs(source, x={}), out)
    assert result.exit_code == 2 and result.stderr.count("\n") == 1
    assert f"{out / 'manifest.json'}: is damaged, or no batch wrote it; move it away" in result.stderr
    assert [path.name for path in out.iterdir()] == ["manifest.json"]
    assert (out / "manifest.json").read_bytes() == header


def test_a_manifest_jsonl_that_no_batch_wrote(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "manifest.jsonl").write_text("mine")
    result = batch(jobs(source, x={}), out)
    assert result.exit_code == 2 and "manifest.jsonl: no batch wrote it" in result.stderr
    assert [path.name for path in out.iterdir()] == ["manifest.jsonl"]
    (out / "manifest.jsonl").unlink()
    (out / "manifest.json").touch()  # a power cut
    assert batch(jobs(source, x={}), out).exit_code == 0
    assert json.loads((out / "manifest.json").read_text())["backbone"]


def test_damaged_lines_count_as_not_there(source: Path, tmp_path: Path) -> None:
    out, path = tmp_path / "out", jobs(source, x={}, y={})
    assert batch(path, out).exit_code == 0
    before, file = hashes(out), out / "shards" / "manifest.0.jsonl"
    good = json.loads(file.read_bytes().splitlines()[0])
    wrong: list[Any] = [[], 3, None, "x", {}, {"id": "x"}, {"id": ["x"], "record": {}}]
    wrong += [{key: value for key, value in good.items() if key != name} for name in good]
    for value in (None, [], {}, 3, "x", float("nan"), True, [3], 10**400):
        for key in ("id", "status", "outputs", "sha256", "record", "finished"):
            wrong.append(good | {"finished": good["finished"] + 9, key: value})
    with file.open("ab") as lines:
        lines.write(b"\xff\n[[[[\n" + b"[" * 100_000 + b"\n\n")
        lines.writelines(json.dumps(one).encode() + b"\n" for one in wrong)
    (out / "shards" / "manifest.9.jsonl").mkdir()
    (out / "shards" / "outputs.9.jsonl").write_text('{"path": 3, "sha256": []}\n7\n{"temporary": {}}\n')
    (out / "y.png").unlink()
    result = batch(path, out)
    assert result.exit_code == 0 and hashes(out) == before, result.output


@pytest.fixture
def everybodys() -> Iterator[Path]:
    """A folder that others than its owner may search, which `tmp_path` is not."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@contextmanager
def as_nobody() -> Iterator[None]:
    """Root may write anywhere."""
    users = os.getresuid()
    if users[0] == 0:
        os.setresuid(65534, 65534, 0)
    try:
        yield
    finally:
        os.setresuid(*users)


def shards_is_a_file(out: Path) -> None:
    (out / "shards").touch()


def out_is_read_only(out: Path) -> None:
    out.chmod(0o555)


def out_cannot_be_searched(out: Path) -> None:
    out.chmod(0o600)


def a_subfolder_is_read_only(out: Path) -> None:
    (out / "sub").mkdir(mode=0o555)


def the_manifest_cannot_be_read(out: Path) -> None:
    (out / "manifest.json").touch(mode=0)


def an_output_is_read_only(out: Path) -> None:
    (out / "sub").mkdir(mode=0o777)
    (out / "sub").chmod(0o777)
    (out / "sub" / "x.png").touch(mode=0o444)


BROKEN: list[Callable[[Path], None]] = [
    shards_is_a_file,
    out_is_read_only,
    out_cannot_be_searched,
    a_subfolder_is_read_only,
    the_manifest_cannot_be_read,
    an_output_is_read_only,
]


@pytest.mark.parametrize("broken", BROKEN)
def test_a_folder_that_cannot_be_used(
    everybodys: Path, broken: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = everybodys / "out"
    out.mkdir()
    out.chmod(0o777)
    Image.new("L", (9, 9)).save(everybodys / "a.png")
    path = jobs(everybodys, x={"out": "sub/x.png"})
    broken(out)
    monkeypatch.setattr(AdaptEditPipeline, "load", None)  # refused before it is loaded
    with as_nobody():
        result = batch(path, out)
    out.chmod(0o777)
    assert result.exit_code == 2 and result.stderr.count("\n") == 1, result.output
    assert result.stderr.startswith("error: ") and str(out) in result.stderr and result.stdout == ""


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (claims, "append"),
        (claims, "replacing"),
        (manifest.lines, "append"),
        (Path, "mkdir"),
        (Path, "write_text"),
        (os, "replace"),
    ],
)
def test_a_disk_that_is_full_at_any_write(source: Path, tmp_path: Path, owner: Any, name: str) -> None:
    out, path = tmp_path / "out", jobs(source, x={}, y={})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, full)
        result = batch(path, out)
    assert result.exit_code == 2 and result.stderr.count("\n") == 1, result.output
    assert "No space left on device" in result.stderr
    assert not list(tmp_path.rglob("*.tmp")) and not list(tmp_path.rglob("share-*"))
    assert batch(path, out).exit_code == 0 and len(hashes(out)) == 2


@pytest.mark.parametrize("full_at", ["picture", "manifest"])
def test_a_full_disk_stops_the_batch_and_blames_no_record(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full_at: str
) -> None:
    out, path = tmp_path / "out", jobs(source, p={}, q={}, r={})
    owner, name = {"picture": (Path, "write_bytes"), "manifest": (manifest.lines, "append")}[full_at]
    write = getattr(owner, name)

    def full(*arguments: Any) -> Any:
        if (out / "p.png").exists() if full_at == "picture" else arguments[-1].get("id") == "q":
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, full)
        result = batch(path, out)
    assert result.exit_code == 2 and result.stderr.count("\n") == 1, result.output
    assert "No space left on device" in result.stderr and "it goes on from here" in result.stderr
    pictures = {"p.png"} if full_at == "picture" else {"p.png", "q.png"}
    assert {one.name for one in out.iterdir()} == pictures | {"manifest.json", "shards"}
    assert batch(path, out).exit_code == 0
    batch(path, tmp_path / "whole")
    assert hashes(out) == hashes(tmp_path / "whole")


def test_what_killed_runs_left_is_swept(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "sub").mkdir(parents=True)
    left = [out / f".{'0a' * 8}.tmp", out / "sub" / f".{'f0' * 8}.tmp"]
    kept = [out / f".{'b1' * 8}.tmp", out / ".mine.tmp"]
    for path in left + kept:
        path.write_bytes(b"")
    for path in [*left, kept[1]]:
        os.utime(path, (0, 0))
    batch(jobs(source, x={"out": "sub/x.png"}), out)
    assert [path.exists() for path in left + kept] == [False, False, True, True]


def test_the_sweep_takes_only_leftovers_of_this_batch(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    (out / "shards").mkdir(parents=True)
    names = [f".{digit * 16}.tmp" for digit in "0123456"]
    claimed, foreign, empty, young, gone, link, folder = (out / name for name in names)
    for path in (claimed, foreign, young, gone):
        path.write_bytes(b"half a picture")
    empty.touch()
    link.symlink_to(foreign)
    folder.mkdir()
    lines = [
        {"path": "x.png", "sha256": "0", "temporary": path.name} for path in (claimed, young, link, gone)
    ]
    (out / "shards" / "outputs.0.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for path in (claimed, foreign, empty, gone, folder):
        os.utime(path, (0, 0))
    os.utime(link, (0, 0), follow_symlinks=False)
    found = run_module._leftovers

    def vanishing(folder: Path) -> list[Path]:
        paths = found(folder)
        gone.unlink(missing_ok=True)
        return paths

    monkeypatch.setattr(run_module, "_leftovers", vanishing)
    assert batch(jobs(source, x={}, y={"out": "new/y.png"}), out).exit_code == 0
    assert {path.name for path in out.glob(".*.tmp")} == {
        path.name for path in (foreign, young, link, folder)
    }


def test_a_formats_limits_are_known_before_the_edit(
    source: Path, tmp_path: Path, pipe: AdaptEditPipeline
) -> None:
    for kind, side in LONGEST_SIDE.items():
        Image.new("L", (side + 1, 1)).save(source / f"{kind}.png")
    Image.new("RGBA", (40, 40), (9, 99, 9, 128)).save(source / "glass.png")
    Image.new("P", (40, 40)).save(source / "palette.png", transparency=0)
    save(Image16(np.zeros((40, 40, 3), np.uint16), {}), source / "deep.png")
    pipe.backbone.edit = None  # type: ignore[assignment]
    pipe.adapter = None  # type: ignore[assignment]
    wrong = {
        "JPEG.png.jpg": "JPEG holds at most 65,500 pixels",
        "WEBP.png.webp": "WEBP holds at most 16,383 pixels",
        "glass.png.jpg": "JPEG cannot hold transparency",
        "glass.png.bmp": "BMP cannot hold transparency",
        "palette.png.jpeg": "JPEG cannot hold transparency",
        "deep.png.webp": "WEBP cannot hold 16 bits",
        "deep.png.jpg": "JPEG cannot hold 16 bits",
        "deep.png.bmp": "BMP cannot hold 16 bits",
    }
    records: dict[str, Any] = {
        name: {"image": name.rpartition(".")[0], "out": name, "candidates": 2} for name in wrong
    }
    assert batch(jobs(source, **records), tmp_path / "out").exit_code == 1
    for name, row in rows(tmp_path / "out").items():
        assert row["status"] == "failed" and wrong[name] in row["error"], row
