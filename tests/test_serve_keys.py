"""Bearer keys as people write them into files and variables."""

from __future__ import annotations

from pathlib import Path

import pytest

from adaptedit.errors import AdaptEditError
from adaptedit.interfaces.serve import keys
from adaptedit.interfaces.serve.problems import Problem
from command import home, refused

__all__ = ["home"]


def test_a_file_of_keys_as_people_write_them(tmp_path: Path) -> None:
    file = tmp_path / "keys.txt"
    file.write_bytes(b"\xef\xbb\xbffirst\r\n# all of it\n  second # of Eve\n\nthird#with-a-sign\n")
    found = keys.read(file, " fourth , ,fifth")
    for key in ("first", "second", "third#with-a-sign", "fourth", "fifth"):
        keys.check(found, f"Bearer {key}")
    for key in ("of", "Eve", "# all of it", "", "\ufefffirst", "second # of Eve"):
        with pytest.raises(Problem):
            keys.check(found, f"Bearer {key}")


def test_keys_that_are_no_file(tmp_path: Path) -> None:
    for file in (tmp_path, tmp_path / "none.txt"):
        with pytest.raises(AdaptEditError, match="cannot be read"):
            keys.read(file, None)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"one\ntwo\n", 2),
        (b"\xef\xbb\xbfone\r\ntwo", 2),
        (b"# ours\n\none # for Ann\n  two  \n", 2),
        (b"a#b\n", 1),
        (b"", "holds no key"),
        (b"\xef\xbb\xbf", "holds no key"),
        (b"# none yet\n", "holds no key"),
        (b"\xff\xfe\x00", "not UTF-8 text"),
        ("schlüssel".encode(), "key 1 has a space, or a character that is not ASCII"),
        (b"one\na b\n", "key 2 has a space"),
        (b"a\0b", "key 1"),
    ],
)
def test_a_file_of_keys(data: bytes, expected: int | str, home: Path) -> None:
    file = home / "keys"
    file.write_bytes(data)
    if isinstance(expected, int):
        assert len(set(keys.read(file, None))) == expected
    else:
        with pytest.raises(AdaptEditError, match=expected):
            keys.read(file, None)
        refused(home, ("serve", "--port", "0", "--api-keys-file", "@/keys"), expected)


@pytest.mark.parametrize("value", ["", " , ", "a b", "\udcff"])
def test_a_variable_of_keys(value: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(keys.VARIABLE, value)
    refused(home, ("serve", "--port", "0"), keys.VARIABLE)
