"""Writing files: nobody's file is lost, no file half-written, and the owner's wishes hold."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from adaptedit.errors import AdaptEditError
from adaptedit.files import check_writable, replacing, write_atomically

posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such files or modes")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@posix
@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_a_new_file_gets_what_the_umask_allows(umask: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        write_atomically(tmp_path / "a", b"1")
        with replacing(tmp_path / "b") as temporary:
            temporary.unlink()  # as a library that makes its own file, readable for us alone
            os.close(os.open(temporary, os.O_CREAT | os.O_WRONLY, 0o600))
    finally:
        os.umask(before)
    assert mode(tmp_path / "a") == mode(tmp_path / "b") == 0o666 & ~umask


@posix
@pytest.mark.parametrize("given", [0o600, 0o640, 0o664, 0o755])
def test_a_file_keeps_its_mode(given: int, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    path.chmod(given)
    write_atomically(path, b"new")
    assert (path.read_bytes(), mode(path)) == (b"new", given)


@posix
@pytest.mark.parametrize("given", [0o444, 0o400, 0o555])
def test_a_read_only_file_is_left_alone_even_by_root(given: int, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    path.chmod(given)
    with pytest.raises(AdaptEditError, match="read-only"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["a.png"]


@posix
def test_a_symbolic_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "away").mkdir()
    target, link = tmp_path / "away" / "target.png", tmp_path / "link.png"
    target.write_bytes(b"old")
    for path, aim in ((link, target), (tmp_path / "second.png", link)):
        path.symlink_to(aim)
        write_atomically(path, path.name.encode())
        assert path.is_symlink() and target.read_bytes() == path.name.encode()
    hanging = tmp_path / "hanging.png"
    hanging.symlink_to(tmp_path / "away" / "new.png")
    write_atomically(hanging, b"new")
    assert hanging.is_symlink() and (tmp_path / "away" / "new.png").read_bytes() == b"new"


@posix
def test_a_pipe_is_written_into(tmp_path: Path) -> None:
    pipe, got = tmp_path / "pipe.png", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()), daemon=True)
    reader.start()
    write_atomically(pipe, b"data" * 1000)
    reader.join(10)
    assert got == [b"data" * 1000] and stat.S_ISFIFO(pipe.stat().st_mode)


@posix
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("folder", "is a folder"),
        ("no/such/a.png", "does not exist"),
        ("file/a.png", "Not a directory|not a folder"),
        ("x" * 300 + ".png", "too long"),
        ("loop", "symbolic links"),
        ("full", "No space left"),
        ("a\0b.png", "not a name for a file"),
    ],
)
def test_what_cannot_be_written_is_one_line(name: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "full").symlink_to("/dev/full")
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(AdaptEditError, match=message) as caught:
        write_atomically(f"{tmp_path}/{name}", b"data")
    if name != "full":
        with pytest.raises(AdaptEditError, match=message):
            check_writable(f"{tmp_path}/{name}")
    assert "\n" not in str(caught.value) and sorted(os.listdir(tmp_path)) == before


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), ValueError("of a library")])
def test_what_fails_on_the_way_leaves_the_old_file(error: Exception, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    wanted = AdaptEditError if isinstance(error, OSError) else ValueError
    with pytest.raises(wanted, match=r"No space left|of a library"), replacing(path) as temporary:
        temporary.write_bytes(b"half")
        raise error
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["a.png"]
