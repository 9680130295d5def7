"""The command as a process: Ctrl-C, bytes in names, streams that are closed or full, too little memory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import adaptedit.files
import adaptedit.pictures.read
import adaptedit.pictures.save
from adaptedit.editing.pipeline import AdaptEditPipeline
from adaptedit.pictures.picture import Picture
from command import COMMAND, fake_editor, home, posix, refused, run, tree

__all__ = ["fake_editor", "home"]


# -- Ctrl-C


@pytest.mark.parametrize("stage", ["reading", "loading", "finding", "editing", "encoding", "writing"])
def test_interrupted_at_any_stage(
    stage: str, home: Path, fake_editor: AdaptEditPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> Any:
        raise KeyboardInterrupt

    owner, name = {
        "reading": (Picture, "open"),
        "loading": (AdaptEditPipeline, "load"),
        "finding": (fake_editor, "find_task"),
        "editing": (fake_editor, "edit_task"),
        "encoding": (adaptedit.pictures.save, "encode"),
        "writing": (adaptedit.files.os, "replace"),
    }[stage]
    monkeypatch.setattr(owner, name, interrupt)
    before = tree(home)
    result = run("edit", home / "desk.png", "x", "--sheet", home / "sheet.png", "-n", 2)
    assert (result.exit_code, result.stderr, result.stdout) == (130, "interrupted\n", "")
    assert tree(home) == before


@posix
def test_interrupted_in_a_process_of_its_own(home: Path) -> None:
    """It waits for keys from a pipe when the signal comes."""
    os.mkfifo(home / "keys")
    arguments = ("serve", "--port", "0", "--api-keys-file", str(home / "keys"))
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a job in the background ignores it
    )
    with (home / "keys").open("wb"):  # returns when it is read from
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and out == ""
    assert [line for line in err.splitlines() if not line.startswith(" ")][-1] == "interrupted", err
    assert "Traceback" not in err


# -- the process: bytes and streams


def real(*arguments: str | bytes, **options: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*COMMAND, *arguments], check=False, **options)


@posix
@pytest.mark.parametrize(
    "locale", [{}, {"LC_ALL": "C", "PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}]
)
@pytest.mark.parametrize("name", [b"caf\xe9.png", "café.png".encode()])
def test_a_file_name_is_printed_as_the_bytes_that_it_has(
    name: bytes, locale: dict[str, str], home: Path
) -> None:
    try:
        (home / "desk.png").rename(os.fsdecode(os.fsencode(home) + b"/" + name))
    except OSError:
        pytest.skip("this file system takes only names that are UTF-8")
    script = (
        "import sys; from pathlib import Path\n"
        "from adaptedit.interfaces.cli import outputs\n"
        "from adaptedit.interfaces.cli.terminal import prepare_streams\n"
        "prepare_streams()\n"
        "outputs.report([Path(sys.argv[1])], 'seed 1', 0.0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, name], env=os.environ | locale, capture_output=True, check=False
    )
    assert done.stdout.splitlines()[0] == name, done.stderr
    done = real("edit", name, "", cwd=home, env=os.environ | locale, capture_output=True)
    assert done.returncode == 2 and b"the instruction is empty" in done.stderr


@posix
def test_the_whole_way_with_a_name_and_an_instruction_of_bytes(home: Path) -> None:
    try:
        (home / "desk.png").rename(os.fsdecode(os.fsencode(home) + b"/caf\xe9.png"))
    except OSError:
        pytest.skip("this file system takes only names that are UTF-8")
    before = tree(home)
    done = real("edit", b"caf\xe9.png", b"remove \xff the apple", cwd=home, capture_output=True)
    assert done.returncode == 2 and b"bytes that are not text" in done.stderr and done.stdout == b""
    assert tree(home) == before
    given = ("edit", b"caf\xe9.png", b"remove it", "--region", "mask.png", "--steps", "1")
    done = real(*given, cwd=home, capture_output=True)
    assert done.returncode == 0 and done.stdout.splitlines()[0] == b"caf\xe9-edited.png", done.stderr


QUICK = [("--version",), ("edit", "--help"), ("models", "kontext")]  # as typer, its help, and rich print


@posix
@pytest.mark.parametrize("arguments", QUICK)
def test_a_full_disk_behind_stdout(arguments: tuple[str, ...]) -> None:
    with open("/dev/full", "wb") as full:
        done = real(*arguments, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 2 and done.stderr.count(b"error: ") == 1, done.stderr
    assert b"error: No space left on device" in done.stderr and b"Exception" not in done.stderr


@posix
@pytest.mark.parametrize("arguments", QUICK)
def test_nobody_reads_stdout(arguments: tuple[str, ...]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = real(*arguments, stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert done.returncode == 141, done.stderr
    assert b"error: " not in done.stderr and b"Exception" not in done.stderr


@posix
@pytest.mark.parametrize(
    "arguments", [("edit", "none.png", "x"), ("edit", "--nope"), ("edit",), ("report", "none")]
)
@pytest.mark.parametrize("stream", ["full", "nobody reads", "closed"])
def test_stderr_that_cannot_be_written_changes_no_exit_code(
    stream: str, arguments: tuple[str, ...], tmp_path: Path
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open("/dev/full", "wb") as full:
        where = {"full": full, "nobody reads": writer, "closed": None}[stream]
        closing = {"preexec_fn": lambda: os.close(2)} if stream == "closed" else {}
        done = real(*arguments, cwd=tmp_path, stdout=subprocess.PIPE, stderr=where, **closing)
    os.close(writer)
    assert done.returncode == 2 and done.stdout == b""


@posix
def test_closed_streams_are_no_place_for_files(home: Path) -> None:
    """What is printed must not get into the first file that is opened after it."""

    def close() -> None:
        for number in range(3):
            os.close(number)

    given = ("edit", "desk.png", "remove it", "--region", "mask.png", "--steps", "1")
    done = real(*given, cwd=home, preexec_fn=close)
    assert done.returncode == 0
    assert Image.open(home / "desk-edited.png").size == (120, 90)
    assert (home / "desk.png").read_bytes().startswith(b"\x89PNG")


def test_too_little_memory_is_one_line(
    home: Path, fake_editor: AdaptEditPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    for error in (MemoryError(), RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB")):

        def fail(*_: object, error: Exception = error, **__: object) -> Any:
            raise error

        monkeypatch.setattr(fake_editor, "edit_task", fail)
        refused(home, ("edit", "@/desk.png", "x"), "not enough memory")
    monkeypatch.setattr(fake_editor, "edit_task", lambda *_, **__: 1 / 0)
    assert isinstance(
        run("edit", home / "desk.png", "x").exception, ZeroDivisionError
    )  # a bug keeps its trace


@pytest.mark.parametrize("variable", ["HOME", "TMPDIR", "COLUMNS"])
@pytest.mark.parametrize("value", [None, "/no/such/place", "1"])
def test_the_environment_does_not_matter(
    variable: str,
    value: str | None,
    home: Path,
    fake_editor: AdaptEditPipeline,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(variable, value) if value else monkeypatch.delenv(variable, raising=False)
    result = run("edit", home / "desk.png", "x")
    assert result.exit_code == 0 and str(home / "desk-edited.png") in result.stdout.splitlines()
    refused(home, ("edit", "@/desk.png"), "Missing argument 'INSTRUCTION'")
