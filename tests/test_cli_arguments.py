"""Options and arguments that are wrong: one line, exit code 2, nothing changed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from adaptedit.editing.pipeline import AdaptEditPipeline
from command import EDIT, REGION, SCORED, fake_editor, home, refused, run

__all__ = ["fake_editor", "home"]


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
    monkeypatch.setattr(fake_editor, "find_task", lambda job: seen.append(job.instruction) or finding(job))
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
