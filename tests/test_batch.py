"""A batch as a user meets it: what is done stays done, what fails is said, whatever stopped the last run."""

from __future__ import annotations

import hashlib
import json
import time
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from adaptedit.editing.job import EditJob
from adaptedit.editing.options import LoadOptions
from adaptedit.editing.pipeline import AdaptEditPipeline
from adaptedit.interfaces.batch import manifest
from adaptedit.interfaces.batch.progress import line, progress
from adaptedit.interfaces.cli.main import app
from adaptedit.interfaces.loading import load_pipeline
from conftest import FakeAdapter

Row = dict[str, Any]


@pytest.fixture(autouse=True)
def fake_editor(pipe: AdaptEditPipeline, monkeypatch: pytest.MonkeyPatch) -> AdaptEditPipeline:
    monkeypatch.setattr(AdaptEditPipeline, "load", lambda *_, **__: pipe)
    return pipe


@pytest.fixture
def edited(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The instructions of all edits that were begun."""
    begun: list[str] = []
    call = AdaptEditPipeline.edit_task

    def noted(self: AdaptEditPipeline, job: EditJob, *rest: Any) -> Any:
        begun.append(job.instruction)
        return call(self, job, *rest)

    monkeypatch.setattr(AdaptEditPipeline, "edit_task", noted)
    return begun


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    values = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    for name in "abcd":
        Image.fromarray(values).save(folder / f"{name}.png")
    return folder


def jobs(folder: Path, **by_id: Row) -> Path:
    path = folder / "jobs.jsonl"
    rows = [{"image": "a.png", "instruction": name, "id": name} | fields for name, fields in by_id.items()]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def batch(jobs: Path, out: Path, *options: object) -> Result:
    return CliRunner().invoke(app, ["batch", str(jobs), "--out", str(out), *map(str, options)])


def rows(out: Path) -> dict[str, Row]:
    lines = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]
    assert len({row["id"] for row in lines}) == len(lines)
    return {row["id"]: row for row in lines}


def hashes(out: Path) -> dict[str, list[str]]:
    """By id, and what they say is true."""
    for row in rows(out).values():
        on_disk = [hashlib.sha256((out / path).read_bytes()).hexdigest() for path in row["outputs"]]
        assert on_disk == row["sha256"]
    return {name: row["sha256"] for name, row in rows(out).items()}


def test_a_folder_with_one_instruction(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = batch(folder, out, "--instruction", "remove the mug")
    assert result.exit_code == 0, result.output
    assert str(out / "manifest.jsonl") in result.stdout and "4 done, 0 failed" in result.stdout
    assert {path.name for path in out.glob("*.png")} == {"a.png", "b.png", "c.png", "d.png"}
    assert list(rows(out)) == list("abcd")
    row = rows(out)["a"]
    assert row["status"] == "done" and row["outputs"] == ["a.png"] and row["error"] is None
    assert 0 < row["coverage"] < 1 and 0.5 < row["confidence"] <= 1 and row["seconds"] > 0
    assert len({row["seed"] for row in rows(out).values()}) == 4
    hashes(out)
    header = json.loads((out / "manifest.json").read_text())
    assert header["backbone"]["name"] == "tiny" and len(header["backbone"]["sha256"]) == 64
    assert {"adaptedit", "torch", "diffusers"} <= set(header["versions"][0])


def test_the_manifests_seed_gives_the_same_picture_alone(folder: Path, tmp_path: Path) -> None:
    batch(jobs(folder, x={"candidates": 2}), tmp_path / "out")
    row = rows(tmp_path / "out")["x"]
    assert row["outputs"] == ["x-1.png", "x-2.png"]
    for number, digest in enumerate(row["sha256"]):
        one = tmp_path / f"one-{number}.png"
        arguments = ["edit", str(folder / "a.png"), "x", "-o", str(one), "--seed", str(row["seed"] + number)]
        assert CliRunner().invoke(app, arguments).exit_code == 0
        assert hashlib.sha256(one.read_bytes()).hexdigest() == digest


def test_what_is_done_is_not_done_again(folder: Path, tmp_path: Path, edited: list[str]) -> None:
    out = tmp_path / "out"
    assert batch(jobs(folder, p={}, q={}, r={}, s={}), out).exit_code == 0
    before = hashes(out)
    (out / "p.png").unlink()
    (out / "q.png").write_bytes(b"half a pict")
    edited.clear()
    changed = jobs(folder, p={}, q={}, r={"threshold": 0.4}, s={}, t={})
    assert batch(changed, out).exit_code == 2 and edited == []  # q.png is not what the batch wrote
    result = batch(changed, out, "--overwrite")
    assert result.exit_code == 0 and "4 of 5 this time" in result.stdout
    assert edited == ["p", "q", "r", "t"]  # gone, damaged, said otherwise, new
    assert {name: hashes(out)[name] for name in before} == before
    edited.clear()
    assert batch(jobs(folder, s={}), out).exit_code == 0
    assert edited == [] and list(rows(out)) == ["s"]
    assert batch(jobs(folder, s={"out": "sub/s.png"}), out).exit_code == 0
    assert edited == ["s"] and hashes(out)["s"] == before["s"] and (out / "sub" / "s.png").exists()


def test_failures_are_recorded_and_tried_again_only_when_asked(
    folder: Path, tmp_path: Path, edited: list[str], fake_editor: AdaptEditPipeline
) -> None:
    out = tmp_path / "out"
    (folder / "b.png").write_text("no picture")
    Image.new("L", (9, 9), 255).save(folder / "small.png")
    Image.new("RGBA", (64, 64), (9, 99, 9, 128)).save(folder / "glass.png")
    Image.new("L", (70_000, 4)).save(folder / "wide.png")  # JPEG ends at 65,535
    whole = fake_editor.backbone.edit

    def broken(images: Any, prompts: list[str], *rest: Any, **options: Any) -> Any:
        if "explode" in prompts:
            raise RuntimeError("shapes\n differ\n")
        return whole(images, prompts, *rest, **options)

    fake_editor.backbone.edit = broken  # type: ignore[method-assign]
    wrong = {
        "text": {"image": "b.png"},
        "mask": {"region": "small.png"},
        "place": {"include": [[500, 5]]},
        "transparent": {"image": "glass.png", "out": "x.jpg"},
        "wide": {"image": "wide.png", "out": "wide.jpg", "everywhere": True},
        "explode": {},
    }
    result = batch(jobs(folder, **wrong, good={}), out)
    assert result.exit_code == 1 and "1 done, 6 failed" in result.stdout
    said = {name: row["error"] for name, row in rows(out).items() if row["status"] == "failed"}
    for name, message in {
        "text": "not a known kind of picture",
        "mask": "9x9",
        "place": "500,5",
        "transparent": "cannot hold transparency",
        "wide": "JPEG holds at most 65,500 pixels",
        "explode": "RuntimeError: shapes differ",
    }.items():
        assert message in said[name] and f"{name}: {said[name]}" in result.stderr
    assert {path.name for path in out.iterdir()} == {"good.png", "manifest.json", "manifest.jsonl", "shards"}

    edited.clear()
    fake_editor.backbone.edit = whole  # type: ignore[method-assign]
    assert batch(jobs(folder, **wrong, good={}), out).exit_code == 1 and edited == []
    result = batch(jobs(folder, **wrong, good={}), out, "--retry-failed")
    assert result.exit_code == 1 and "2 done, 5 failed" in result.stdout
    assert edited == ["explode"] and rows(out)["explode"]["status"] == "done"


def test_no_region_is_an_outcome_of_its_own(
    folder: Path, tmp_path: Path, edited: list[str], fake_editor: AdaptEditPipeline
) -> None:
    out = tmp_path / "out"
    batch(jobs(folder, x={}), out)
    fake_editor.adapter = FakeAdapter(certainty=0.1)  # type: ignore[assignment]
    result = batch(jobs(folder, x={"threshold": 0.4}), out)
    assert result.exit_code == 1 and "1 no_region" in result.stdout
    assert "found nothing" in rows(out)["x"]["error"] and rows(out)["x"]["outputs"] == []
    assert not (out / "x.png").exists()  # of the record as it was before
    everywhere = fake_editor.adapter.predict_region
    fake_editor.adapter.predict_region = lambda *inputs: everywhere(*inputs) * 0 + 0.97  # type: ignore
    batch(jobs(folder, x={"threshold": 0.3}), out)
    assert rows(out)["x"]["status"] == "global"
    edited.clear()
    batch(jobs(folder, x={"threshold": 0.3}), out, "--retry-failed")
    assert edited == []


def test_shards_give_what_one_run_gives(folder: Path, tmp_path: Path, edited: list[str]) -> None:
    path = jobs(folder, **{f"{n}": {"image": f"{'abcd'[n % 4]}.png"} for n in range(7)})
    batch(path, tmp_path / "whole")
    edited.clear()
    for shard in ("3/3", "1/3", "2/3"):
        assert batch(path, tmp_path / "shared", "--shard", shard).exit_code == 0
    assert edited == ["2", "5", "0", "3", "6", "1", "4"]
    files = {path.name for path in (tmp_path / "shared" / "shards").glob("manifest.*")}
    assert files == {f"manifest.{shard}.jsonl" for shard in range(3)}
    assert hashes(tmp_path / "shared") == hashes(tmp_path / "whole")
    assert list(rows(tmp_path / "shared")) == list(rows(tmp_path / "whole"))
    edited.clear()
    batch(path, tmp_path / "shared")
    assert edited == []


def test_the_newest_line_counts_whichever_shard_wrote_it(folder: Path, tmp_path: Path) -> None:
    out, path = tmp_path / "out", jobs(folder, p={}, q={"image": "b.png"})
    whole = (folder / "b.png").read_bytes()
    (folder / "b.png").write_bytes(b"no picture")
    assert batch(path, out, "--shard", "2/2").exit_code == 1
    (folder / "b.png").write_bytes(whole)
    assert batch(path, out, "--retry-failed").exit_code == 0  # all of it, in the first shard's file
    assert {row["status"] for row in rows(out).values()} == {"done"}


@pytest.mark.parametrize("cut", [0, 1, 60, -2, -1])
def test_a_line_cut_short_by_a_kill_costs_its_record_only(
    folder: Path, tmp_path: Path, edited: list[str], cut: int
) -> None:
    out, path = tmp_path / "out", jobs(folder, p={}, q={}, r={})
    batch(path, out)
    before, lines = hashes(out), out / "shards" / "manifest.0.jsonl"
    first, second, third = lines.read_bytes().splitlines(keepends=True)
    lines.write_bytes(first + second[:cut])
    edited.clear()
    assert batch(path, out).exit_code == 0
    assert edited == (["r"] if cut == -1 else ["q", "r"])  # only the end of the line is missing
    assert hashes(out) == before


def test_ctrl_c_keeps_what_is_done(folder: Path, tmp_path: Path, fake_editor: AdaptEditPipeline) -> None:
    out, path = tmp_path / "out", jobs(folder, p={}, q={})
    whole = fake_editor.backbone.edit

    def interrupted(images: Any, prompts: list[str], *rest: Any, **options: Any) -> Any:
        if "q" in prompts:
            raise KeyboardInterrupt
        return whole(images, prompts, *rest, **options)

    fake_editor.backbone.edit = interrupted  # type: ignore[method-assign]
    assert batch(path, out).exit_code == 130
    fake_editor.backbone.edit = whole  # type: ignore[method-assign]
    result = batch(path, out)
    assert result.exit_code == 0 and "1 of 2 this time" in result.stdout


def test_other_versions_are_noted(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    batch(jobs(folder, x={}), tmp_path / "out")
    monkeypatch.setattr(manifest, "version", lambda name: "99")
    for _ in range(2):
        assert batch(jobs(folder, x={}), tmp_path / "out").exit_code == 0
    versions = json.loads((tmp_path / "out" / "manifest.json").read_text())["versions"]
    assert len(versions) == 2 and versions[1]["torch"] == "99" != versions[0]["torch"]


def test_mistakes_are_one_line_and_load_no_model(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AdaptEditPipeline, "load", None)
    good = jobs(folder, x={})
    (tmp_path / "file").write_text("")
    bad = folder / "bad.jsonl"
    bad.write_text("{}\n")
    for options, message in {
        ("--shard", "0/4"): "--shard '0/4'",
        ("--shard", "5/4"): "--shard '5/4'",
        ("--shard", "half"): "--shard 'half'",
        ("--ray", "--processes", "2"): "exclude each other",
        ("--workers", "2"): "--workers is for --ray",
    }.items():
        result = batch(good, tmp_path / "out", *options)
        assert result.exit_code == 2 and message in result.stderr, result.output
        assert result.stderr.count("\n") == 1 and result.stdout == ""
    result = batch(good, tmp_path / "file")
    assert result.exit_code == 2 and "cannot be made" in result.stderr
    result = batch(bad, tmp_path / "out")
    assert result.exit_code == 2 and result.stderr.splitlines() == [
        f'{bad}, line 1: lacks "image"',
        f'{bad}, line 1: lacks "instruction"',
        f"error: {bad}: 2 problems; correct them, nothing was edited",
    ]
    assert not (tmp_path / "out").exists()


def test_a_log_has_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = iter(range(0, 1000, 25))
    monkeypatch.setattr(time, "monotonic", lambda: next(now))
    with progress(6) as on_row:
        for status in ("done", "failed", "done", "done", "done", "done"):
            on_row({"status": status})
    assert capsys.readouterr().err.splitlines() == [
        "3 of 6, 1 failed, 25.00 s per record, 0:01:15 left",
        "6 of 6, 1 failed, 25.00 s per record, 0:00:00 left",
    ]
    assert line(1, 100_001, 0, 2.0) == "1 of 100001, 0 failed, 2.00 s per record, 2 days, 7:33:20 left"


def test_libraries_show_nothing_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """The batch has a bar for all records, and a second LoRA is meant."""
    given: dict[str, Any] = {}
    inner = SimpleNamespace(set_progress_bar_config=given.update)
    pipe = SimpleNamespace(backbone=SimpleNamespace(pipe=inner))
    monkeypatch.setattr(AdaptEditPipeline, "load", lambda *_, **__: pipe)
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        assert load_pipeline(LoadOptions()) is pipe
        warnings.warn("Already found a `peft_config` attribute in the model.", stacklevel=1)
    assert given == {"disable": True} and not shown
