"""Records are refused as a whole, each problem with its line, before a model is there to be loaded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pytest import Subtests

from adaptedit.errors import AdaptEditError
from adaptedit.interfaces.batch.reading import BadRecords, load
from adaptedit.interfaces.batch.records import Record


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    for name in ("a.png", "b.jpg", "mask.png"):
        Image.new("L", (12, 9), 255).save(tmp_path / name)
    return tmp_path


def jobs(folder: Path, *records: Any) -> Path:
    path = folder / "jobs.jsonl"
    path.write_text("".join(f"{one if isinstance(one, str) else json.dumps(one)}\n" for one in records))
    return path


A = {"image": "a.png", "instruction": "remove the apple"}


def test_a_record_of_everything_becomes_the_job_that_it_says(desk: Path) -> None:
    mask = np.zeros((9, 12), np.uint8)
    mask[2:5, 3:7] = 255
    Image.fromarray(255 - mask).save(desk / "mask.png")
    options = {
        "threshold": 0.3,
        "include": [[1, 2], [0, 0, 5, 5]],
        "exclude": [[3, 4]],
        "invert": True,
        "grow": -2,
        "preserve": "soft",
        "steps": 3,
        "seed": 7,
        "candidates": 2,
        "feather": 0,
        "context": 1,
    }
    files = {"region": "mask.png", "within": "mask.png", "polarity": "black"}
    (record,) = load(jobs(desk, A | files | options | {"id": "x", "out": "sub/x.webp"}), desk / "out")
    assert (record.id, record.outputs) == ("x", ("sub/x-1.webp", "sub/x-2.webp"))
    job = record.job()
    places = {"include": [(1, 2), (0, 0, 5, 5)], "exclude": [(3, 4)]}
    for name, value in (options | places).items():
        assert getattr(job.options, name) == value, name
    for region in (job.options.region, job.options.within):
        assert region is not None and ((region.mask > 0.5) == (mask > 0)).all()
    assert job.instruction == "remove the apple" and job.image.size == (12, 9)
    (record,) = load(jobs(desk, A | {"everywhere": True}), desk / "out")
    assert record.job().options.everywhere


def test_what_a_record_does_not_say(desk: Path) -> None:
    (desk / "sub").mkdir()
    (desk / "a.png").rename(desk / "sub" / "a.v2.png")
    inside, outside = load(
        jobs(
            desk,
            A | {"image": "sub/a.v2.png", "seed": None},
            A | {"image": str(desk / "b.jpg")},
        ),
        desk / "out",
    )
    assert (inside.id, inside.outputs) == ("sub/a.v2", ("sub/a.v2.png",))
    assert (outside.id, outside.outputs) == ("b", ("b.png",))
    again = Record.of(A | {"image": "sub/a.v2.png"}, Path("/elsewhere"))
    assert inside.seed == again.seed != outside.seed and inside.digest == again.digest
    assert Record.of(A | {"image": "sub/a.v2.png", "steps": 2}, Path("/elsewhere")).digest != again.digest
    assert inside.job().options.threshold == 0.5 and inside.job().options.preserve == "exact"


def test_a_folder_of_pictures_and_an_imagefolder(desk: Path) -> None:
    (desk / "notes.txt").write_text("not a picture")
    (desk / "mask.png").rename(desk / "at 3.04\u202fPM.png")  # as macOS names screenshots
    (desk / ".hidden.png").write_bytes(b"")
    (desk / "deep").mkdir()
    with pytest.raises(AdaptEditError, match="--instruction"):
        load(desk, desk / "out")
    with pytest.raises(AdaptEditError, match="another --out"):
        load(desk, desk / "deep" / "..", "x")
    found = load(desk, desk / "out", "remove it")
    assert [one.fields for one in found] == [
        {"image": name, "instruction": "remove it"} for name in ("a.png", "at 3.04\u202fPM.png", "b.jpg")
    ]
    lines = jobs(desk, {"file_name": "b.jpg", "instruction": "x"}, {"file_name": "a.png"})
    lines.rename(desk / "metadata.jsonl")
    found = load(desk, desk / "out", "else")
    assert [(one.id, one.fields["instruction"]) for one in found] == [("b", "x"), ("a", "else")]


WRONG: dict[str, tuple[Any, str]] = {
    "not json": ('{"image": ', "is not JSON"),
    "not text": (b'{"image": "\xff"}', "is not JSON"),
    "a list": ("[1]", "not an object"),
    "no instruction": ({"image": "a.png"}, 'lacks "instruction"'),
    "no image": ({"instruction": "x"}, 'lacks "image"'),
    "misspelt": (A | {"polarty": "black"}, '"polarty" is not a field; use image'),
    "blank": (A | {"instruction": "  "}, '"instruction" must be text'),
    "image of the wrong type": (A | {"image": 3}, '"image" must be the path of a picture, got 3'),
    "missing picture": (A | {"image": "none.png"}, "none.png is missing"),
    "a folder": (A | {"image": "sub"}, "sub is a folder"),
    "missing mask": (A | {"region": "none.png"}, "none.png is missing"),
    "missing limit": (A | {"within": "none.png"}, "none.png is missing"),
    "polarity": (A | {"region": "mask.png", "polarity": "grey"}, "one of white, black, alpha"),
    "both": (A | {"region": "mask.png", "everywhere": True}, "exclude each other"),
    "seed": (A | {"seed": -1}, '"seed" must be a whole number from 0'),
    "steps are a flag": (A | {"steps": True}, '"steps" must be a whole number'),
    "many candidates": (A | {"candidates": 65}, "from 1 to 64"),
    "preserve": (A | {"preserve": "all"}, "exact, latent, soft"),
    "threshold": (A | {"threshold": 1}, "above 0 and below 1"),
    "not a number": (A | {"grow": float("nan")}, '"grow" must be'),
    "endless": (A | {"feather": float("inf")}, '"feather" must be'),
    "narrow": (A | {"context": 0.9}, "from 1 to 1000"),
    "place": (A | {"include": [[1, 2, 3]]}, '"include" must be a list of [x, y] and'),
    "one place": (A | {"exclude": [1, 2]}, '"exclude" must be a list'),
    "out of the folder": (A | {"out": "../x.png"}, "inside --out"),
    "absolute": (A | {"out": "/x.png"}, "inside --out"),
    "id that climbs": (A | {"id": "../x"}, "its output would be '../x.png'"),
    "format": (A | {"out": "x.gif"}, "ends in .png"),
    "long": (A | {"out": "x" * 250 + ".png"}, "240 bytes"),
    "lines in a name": (A | {"id": "a\nb"}, "text on one line"),
    "more than a float holds": ('{"image": "a.png", "instruction": "x", "grow": 1e999}', "got inf"),
    "not finite": (A | {"context": float("-inf")}, '"context" must be'),
    "grows too far": (A | {"grow": -65_536}, "from -65535 to 65535, got -65536"),
    "a wide edge": (A | {"feather": 65_536}, "from 0 to 65535"),
    "a negative edge": (A | {"feather": -1e-12}, "from 0 to 65535"),
    "much context": (A | {"context": 1000.5}, "from 1 to 1000"),
    "a number of many digits": (A | {"steps": 10**300}, "got 1000000000"),
    "many places": (
        A | {"include": [[1, 2]] * 33, "exclude": [[1, 2]] * 32},
        '"include" and "exclude" hold 65 places; give at most 64',
    ),
    "half a character": (A | {"instruction": "remove \ud83d it"}, '"instruction" must be text'),
    "half a character in a name": (A | {"id": "\udcff"}, '"id" must be text on one line'),
    "a long field": (A | {"x" * 999: 1}, f"'{'x' * 60}...' is not a field"),
    "a long value": (A | {"steps": ["x" * 999] * 99}, "xxx..."),
    "a long path": (A | {"image": f"{'x' * 999}.png", "id": "x"}, "cannot be read (File name too long)"),
    "a path without end": (
        A | {"image": "x/" * 9999 + "a.png", "id": "x"},
        "cannot be read (File name too long)",
    ),
    "no name": (A | {"image": ".", "out": "x.png"}, "is a folder"),
    "the batch's folder": (A | {"out": "shards/x.png"}, "the batch uses shards itself"),
    "the batch's folder in capitals": (A | {"out": "Shards/x.png"}, "the batch uses Shards itself"),
    "the batch's manifest": (A | {"out": "manifest.json/x.png"}, "the batch uses manifest.json itself"),
    "a pipe": (A | {"image": "pipe"}, "pipe is not an ordinary file"),
    "onto the source": (A | {"out": "sub/../a.png"}, "inside --out"),
}


def test_every_mistake_is_named_with_its_line(desk: Path, subtests: Subtests) -> None:
    (desk / "sub").mkdir()
    os.mkfifo(desk / "pipe")
    for wrong, (line, message) in WRONG.items():
        with subtests.test(wrong):
            path = desk / "jobs.jsonl"
            text = (
                line
                if isinstance(line, bytes)
                else (line if isinstance(line, str) else json.dumps(line)).encode()
            )
            path.write_bytes(json.dumps(A | {"id": "good"}).encode() + b"\n\n" + text + b"\n")
            with pytest.raises(BadRecords) as raised:
                load(path, desk / "out")
            assert str(raised.value).startswith(f"{path}, line 3: ") and message in str(raised.value)
            assert "\n" not in str(raised.value)
            assert all(len(problem) < 700 for problem in raised.value.problems)


def test_an_output_inside_another_is_refused_with_both_lines(desk: Path) -> None:
    path = jobs(
        desk,
        A | {"id": "1", "out": "x.png"},
        A | {"id": "2", "out": "x.png/deep/er.png"},
        A | {"id": "3", "out": "y/z-1.png/w.png"},
        A | {"id": "4", "out": "y/z.png", "candidates": 2},
        A | {"id": "5", "out": "x.pngs/a.png"},
    )
    with pytest.raises(BadRecords) as raised:
        load(path, desk / "out")
    assert [problem.removeprefix(f"{path}, line ") for problem in raised.value.problems] == [
        f"2: its output x.png/deep/er.png lies inside x.png, the output of {path}, line 1; "
        'give an "out" of its own',
        f"3: its output y/z-1.png/w.png lies inside y/z-1.png, the output of {path}, line 4; "
        'give an "out" of its own',
    ]


def test_jobs_that_are_no_text(desk: Path) -> None:
    os.mkfifo(desk / "pipe")
    (desk / "utf16.jsonl").write_text(json.dumps(A), "utf-16")
    for source, message in (
        (desk / "pipe", "is not an ordinary file"),
        (Path("/dev/zero"), "is not an ordinary file"),
        (Path("/dev/stdin/x"), "cannot be read"),
        (desk / "a.png", "is not text in UTF-8"),
        (desk / "utf16.jsonl", "is not text in UTF-8"),
        (desk / ("x" * 999), "cannot be read (File name too long)"),
    ):
        with pytest.raises(AdaptEditError) as raised:
            load(source, desk / "out", "x")
        assert message in str(raised.value) and len(str(raised.value)) < 400
    for instruction in (" ", "remove \udcff"):
        with pytest.raises(AdaptEditError, match='--instruction must be text such as "remove the apple"'):
            load(desk, desk / "out", instruction)


def test_all_problems_are_found_at_once(desk: Path) -> None:
    path = jobs(
        desk,
        A | {"id": "1", "out": "x.png"},
        A | {"id": "1", "out": "y.png"},
        A | {"id": "2", "out": "x.png"},
        A | {"id": "3", "out": "z-2.png"},
        A | {"id": "4", "out": "z.png", "candidates": 2},
        {"image": "none.png", "steps": 0},
        A | {"id": "5", "out": "z-1.png"},
        A | {"id": "6", "out": "b.jpg"},
    )
    with pytest.raises(BadRecords) as raised:
        load(path, desk)  # the pictures' own folder
    assert [problem.removeprefix(f"{path}, line ") for problem in raised.value.problems] == [
        f"2: the id '1' is taken by {path}, line 1; give an \"id\" of its own",
        f'3: its output x.png is also that of {path}, line 1; give an "out" of its own',
        f'5: its output z-1.png is also that of {path}, line 4; give an "out" of its own',
        '6: lacks "instruction"',
        '6: "steps" must be a whole number from 1 to 1000, got 0',
        f'7: its output z-1.png is also that of {path}, line 5; give an "out" of its own',
    ]
    assert "6 problems" in str(raised.value)


def test_an_output_never_overwrites_an_input(desk: Path) -> None:
    (desk / "link.png").symlink_to(desk / "a.png")
    for out in ("a.png", "mask.png", "link.png"):
        with pytest.raises(BadRecords, match="would overwrite an input"):
            load(jobs(desk, A | {"region": "mask.png", "out": out}), desk)
    assert load(jobs(desk, A | {"region": "mask.png", "out": "b.jpg"}), desk)


def test_nothing_to_edit(desk: Path) -> None:
    (desk / "empty").mkdir()
    for source, message in (
        (desk / "none.jsonl", "cannot be read"),
        (jobs(desk, " "), "nothing to edit"),
        (desk / "empty", "nothing to edit"),
    ):
        with pytest.raises(AdaptEditError, match=message):
            load(source, desk / "out", "x")


def test_checking_waits_for_no_model() -> None:
    code = (
        "import sys, adaptedit.interfaces.batch.reading, adaptedit.interfaces.batch.run, "
        "adaptedit.interfaces.batch.processes, adaptedit.interfaces.batch.ray_run, "
        "adaptedit.interfaces.cli.batch; print({'torch', 'diffusers', 'ray'} & set(sys.modules))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "set()"
