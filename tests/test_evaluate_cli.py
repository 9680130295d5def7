"""`adaptedit evaluate` and `report` from the shell's side: real files in, runs and a report out."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner, Result

from adaptedit.editing.pipeline import AdaptEditPipeline
from adaptedit.editing.placement import Placement
from adaptedit.errors import AdaptEditError, NotEnoughMemory
from adaptedit.evaluation.metrics import ALL
from adaptedit.evaluation.threshold import chosen_on
from adaptedit.interfaces.cli.main import app
from test_magicbrush import parquet

CHEAP = ("--metric", "pixels", "--metric", "region")


@pytest.fixture(autouse=True)
def fake_editor(pipe: AdaptEditPipeline, monkeypatch: pytest.MonkeyPatch) -> AdaptEditPipeline:
    monkeypatch.setattr(AdaptEditPipeline, "load", lambda *_, **__: pipe)
    return pipe


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Five pictures, each lighter in a box after the edit."""
    folder = tmp_path / "set"
    folder.mkdir()
    lines = []
    for number in range(5):
        pixels = np.random.default_rng(number).integers(0, 200, (48, 64, 3), dtype=np.uint8)
        mask = np.zeros((48, 64), np.uint8)
        mask[10:30, 12 : 30 + number] = 255
        after = pixels + (mask[..., None] // 5)
        for name, array in (("a", pixels), ("b", after), ("m", mask)):
            Image.fromarray(array).save(folder / f"{number}{name}.png")
        lines.append(
            {
                "id": f"n{number}",
                "file_name": f"{number}a.png",
                "target": f"{number}b.png",
                "mask": f"{number}m.png",
                "polarity": "white",
                "instruction": "make it lighter",
            }
        )
    (folder / "metadata.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def scores(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "scores.jsonl").read_text().splitlines()]


def test_every_editor_gets_a_folder_and_all_of_them_one_report(pictures: Path, tmp_path: Path) -> None:
    out, theirs = tmp_path / "out", tmp_path / "theirs"
    theirs.mkdir()
    for number in range(4):  # one is missing
        Image.open(pictures / f"{number}b.png").save(theirs / f"n{number}.png")
    editors = ("--editor", "nothing", "--editor", "predicted", "--editor", theirs)
    result = run("evaluate", "folder", "--data", pictures, "--out", out, *editors, *CHEAP)
    assert result.exit_code == 0, result.output
    assert result.stdout.strip() == str(out / "report.html") and (out / "report.md").exists()
    (given,) = (path for path in out.iterdir() if path.name.endswith("theirs"))
    assert [row["L1"] for row in scores(given)[:4]] == [0.0] * 4
    assert "has no picture n4.png" in scores(given)[4]["failure"]
    assert scores(given)[4]["L1"] == scores(out / "nothing")[4]["L1"] > 0
    assert all(0 < row["IoU"] < 1 for row in scores(out / "predicted"))
    assert "IoU" not in scores(out / "nothing")[0]


def test_magicbrush_as_the_hub_has_it(tmp_path: Path) -> None:
    data = parquet(tmp_path / "data")
    for protocol in ("inde", "iter"):
        out = tmp_path / protocol
        result = run("evaluate", f"magicbrush-dev-{protocol}", "--data", data, "--out", out, *CHEAP)
        assert result.exit_code == 0, result.output
    one, chained = ({row["id"]: row for row in scores(tmp_path / p / "predicted")} for p in ("inde", "iter"))
    assert one.keys() == chained.keys() == {"100-1", "100-2", "7-1"}
    assert one["100-1"]["L1"] == chained["100-1"]["L1"] and one["100-2"]["L1"] != chained["100-2"]["L1"]
    assert chained["100-2"]["category"] == "final turn" and one["100-2"]["category"] == "turn 2"


def test_a_threshold_comes_from_other_pictures(pictures: Path, tmp_path: Path) -> None:
    dev, out = tmp_path / "dev", tmp_path / "out"
    assert run("evaluate", "folder", "--data", pictures, "--out", dev, *CHEAP).exit_code == 0
    data = parquet(tmp_path / "data")
    arguments = ("evaluate", "magicbrush-dev-inde", "--data", data, "--out", out, *CHEAP)
    assert run(*arguments).exit_code == 0
    assert "IoU@dev" not in scores(out / "predicted")[0]
    edited = (out / "predicted" / "edits.jsonl").read_bytes()
    assert run(*arguments, "--threshold-from", dev / "predicted").exit_code == 0
    assert "IoU@dev" in scores(out / "predicted")[0]
    assert (out / "predicted" / "edits.jsonl").read_bytes() == edited  # scored anew, not edited anew
    described = json.loads((out / "predicted" / "run.json").read_text())
    threshold = chosen_on(dev / "predicted", "magicbrush-dev-inde")
    assert described["scoring"] == {"region": {"threshold": threshold}}


def test_a_threshold_never_comes_from_the_pictures_that_are_scored(pictures: Path, tmp_path: Path) -> None:
    run("evaluate", "folder", "--data", pictures, "--out", tmp_path / "dev", "--editor", "nothing", *CHEAP)
    dev = tmp_path / "dev" / "nothing"
    with pytest.raises(AdaptEditError, match="found no regions"):
        chosen_on(dev, "other")
    with pytest.raises(AdaptEditError, match="must not be chosen on"):
        chosen_on(dev, json.loads((dev / "run.json").read_text())["benchmark"])
    (dev / "run.json").write_text(json.dumps({"benchmark": "magicbrush-dev-iter"}))
    with pytest.raises(AdaptEditError, match="must not be chosen on magicbrush-dev-inde"):
        chosen_on(dev, "magicbrush-dev-inde")
    (dev / "scores.jsonl").unlink()
    with pytest.raises(AdaptEditError, match="not finished"):
        chosen_on(dev, "other")
    with pytest.raises(AdaptEditError, match="holds no run"):
        chosen_on(tmp_path, "other")


def test_torchrun_shares_a_run_and_changes_nothing(pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "theirs.py").write_text(
        "def edit(picture, instruction, seed):\n    return picture.rotate(seed % 90)\n"
    )
    command = ["-m", "adaptedit.interfaces.cli.main", "evaluate", "folder", "--data", str(pictures)]
    command += [
        "--editor",
        "theirs:edit",
        "--editor",
        "nothing",
        *CHEAP,
        "--metric",
        "fidelity",
        "--metric",
        "shift",
    ]
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    shared = [
        "-m",
        "torch.distributed.run",
        "--nproc-per-node",
        "2",
        *command,
        "--out",
        str(tmp_path / "two"),
    ]
    outputs = []
    for arguments in ([*command, "--out", str(tmp_path / "one")], shared):
        done = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        outputs.append(done.stdout)
    assert "share 1 of" not in outputs[0] and "report.html" in outputs[0] and "report.html" in outputs[1]
    shards = {path.name for path in (tmp_path / "two" / "nothing" / "shards").iterdir()}
    assert shards == {"edits.0.jsonl", "edits.1.jsonl", "scores.0.jsonl", "scores.1.jsonl"}
    for editor in ("nothing", "theirs-edit"):
        one, two = tmp_path / "one" / editor, tmp_path / "two" / editor
        assert (one / "scores.jsonl").read_bytes() == (two / "scores.jsonl").read_bytes()
        for path in (one / "pictures").iterdir():
            assert path.read_bytes() == (two / "pictures" / path.name).read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("evaluate", "magicbrush", "--out", "{}/o"), "unknown benchmark 'magicbrush'; choose one of"),
        (("evaluate", "magicbrush-test-inde", "--out", "{}/o"), "give its path and password"),
        (("evaluate", "pie-bench", "--out", "{}/o"), "hand it out at"),
        (("evaluate", "folder", "--data", "{}/no", "--out", "{}/o"), "no such file"),
        (("evaluate", "folder", "--data", "{}/set", "--out", "{}/o", "--editor", "best"), "unknown editor"),
        (("evaluate", "folder", "--data", "{}/set", "--out", "{}/o", "--metric", "psnr"), "no metric 'psnr'"),
        (("evaluate", "folder", "--data", "{}/set", "--out", "{}/o", "--model", "clip"), "METRIC=MODEL"),
        (("evaluate", "folder", "--data", "{}/set", "--out", "{}/o", "--split", "x"), "folder takes"),
        (("report", "{}/set"), "holds no run"),
    ],
)  # fmt: skip
def test_every_mistake_is_one_line(
    arguments: tuple[str, ...], message: str, pictures: Path, tmp_path: Path
) -> None:
    result = run(*(argument.format(tmp_path) for argument in arguments))
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1, result.stderr
    assert message in result.stderr


