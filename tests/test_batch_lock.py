"""One batch in a folder at a time; its shares side by side; nothing of an ended one in the way."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from adaptedit.editing.pipeline import AdaptEditPipeline
from adaptedit.errors import AdaptEditError
from adaptedit.interfaces.batch import lock, manifest
from adaptedit.interfaces.batch.lock import only_batch
from adaptedit.interfaces.batch.records import Record
from adaptedit.interfaces.batch.run import run as run_batch
from test_batch import batch, jobs, rows

HOLD = """
import sys
from pathlib import Path
from adaptedit.interfaces.batch.lock import only_batch
with only_batch(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def another(out: Path, number: int = 1, count: int = 1) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the folder."""
    command = [sys.executable, "-c", HOLD, str(out), str(number), str(count)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout and process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def path(tmp_path: Path, pipe: AdaptEditPipeline, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(AdaptEditPipeline, "load", lambda *_, **__: pipe)
    Image.new("RGB", (40, 40), (9, 99, 9)).save(tmp_path / "a.png")
    return jobs(tmp_path, x={"everywhere": True}, y={"everywhere": True})


def test_a_second_batch_is_refused_until_the_first_is_gone(path: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with another(out) as process:
        for options in ((), ("--retry-failed",), ("--processes", "2"), ("--overwrite",), ("--ray",)):
            result = batch(path, out, *options)
            assert result.exit_code == 2 and result.stdout == "" and result.stderr.count("\n") == 1
            assert f"{out}: another batch is running there (process {process.pid} on " in result.stderr
            assert " ago); wait for it, or give another --out" in result.stderr
        assert {one.name for one in out.iterdir()} == {"shards"}
        process.kill()  # no chance to tidy up
        process.wait()
        assert (out / "shards" / "share-1-of-1.lock").exists()
        assert batch(path, out).exit_code == 0
    assert not list((out / "shards").glob("share-*"))


@pytest.mark.parametrize(
    ("held", "wanted", "free"),
    [
        ((1, 2), (1, 2), False),
        ((1, 2), (2, 2), True),
        ((1, 2), (1, 1), False),
        ((1, 1), (2, 2), False),
        ((2, 3), (2, 4), False),
        ((2, 3), (3, 3), True),
    ],
)
def test_shares_of_one_batch_run_side_by_side(
    tmp_path: Path, held: tuple[int, int], wanted: tuple[int, int], free: bool
) -> None:
    with only_batch(tmp_path, *held):
        if free:
            with only_batch(tmp_path, *wanted):
                pass
        else:
            share = "" if held[1] == 1 else f" as --shard {held[0]}/{held[1]}"
            with pytest.raises(AdaptEditError, match=f"is running there{share} \\(process {os.getpid()} "):
                only_batch(tmp_path, *wanted).__enter__()
    with only_batch(tmp_path, *wanted):
        pass


def test_an_ended_batch_of_other_shares_is_in_nobodys_way(path: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with another(out, 3, 7):
        pass
    assert batch(path, out, "--shard", "1/2").exit_code == 0
    assert batch(path, out, "--shard", "2/2").exit_code == 0
    assert not list((out / "shards").glob("share-*"))


def test_the_folder_is_as_it_was_when_nothing_was_written(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), only_batch(tmp_path / "new" / "out", 1, 1):
        raise ZeroDivisionError
    assert not (tmp_path / "new").exists()
    with only_batch(tmp_path, 1, 1), pytest.raises(AdaptEditError):
        only_batch(tmp_path, 1, 1).__enter__()
    with pytest.raises(ZeroDivisionError), only_batch(tmp_path / "kept", 1, 1):
        (tmp_path / "kept" / "shards" / "manifest.0.jsonl").touch()
        raise ZeroDivisionError
    assert (tmp_path / "kept" / "shards" / "manifest.0.jsonl").exists()


def test_the_lock_is_taken_before_anything_is_written(path: Path, tmp_path: Path) -> None:
    def seen(*_: object) -> None:
        raise AdaptEditError(str(sorted(one.name for one in (tmp_path / "out").rglob("*"))))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("adaptedit.interfaces.batch.run.left", seen)
        result = batch(path, tmp_path / "out")
    assert "['lock', 'shards', 'share-1-of-1.json', 'share-1-of-1.lock']" in result.stderr
    assert not (tmp_path / "out").exists()


def test_how_long_it_has_been_running(tmp_path: Path) -> None:
    owner = tmp_path / "shards" / "share-1-of-1.json"
    with only_batch(tmp_path, 1, 1):
        for seconds, age in (
            (0, "a moment"),
            (-99, "a moment"),
            (61, "1 minute"),
            (7300, "2 hours"),
            (2e5, "2 days"),
        ):
            owner.write_text(json.dumps({"pid": 7, "host": "node", "started": time.time() - seconds}))
            with pytest.raises(AdaptEditError, match=f"\\(process 7 on node, started {age} ago\\)"):
                only_batch(tmp_path, 1, 1).__enter__()
        for damaged in (
            "",
            "[]",
            '{"pid": 1}',
            '{"pid": "x", "host": 3, "started": 1}',
            '{"started": 1e999}',
        ):
            owner.write_text(damaged)
            with pytest.raises(AdaptEditError, match="is running there; wait"):
                only_batch(tmp_path, 1, 1).__enter__()


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], code: int
) -> None:
    def unsupported(self: object, **_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(lock.FileLock, "acquire", unsupported)
    with only_batch(tmp_path / "out", 1, 1):
        assert "this file system has no locks; start no second batch there" in capsys.readouterr().err


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES, errno.EROFS])
def test_a_folder_that_takes_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def refused(self: object, **_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(lock.FileLock, "acquire", refused)
    with pytest.raises(AdaptEditError, match=f"cannot be written \\({os.strerror(code)}\\)"):
        only_batch(tmp_path / "out", 1, 1).__enter__()


def test_the_last_of_two_shards_that_end_together_writes_both(tmp_path: Path) -> None:
    """One reads the lines before the other's are there, and writes after the other."""
    records = [Record(name, (f"{name}.png",), tmp_path, {}) for name in "xy"]
    (tmp_path / "shards").mkdir()
    write = manifest.lines.merged

    def late(*arguments: Any) -> None:
        if not (tmp_path / "shards" / "manifest.1.jsonl").exists():
            run_batch(
                records, records[1:], (manifest.row(one, "done") for one in records[1:]), tmp_path, shard=1
            )
        write(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest.lines, "merged", late)
        run_batch(records, records[:1], (manifest.row(one, "done") for one in records[:1]), tmp_path)
    assert list(rows(tmp_path)) == ["x", "y"]
