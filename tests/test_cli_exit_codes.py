"""Whatever is wrong around the command line: one line, its exit code, and the folder as it was before."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

import adaptedit.files
import adaptedit.pictures.read
from adaptedit.editing.pipeline import AdaptEditPipeline
from adaptedit.errors import AdaptEditError
from adaptedit.interfaces.cli.main import app
from adaptedit.interfaces.serve import keys
from adaptedit.pictures.picture import Picture
from adaptedit.region import Region

posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such files, names, modes or streams")
COMMAND = (sys.executable, "-m", "adaptedit.interfaces.cli.main")
LONG = "y" * 300
SCORED = ("--metric", "pixels", "--editor", "nothing")


@pytest.fixture
def fake_editor(pipe: AdaptEditPipeline, monkeypatch: pytest.MonkeyPatch) -> AdaptEditPipeline:
    monkeypatch.setattr(AdaptEditPipeline, "from_pretrained", lambda *_: pipe)
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

# -- options and arguments


@pytest.mark.parametrize("value", ["1e300", "1e9", "inf", "nan", "-1e9", "-inf", "x", ""])
@pytest.mark.parametrize(
    "arguments",
    [(*EDIT, "--grow"), (*REGION, "-o", "@/m.png", "--grow"), (*EDIT, "--feather"), (*EDIT, "--context")],
)
def test_a_number_that_no_picture_has(
    arguments: tuple[str, ...], value: str, home: Path, fake_editor: AdaptEditPipeline
) -> None:
    refused(home, (*arguments[:-1], f"{arguments[-1]}={value}"), arguments[-1].strip("-"))


@pytest.mark.parametrize("option", ["--max-megapixels", "--max-mb"])
@pytest.mark.parametrize("value", ["inf", "nan", "-1", "0", "x"])
@pytest.mark.parametrize("door", ["serve", "ui"])
def test_a_limit_that_is_none(door: str, option: str, value: str, home: Path) -> None:
    refused(home, (door, f"{option}={value}"), option)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), ""),
        (("data",), ""),
        (("edti",), "No such command 'edti'. Did you mean 'edit'?; see adaptedit --help"),
        (("data", "nope"), "see adaptedit data --help"),
        (("edit",), "Missing argument 'IMAGE'; see adaptedit edit --help"),
        (("edit", "@/desk.png"), "INSTRUCTION"),
        ((*EDIT, "more"), "extra argument"),
        ((*EDIT, "--nope"), "--nope"),
        ((*EDIT, "-o"), "-o"),
        ((*EDIT, "--preserve", "most"), "'most' is not one of 'exact'"),
        ((*EDIT, "--polarity", "grey"), "'grey' is not one of 'white'"),
        ((*EDIT, "--steps", 10**22), "--steps"),
        ((*EDIT, "--steps", 10**9), "--steps"),
        ((*EDIT, "--seed", 2**63), "--seed"),
        ((*EDIT, "-n", 65), "--candidates"),
        ((*EDIT, "--include", "9" * 5000), "is not a place"),
        ((*EDIT, "--include", "1,2,3"), "1,2,3"),
        ((*EDIT, "--include", "nan,1"), "is not a place"),
        ((*EDIT, "-o", ".", "-n", 3), "is not a name for a file"),
        ((*EDIT, "--a\nb"), "see adaptedit edit --help"),
        (("edit", "@/a\nb.png", "x"), "a\\nb.png"),
        (("edit", "@/a\x1b[31mb.png", "x"), "a\\x1b[31mb.png"),
        (("train", "nope"), "'nope' is not one of 'encoder'"),
        (("train", "encoder", "--config", "a\nb"), "unknown training config"),
        (("data", "preview", "-o", "@/a.png", "--count", 10**8), "--count"),
        (("data", "preview", "-o", "@/a.gif"), "cannot write '.gif'"),
        (("data", "preview", "-o", "@/a"), "cannot write ''"),
        (("models", "no-such-editor"), "no-such-editor"),
        (("models", "--preset", "huge"), "unknown preset 'huge'"),
        (("models", "--size", "0"), "--size"),
        (("batch", "@/set", "--out", "@/out", "--instruction", "x", "--shard", "5/4"), "--shard"),
        (("evaluate", "nope", "--out", "@/out"), "nope"),
        (("evaluate", "folder", "--data", "@/none", "--out", "@/out"), "none"),
        (
            ("evaluate", "folder", "--data", "@/set", "--out", "@/out", "--editor", "..."),
            "'...' is not a name",
        ),
        (
            ("evaluate", "folder", "--data", "@/set", "--out", "@/o", *SCORED, "--editor", "nothing"),
            "give each once",
        ),
        (
            ("evaluate", "folder", "--data", "@/set", "--out", "@/out", *SCORED, "--baseline", "best"),
            "--baseline 'best' is none of the editors: nothing",
        ),
        (("evaluate", "folder", "--data", "@/set", "--out", "@/out", "--steps", 10**9), "--steps"),
        (("report",), "DIR"),
        (("report", "@/empty", "--pictures", "-1"), "--pictures"),
    ],
)
def test_a_misused_command(
    arguments: tuple[object, ...], message: str, home: Path, fake_editor: AdaptEditPipeline
) -> None:
    if message:
        refused(home, arguments, message)
    else:  # no arguments: the help
        result = run(*arguments)
        assert result.exit_code == 2 and result.stdout.count("\n") > 3 and result.stderr == ""


@pytest.mark.parametrize(("rank", "ranks"), [("x", "1"), ("0", "x"), ("0", "0"), ("5", "2"), ("-1", "2")])
def test_a_share_that_there_is_not(
    rank: str, ranks: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", rank)
    monkeypatch.setenv("WORLD_SIZE", ranks)
    refused(home, ("evaluate", "folder", "--data", "@/set", "--out", "@/out"), "WORLD_SIZE")


@pytest.mark.parametrize("most", [60, 100_000])
def test_a_message_never_repeats_everything(most: int, home: Path, fake_editor: AdaptEditPipeline) -> None:
    refused(home, (*EDIT, "--include", "no" * most), "is not a place")
    refused(home, (*EDIT, f"--{'no' * most}"), "see adaptedit edit --help")
    refused(home, ("evaluate", "no" * most, "--out", "@/out"), "")


def test_an_instruction_in_another_locale_is_read_as_utf_8(
    home: Path, fake_editor: AdaptEditPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    finding = fake_editor.find_task
    monkeypatch.setattr(fake_editor, "find_task", lambda *a, **b: seen.append(a[1]) or finding(*a, **b))
    given = "remove the café".encode().decode("ascii", "surrogateescape")
    assert run("edit", home / "desk.png", given).exit_code == 0
    assert seen == ["remove the café"]


@pytest.mark.parametrize("door", ["edit", "region", "batch"])
def test_an_instruction_that_is_no_text(door: str, home: Path, fake_editor: AdaptEditPipeline) -> None:
    bad = "remove \udcff the apple"
    arguments: dict[str, tuple[str, ...]] = {
        "edit": ("edit", "@/desk.png", bad),
        "region": ("region", "@/desk.png", bad, "-o", "@/m.png"),
        "batch": ("batch", "@/folder", "--out", "@/out", "--instruction", bad),
    }
    shutil.copy(home / "desk.png", home / "folder")
    refused(home, arguments[door], "text")


# -- places

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


# -- what is never replaced

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


# -- runs of `evaluate`, whole and damaged


def evaluated(out: Path) -> None:
    done = run("evaluate", "folder", "--data", out.parent / "set", "--out", out, *SCORED)
    assert done.exit_code == 0, done.output


def rewrite(path: Path, **values: object) -> None:
    """In each JSON object of the file."""
    lines = [path.read_text()] if path.suffix == ".json" else path.read_text().splitlines()
    path.write_text("".join(json.dumps(json.loads(line) | values) + "\n" for line in lines))


DAMAGE: dict[str, Callable[[Path], object]] = {
    "cut": lambda run: (run / "run.json").write_text("{"),
    "deep": lambda run: (run / "run.json").write_text("[" * 100_000),
    "no text": lambda run: (run / "run.json").write_bytes(b"\xff"),
    "a list": lambda run: (run / "run.json").write_text("[]"),
    "foreign": lambda run: (run / "run.json").write_text('{"a": 1}'),
}
DAMAGED_REPORT = DAMAGE | {
    "columns": lambda run: rewrite(run / "run.json", columns=[{}]),
    "scoring": lambda run: rewrite(run / "run.json", scoring={"a": 1}),
    "left out": lambda run: rewrite(run / "run.json", left_out={"a": 1}),
    "unavailable": lambda run: rewrite(run / "run.json", unavailable={"a": 1}),
    "set": lambda run: (run / "set.json").write_text("x"),
    "deep set": lambda run: (run / "set.json").write_text("[" * 100_000),
    "no id": lambda run: rewrite(run / "scores.jsonl", id=None),
    "long id": lambda run: rewrite(run / "scores.jsonl", id="/" * 10_000),
    "a score in words": lambda run: rewrite(run / "scores.jsonl", L1="good"),
    "a large score": lambda run: rewrite(run / "scores.jsonl", L1=10**400),
    "category": lambda run: rewrite(run / "scores.jsonl", category=[1]),
    "instruction": lambda run: rewrite(run / "scores.jsonl", instruction=5),
    "failure": lambda run: rewrite(run / "scores.jsonl", failure=[5]),
    "seconds": lambda run: rewrite(run / "edits.jsonl", seconds="long"),
    "picture": lambda run: (run / "pictures" / "a.png").write_text("x"),
}


@pytest.mark.parametrize("what", DAMAGED_REPORT)
def test_a_damaged_run_is_not_reported(what: str, home: Path, fake_editor: AdaptEditPipeline) -> None:
    evaluated(home / "run")
    DAMAGED_REPORT[what](home / "run" / "nothing")
    refused(home, ("report", "@/run", "-o", "@/report"), str(home / "run"))


@pytest.mark.parametrize("what", DAMAGE)
def test_a_damaged_run_is_not_resumed(what: str, home: Path, fake_editor: AdaptEditPipeline) -> None:
    evaluated(home / "run")
    DAMAGE[what](home / "run" / "nothing")
    arguments = ("evaluate", "folder", "--data", "@/set", "--out", "@/run", *SCORED)
    refused(home, arguments, "give another --out, or remove")


@pytest.mark.parametrize("name", ["edits", "scores"])
@pytest.mark.parametrize("line", ["{}", "[]", '{"id": []}', "\ufffe", '{"id": 1, "scored_as": 1}', "{"])
def test_lines_that_are_not_ours_are_done_again(
    name: str, line: str, home: Path, fake_editor: AdaptEditPipeline
) -> None:
    evaluated(home / "run")
    lines = (home / "run" / "nothing" / "scores.jsonl").read_bytes()
    for path in (home / "run" / "nothing" / "shards").iterdir():
        path.write_text(line + "\n") if path.name.startswith(name) else None
    evaluated(home / "run")
    assert (home / "run" / "nothing" / "scores.jsonl").read_bytes() == lines


def test_characters_that_are_no_text_do_not_end_a_report(home: Path, fake_editor: AdaptEditPipeline) -> None:
    evaluated(home / "run")
    rewrite(home / "run" / "nothing" / "run.json", editor="caf\udce9")
    assert run("report", home / "run").exit_code == 0
    assert "caf\\udce9" in (home / "run" / "report.md").read_text("utf-8")


# -- keys


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


def test_a_comment_is_no_part_of_a_key(home: Path) -> None:
    (home / "keys").write_text("one # for Ann\n")
    assert keys.read(home / "keys", None) == keys.read(None, "one") == keys.read(None, " one ,")


@pytest.mark.parametrize("value", ["", " , ", "a b", "\udcff"])
def test_a_variable_of_keys(value: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(keys.VARIABLE, value)
    refused(home, ("serve", "--port", "0"), keys.VARIABLE)


# -- Ctrl-C


@pytest.mark.parametrize("stage", ["reading", "loading", "finding", "editing", "encoding", "writing"])
def test_interrupted_at_any_stage(
    stage: str, home: Path, fake_editor: AdaptEditPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> Any:
        raise KeyboardInterrupt

    owner, name = {
        "reading": (Picture, "open"),
        "loading": (AdaptEditPipeline, "from_pretrained"),
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
        [*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
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


QUICK = [("--version",), ("edit", "--help"), ("models", "kontext", "--json"), ("models", "kontext")]


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
