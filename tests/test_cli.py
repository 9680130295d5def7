"""The command line as a user meets it: files only when all went well, every mistake in one line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pytest import Subtests
from typer.testing import CliRunner, Result

from adaptedit import __version__
from adaptedit.editing.pipeline import AdaptEditPipeline
from adaptedit.interfaces.cli.main import app
from adaptedit.region import Region
from conftest import FakeAdapter


@pytest.fixture(autouse=True)
def fake_editor(pipe: AdaptEditPipeline, monkeypatch: pytest.MonkeyPatch) -> AdaptEditPipeline:
    monkeypatch.setattr(AdaptEditPipeline, "load", lambda *_, **__: pipe)
    return pipe


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    values = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    path = tmp_path / "desk.png"
    Image.fromarray(values).save(path)
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_edit_writes_the_picture_beside_the_input_and_says_so(desk: Path) -> None:
    result = run("edit", desk, "remove the apple")
    assert result.exit_code == 0, result.output
    written = desk.with_name("desk-edited.png")
    assert Image.open(written).size == (120, 90)
    assert str(written) in result.stdout.splitlines()
    assert "seed " in result.stdout
    assert result.stderr == ""


def test_edit_writes_everything_asked_for(desk: Path, tmp_path: Path) -> None:
    mask, out, found, sheet = (tmp_path / name for name in ("m.png", "o.webp", "r.png", "s.jpg"))
    region = Region.from_box((20, 30, 50, 60), (120, 90))
    region.save(mask)
    options = (
        "--region",
        mask,
        "-o",
        out,
        "--save-region",
        found,
        "--sheet",
        sheet,
        "--steps",
        2,
        "--seed",
        7,
    )
    result = run("edit", desk, "remove the apple", *options)
    assert result.exit_code == 0, result.output
    assert files(tmp_path) == {"desk.png", "m.png", "o.webp", "r.png", "s.jpg"}
    assert (Region.load(found).mask == region.mask).all()
    assert "seed 7" in result.stdout
    before, after = (np.asarray(Image.open(path).convert("RGB")) for path in (desk, out))
    outside = region.dilate(10).mask == 0
    assert (before[outside] == after[outside]).all() and (before != after).any()
    with Image.open(sheet) as drawn:
        assert drawn.width > 3 * drawn.height  # three landscape panels


@pytest.mark.parametrize("polarity", ["white", "black", "alpha"])
def test_polarity_says_what_the_mask_marks(
    desk: Path, tmp_path: Path, polarity: str, fake_editor: AdaptEditPipeline
) -> None:
    marked = np.zeros((90, 120), bool)
    marked[30:60, 20:50] = True
    mask = tmp_path / "mask.png"
    if polarity == "alpha":
        Image.fromarray(np.dstack([np.full((90, 120, 3), 99), 255 * ~marked]).astype(np.uint8)).save(mask)
    else:
        Image.fromarray((255 * (marked == (polarity == "white"))).astype(np.uint8)).save(mask)
    found = tmp_path / "found.png"
    result = run("edit", desk, "x", "--region", mask, "--polarity", polarity, "--save-region", found)
    assert result.exit_code == 0, result.output
    assert ((Region.load(found).mask > 0.5) == marked).all()


def test_the_region_can_be_changed_on_the_way(desk: Path, tmp_path: Path) -> None:
    """The fake finds the box (30, 22, 60, 45)."""
    mask, limit = tmp_path / "m.png", tmp_path / "limit.png"
    Region.from_box((0, 0, 45, 90), (120, 90)).save(limit)
    found = {}
    for name, options in {
        "as found": (),
        "box too": ("--include", "90,60,110,80"),
        "without a box": ("--exclude", "0,0,45,90"),
        "within": ("--within", limit),
        "inverted": ("--invert",),
        "grown": ("--grow", "6"),
    }.items():
        assert run("region", desk, "x", "-o", mask, "--overwrite", *options).exit_code == 0
        region = Region.load(mask)
        found[name] = [bool(region.mask[y, x] > 0.5) for x, y in ((40, 35), (50, 35), (100, 70), (62, 35))]
    assert found == {
        "as found": [True, True, False, False],
        "box too": [True, True, True, False],
        "without a box": [False, True, False, False],
        "within": [True, False, False, False],
        "inverted": [False, False, True, True],
        "grown": [True, True, False, True],
    }
    assert run("region", desk, "x", "-o", mask, "--include", "100,70").exit_code == 2


def test_candidates_share_the_region_and_differ_in_the_seed(desk: Path, tmp_path: Path) -> None:
    out, sheet = tmp_path / "out.png", tmp_path / "s.png"
    result = run("edit", desk, "x", "-o", out, "-n", 3, "--seed", 5, "--sheet", sheet)
    assert result.exit_code == 0, result.output
    expected = {f"{name}-{number}.png" for name in ("out", "s") for number in (1, 2, 3)}
    assert files(tmp_path) == expected | {"desk.png"}
    assert run("edit", desk, "x", "-o", out, "--seed", 6).exit_code == 0
    assert out.read_bytes() == (tmp_path / "out-2.png").read_bytes() != (tmp_path / "out-1.png").read_bytes()


def test_the_whole_picture_is_edited_only_when_that_is_said(
    desk: Path, tmp_path: Path, fake_editor: AdaptEditPipeline
) -> None:
    everything = fake_editor.adapter.predict_region
    fake_editor.adapter.predict_region = lambda *inputs: everything(*inputs) * 0 + 0.97  # type: ignore
    result = run("edit", desk, "make it winter")
    assert result.exit_code == 3 and "whole picture (100% of it)" in result.stderr
    assert files(tmp_path) == {"desk.png"}
    assert run("edit", desk, "make it winter", "--everywhere").exit_code == 0


def test_the_seed_that_was_printed_gives_the_same_file(desk: Path, tmp_path: Path) -> None:
    first, again = tmp_path / "1.png", tmp_path / "2.png"
    printed = run("edit", desk, "remove it", "-o", first).stdout
    seed = printed.split("seed ")[1].split(",")[0]
    run("edit", desk, "remove it", "-o", again, "--seed", seed)
    assert first.read_bytes() == again.read_bytes()


def test_region_writes_the_mask_and_the_overlay(desk: Path, tmp_path: Path) -> None:
    mask, overlay = tmp_path / "mask.png", tmp_path / "seen.png"
    result = run("region", desk, "remove the apple", "-o", mask, "--overlay", overlay)
    assert result.exit_code == 0, result.output
    assert Region.load(mask).size == Image.open(overlay).size == (120, 90)
    assert {str(mask), str(overlay)} <= set(result.stdout.splitlines())


def bad_inputs(folder: Path) -> dict[str, tuple[list[object], str]]:
    """What is wrong -> the arguments, and what the message must say."""
    good = folder / "desk.png"
    text, deep, small, colour = (
        folder / name for name in ("text.png", "deep.tif", "small.png", "colour.png")
    )
    text.write_text("I am not a picture")
    Image.fromarray(np.linspace(0, 1, 600, dtype=np.float32).reshape(20, 30)).save(deep)
    Image.new("L", (12, 9), 255).save(small)
    Image.new("L", (120, 90), 255).save(folder / "full.png")
    Image.new("RGB", (120, 90), (200, 30, 30)).save(colour)
    return {
        "missing file": (["edit", folder / "nothing.png", "x"], "nothing.png"),
        "folder": (["edit", folder, "x"], "folder"),
        "no name": (["edit", "", "x"], "folder"),
        "text named png": (["edit", text, "x"], "text.png"),
        "float": (["edit", deep, "x"], "deep.tif"),
        "empty instruction": (["edit", good, "  "], "instruction is empty"),
        "empty instruction, region": (["region", good, "", "-o", folder / "m.png"], "instruction is empty"),
        "small mask": (["edit", good, "x", "--region", small], "12x9"),
        "missing mask": (["edit", good, "x", "--region", folder / "none.png"], "none.png"),
        "coloured mask": (["edit", good, "x", "--region", colour], "coloured"),
        "mask without alpha": (["edit", good, "x", "--region", small, "--polarity", "alpha"], "alpha"),
        "unknown format": (["edit", good, "x", "-o", folder / "out.xyz"], ".xyz"),
        "mask as jpeg": (["edit", good, "x", "--save-region", folder / "m.jpg"], ".png"),
        "missing folder": (["edit", good, "x", "-o", folder / "no" / "out.png"], "does not exist"),
        "no place": (["edit", good, "x", "--include", "left"], "'left' is not a place"),
        "place outside": (["region", good, "x", "-o", folder / "m.png", "--exclude", "130,5"], "130,5"),
        "mask and everywhere": (
            ["edit", good, "x", "--region", folder / "full.png", "--everywhere"],
            "exclude",
        ),
        "small limit": (["edit", good, "x", "--within", small], "12x9"),
        "two in one": (["edit", good, "x", "-o", folder / "a.png", "--sheet", folder / "a.png"], "same name"),
    }


def test_every_mistake_is_one_line_exit_code_2_and_no_file(
    desk: Path, tmp_path: Path, subtests: Subtests
) -> None:
    cases = bad_inputs(tmp_path)
    before = files(tmp_path)
    for wrong, (arguments, message) in cases.items():
        with subtests.test(wrong):
            result = run(*arguments)
            assert result.exit_code == 2, result.output
            assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1, result.stderr
            assert message in result.stderr
            assert result.stdout == ""
            assert files(tmp_path) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["train", "encoder", "--config", "huge"],
            "unknown training config 'huge': choose one of tiny, debug",
        ),
        (
            ["data", "preview", "--split", "test", "-o", "{}/x.png"],
            "unknown split 'test': choose one of train",
        ),
        (["data", "preview", "-o", "{}/no/x.png"], "does not exist"),
        (["evaluate", "synthetic", "--split", "test", "--out", "{}/out"], "unknown split 'test'"),
    ],
)
def test_mistakes_in_sub_commands_are_one_line_too(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(*(argument.format(tmp_path) for argument in arguments))
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1, result.stderr
    assert message in result.stderr and result.stdout == ""
    assert files(tmp_path) == set()


def test_nothing_found_writes_nothing(desk: Path, tmp_path: Path, fake_editor: AdaptEditPipeline) -> None:
    fake_editor.adapter = FakeAdapter(certainty=0.1)  # type: ignore[assignment]
    for arguments in (["edit", desk, "remove the elephant"], ["region", desk, "x", "-o", tmp_path / "m.png"]):
        result = run(*arguments)
        assert result.exit_code == 3
        assert "found nothing" in result.stderr
    assert files(tmp_path) == {"desk.png"}


def test_transparency_and_jpeg_do_not_go_together(tmp_path: Path) -> None:
    Image.new("RGBA", (64, 64), (9, 99, 9, 128)).save(tmp_path / "glass.png")
    arguments = ("-o", tmp_path / "out.jpg", "--sheet", tmp_path / "sheet.png")
    result = run("edit", tmp_path / "glass.png", "x", *arguments)
    assert result.exit_code == 2
    assert "transparency" in result.stderr
    assert files(tmp_path) == {"glass.png"}


def test_interrupted_is_130(desk: Path, tmp_path: Path, fake_editor: AdaptEditPipeline) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    fake_editor.find_task = interrupt  # type: ignore
    result = run("edit", desk, "x")
    assert result.exit_code == 130
    assert files(tmp_path) == {"desk.png"}


def test_a_command_prints_its_own_lines_only(tmp_path: Path) -> None:
    """Whatever is installed beside it: torchao, bitsandbytes and peft warn when they are imported."""
    desk = Path(__file__).parents[1] / "examples" / "desk.png"
    command = [sys.executable, "-m", "adaptedit.interfaces.cli.main", "edit", str(desk), "remove the apple"]
    done = subprocess.run(
        [*command, "-o", str(tmp_path / "out.png"), "--seed", "1"], capture_output=True, text=True, check=True
    )
    assert done.stderr == "" and done.stdout.splitlines()[0] == str(tmp_path / "out.png")
    assert len(done.stdout.splitlines()) == 2


def test_version() -> None:
    assert run("--version").stdout.strip() == f"adaptedit {__version__}"


def test_help_does_not_wait_for_torch() -> None:
    code = "import sys, adaptedit.interfaces.cli.main; print({'torch', 'diffusers'} & set(sys.modules))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "set()"