def test_what_cannot_be_had_is_in_the_report_with_its_reason(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    models = ("--model", f"clip={tmp_path / 'none'}", "--metric", "clip", "--metric", "pixels")
    assert run("evaluate", "folder", "--data", pictures, "--out", out, *models).exit_code == 0
    text = (out / "report.md").read_text()
    assert "CLIP-I, CLIP-T" in text and "cannot be loaded" in text


def test_an_editor_without_adapter_is_refused_before_it_is_loaded(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AdaptEditPipeline, "load", None)
    arguments = ("evaluate", "folder", "--data", pictures, "--out", tmp_path / "out", *CHEAP)
    arguments += ("--backbone", "me/editor")
    for options, message in {
        (): "--editor predicted finds the place by an adapter, and me/editor has none; give --adapter",
        ("--editor", "frozen", "--editor", "blanked"): "--editor blanked finds the place by an adapter",
        ("--editor", "given", "--adapter-scale", 2): "--adapter-scale changes nothing",
        ("--editor", "frozen", "--preserve", "soft"): "--preserve soft changes nothing in frozen",
    }.items():
        result = run(*arguments, *options)
        assert result.exit_code == 2 and message in result.stderr, result.output
        assert not (tmp_path / "out").exists()


def test_a_refusal_of_all_samples_is_no_success(
    pictures: Path, tmp_path: Path, fake_editor: AdaptEditPipeline
) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise AdaptEditError("this editor takes no guidance; leave it out")

    fake_editor.backbone.edit = refuse  # type: ignore[method-assign]
    editors = ("--editor", "nothing", "--editor", "frozen", "--guidance", 3)
    result = run("evaluate", "folder", "--data", pictures, "--out", tmp_path / "out", *editors, *CHEAP)
    assert result.exit_code == 1 and (tmp_path / "out" / "report.html").exists()
    assert result.stderr == "frozen: every sample failed: this editor takes no guidance; leave it out\n"


def test_too_little_memory_ends_the_run(
    pictures: Path, tmp_path: Path, fake_editor: AdaptEditPipeline
) -> None:
    whole = fake_editor.backbone.edit

    def exhausted(*_: Any, **__: Any) -> Any:
        raise NotEnoughMemory("there is not enough memory for this editor; try --quantize nf4")

    arguments = ("evaluate", "folder", "--data", pictures, "--out", tmp_path / "out", *CHEAP)
    fake_editor.backbone.edit = exhausted  # type: ignore[method-assign]
    result = run(*arguments)
    assert result.exit_code == 2 and result.stderr.count("\n") == 1 and "try --quantize nf4" in result.stderr
    fake_editor.backbone.edit = whole  # type: ignore[method-assign]
    assert run(*arguments).exit_code == 0
    assert [row["failure"] for row in scores(tmp_path / "out" / "predicted")] == [None] * 5


def test_a_run_is_of_one_editor(pictures: Path, tmp_path: Path, fake_editor: AdaptEditPipeline) -> None:
    out, adapter = tmp_path / "out", tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "model.safetensors").write_bytes(b"one")
    fake_editor.placement = Placement(torch.device("cpu"), "fp8")
    editors = ("--editor", "nothing", "--editor", "predicted", "--editor", "frozen", "--preserve", "soft")
    arguments = ("evaluate", "folder", "--data", pictures, "--out", out, *CHEAP, *editors)
    assert run(*arguments, "--adapter", adapter).exit_code == 0
    settings = {
        name: json.loads((out / name / "run.json").read_text())["settings"]
        for name in ("nothing", "predicted", "frozen")
    }
    assert settings["nothing"] == {}
    assert settings["predicted"]["quantize"] == "fp8" and settings["predicted"]["preserve"] == "soft"
    assert "preserve" not in settings["frozen"]
    assert run(*arguments, "--adapter", f"{adapter.parent}/./adapter/").exit_code == 0
    (adapter / "model.safetensors").write_bytes(b"two")
    result = run(*arguments, "--adapter", adapter)
    assert result.exit_code == 2 and "holds a run with adapter" in result.stderr, result.output
    assert not set(result.stderr) & set("{}[]")
    (adapter / "model.safetensors").write_bytes(b"one")
    fake_editor.placement = Placement(torch.device("cpu"))
    result = run(*arguments, "--adapter", adapter)
    assert result.exit_code == 2 and "give --quantize fp8, or give another --out" in result.stderr
    result = run(*arguments, "--adapter", adapter, "--quantize", "nf4")
    assert result.exit_code == 2 and "give --quantize fp8, or give another --out" in result.stderr


def test_the_baseline_of_a_report_can_be_chosen(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    editors = ("--editor", "nothing", "--editor", "predicted")
    run("evaluate", "folder", "--data", pictures, "--out", out, *editors, *CHEAP)
    result = run("report", out, "--baseline", "predicted", "-o", tmp_path / "other", "--pictures", 0)
    assert result.exit_code == 0, result.output
    assert "Difference from predicted" in (tmp_path / "other" / "report.md").read_text()
    assert "no editor 'best'" in run("report", out, "--baseline", "best").stderr


def test_all_metrics_have_a_name_on_the_command_line() -> None:
    assert set(ALL) <= set(re.findall(r"[\w-]+", run("evaluate", "--help").stdout))
