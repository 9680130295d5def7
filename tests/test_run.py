"""The runner: any split of the work gives the same files, a kill costs one sample, nothing is skipped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from adaptedit.data.sample import EditSample
from adaptedit.editing.options import EditOptions
from adaptedit.editing.pipeline import AdaptEditPipeline
from adaptedit.errors import AdaptEditError, NotEnoughMemory
from adaptedit.evaluation.editors import EDITORS, Edit, editor
from adaptedit.evaluation.metrics import Scoring
from adaptedit.evaluation.report.runs import read_runs
from adaptedit.evaluation.run import Run, Shard, common_failure, evaluate, seed_of
from adaptedit.region import Region
from conftest import FakeAdapter, FakeBackbone

SIZE = (24, 16)


class Squares:
    """Pictures of one grey; the target is lighter in a box. `chained`: sessions of three turns."""

    def __init__(self, count: int = 7, chained: bool = False) -> None:
        self.name, self.chained = "squares", chained
        ids = [f"s{i}" for i in range(count)]
        self.sessions = [ids[i : i + 3] for i in range(0, count, 3)] if chained else [[one] for one in ids]

    def load(self, sample_id: str) -> EditSample:
        source = np.full((SIZE[1], SIZE[0], 3), 10 + 5 * int(sample_id[1:]), np.uint8)
        target = source.copy()
        target[4:8, 4:12] += 40
        return EditSample(
            sample_id,
            f"lighten {sample_id}",
            Image.fromarray(source),
            Image.fromarray(target),
            Region.from_box((4, 4, 12, 8), SIZE),
            "even" if int(sample_id[1:]) % 2 == 0 else "odd",
        )


class Difference:
    columns = ("difference", "coverage")

    def __call__(self, sample: EditSample, result: Image.Image, found: Region | None) -> dict[str, float]:
        row = {"difference": float(np.abs(np.asarray(result, int) - np.asarray(sample.target, int)).mean())}
        return row | ({"coverage": found.coverage()} if found else {})


class Brightness:
    columns = ("mean brightness",)

    def __call__(self, pairs: Iterable[tuple[EditSample, Image.Image]]) -> dict[str, float]:
        return {"mean brightness": float(np.mean([np.asarray(result).mean() for _, result in pairs]))}


SCORING = Scoring([Difference()], [Brightness()], {"CLIP-I": "offline"}, {})


def noisy(sample: EditSample, seed: int) -> Edit:
    """Depends on the seed, so that a wrong one shows."""
    noise = np.random.default_rng(seed).integers(0, 30, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
    return Edit(Image.fromarray(np.asarray(sample.source) + noise), region=sample.region)


def a_run(out: Path, benchmark: Any = None, **changes: Any) -> Run:
    run = Run(
        out,
        benchmark or Squares(),
        "noisy",
        3,
        {"steps": 1},
        SCORING,
    )
    return replace(run, **changes)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def results(out: Path) -> dict[str, Any]:
    edits = [
        {key: value for key, value in row.items() if key != "seconds"} for row in lines(out / "edits.jsonl")
    ]
    files = {
        str(path.relative_to(out)): path.read_bytes()
        for folder in ("pictures", "regions", "sources", "targets", "truths")
        for path in sorted((out / folder).iterdir())
    }
    return {
        "edits": edits,
        "scores": lines(out / "scores.jsonl"),
        "set": (out / "set.json").read_text(),
    } | files


@pytest.mark.parametrize("chained", [False, True])
def test_two_shards_give_what_one_process_gives(tmp_path: Path, chained: bool) -> None:
    benchmark = Squares(chained=chained)
    assert evaluate(a_run(tmp_path / "one", benchmark), noisy)
    run = a_run(tmp_path / "two", benchmark)
    assert not evaluate(run, noisy, shard=Shard(1, 2))
    assert not (run.out / "scores.jsonl").exists()
    assert evaluate(run, noisy, shard=Shard(0, 2))
    assert results(tmp_path / "one") == results(tmp_path / "two")
    assert [row["id"] for row in lines(run.out / "scores.jsonl")] == [f"s{i}" for i in range(7)]


def test_a_turn_starts_from_the_editors_own_last_result(tmp_path: Path) -> None:
    sources: dict[str, int] = {}

    def plus_one(sample: EditSample, seed: int) -> Edit:
        sources[sample.id] = int(np.asarray(sample.source)[0, 0, 0])
        return Edit(Image.eval(sample.source, lambda value: value + 1))

    evaluate(a_run(tmp_path, Squares(chained=True)), plus_one)
    assert sources == {"s0": 10, "s1": 11, "s2": 12, "s3": 25, "s4": 26, "s5": 27, "s6": 40}


SCRIPT = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_run import Squares, a_run, noisy
from adaptedit.evaluation.run import Shard, evaluate
done = 0
def edit(sample, seed):
    global done
    done += 1
    if done == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    return noisy(sample, seed)
evaluate(a_run(Path({out!r}), Squares(chained={chained})), edit)
"""


@pytest.mark.parametrize("chained", [False, True])
def test_a_killed_run_goes_on_and_ends_as_an_unbroken_one(tmp_path: Path, chained: bool) -> None:
    out = tmp_path / "killed"
    script = SCRIPT.format(tests=str(Path(__file__).parent), out=str(out), chained=chained)
    code = subprocess.run([sys.executable, "-c", script], env=os.environ, capture_output=True).returncode
    assert code == -signal.SIGKILL
    assert len(lines(out / "shards" / "scores.0.jsonl")) == 3
    with (out / "shards" / "edits.0.jsonl").open("a") as file:
        file.write('{"id": "s3", "seed')  # as a kill in the middle of a write leaves it
    run, calls = a_run(out, Squares(chained=chained)), []
    assert evaluate(run, lambda sample, seed: calls.append(sample.id) or noisy(sample, seed))
    assert calls == ["s3", "s4", "s5", "s6"]
    evaluate(a_run(tmp_path / "unbroken", Squares(chained=chained)), noisy)
    assert results(out) == results(tmp_path / "unbroken")
    assert evaluate(run, lambda sample, seed: pytest.fail("nothing is left to do"))


def test_failures_are_counted_and_named(tmp_path: Path) -> None:
    def bad(sample: EditSample, seed: int) -> Edit:
        match sample.id:
            case "s0":
                raise AdaptEditError("found nothing")
            case "s1":
                raise RuntimeError("shapes differ")
            case "s2":
                return Edit(Image.new("RGB", SIZE))
            case "s3":
                return Edit(sample.source.resize((12, 8)).resize(SIZE), failure="no picture")
            case "s4":
                return Edit(sample.source.crop((0, 0, 24, 15)).resize((24, 15)))
        return Edit(sample.source)

    assert evaluate(a_run(tmp_path, scoring=Scoring()), bad)
    edits = {row["id"]: row for row in lines(tmp_path / "edits.jsonl")}
    failures = {key: row["failure"] for key, row in edits.items() if row["failure"]}
    assert failures == {
        "s0": "found nothing",
        "s1": "RuntimeError: shapes differ",
        "s2": "the result is all black (a safety checker, or NaN in half precision)",
        "s3": "no picture",
    }
    assert [key for key, row in edits.items() if row["size_differs"]] == ["s4"]
    assert len(lines(tmp_path / "scores.jsonl")) == 7
    assert np.array_equal(Image.open(tmp_path / "pictures" / "s1.png"), Squares().load("s1").source)


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), NotEnoughMemory("try less")])
def test_too_little_memory_is_no_result(tmp_path: Path, error: Exception) -> None:
    def exhausted(sample: EditSample, seed: int) -> Edit:
        if sample.id == "s2":
            raise error
        return noisy(sample, seed)

    with pytest.raises(type(error)):
        evaluate(a_run(tmp_path / "out"), exhausted)
    assert evaluate(a_run(tmp_path / "out"), noisy)
    evaluate(a_run(tmp_path / "unbroken"), noisy)
    assert results(tmp_path / "out") == results(tmp_path / "unbroken")


def test_one_message_for_all_samples_is_told_apart(tmp_path: Path) -> None:
    def fails(message: str, region: Region | None = None) -> Any:
        return lambda sample, seed: Edit(sample.source, region, failure=message.format(sample.id))

    nowhere = Region.from_array(np.zeros(SIZE[::-1]))
    editors = {
        "same": fails("no such option"),
        "each its own": fails("no picture {}"),
        "nothing found": fails("found nothing", nowhere),
        "one only": lambda sample, seed: (
            fails("broken")(sample, seed) if sample.id == "s1" else noisy(sample, 1)
        ),
    }
    found = {}
    for name, one in editors.items():
        run = a_run(tmp_path / name)
        assert common_failure(run) is None
        evaluate(run, one)
        found[name] = common_failure(run)
    assert found == {"same": "no such option"} | dict.fromkeys(list(editors)[1:])


def test_another_run_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    evaluate(a_run(tmp_path), noisy)
    for change, message in (
        ({"seed": 4}, "seed 3, not 4"),
        ({"settings": {"steps": 2}}, "steps 1, not 2"),
        ({"settings": {"steps": 1, "backbone": {"name": "me/x"}}}, "backbone none, not me/x;"),
        ({"editor_name": "other"}, "editor noisy, not other"),
    ):
        with pytest.raises(AdaptEditError, match=f"holds a run with {message}"):
            evaluate(a_run(tmp_path, **change), noisy)


def test_other_metrics_score_the_saved_pictures_anew(tmp_path: Path) -> None:
    evaluate(a_run(tmp_path, scoring=Scoring(), limit=4), noisy)
    assert "difference" not in lines(tmp_path / "scores.jsonl")[0]
    evaluate(a_run(tmp_path), lambda sample, seed: noisy(sample, seed))
    evaluate(a_run(tmp_path / "fresh"), noisy)
    assert lines(tmp_path / "scores.jsonl") == lines(tmp_path / "fresh" / "scores.jsonl")
    assert set(lines(tmp_path / "scores.jsonl")[0]) >= {"difference", "coverage"}


def test_scores_of_other_metrics_are_gone_at_once(tmp_path: Path) -> None:
    evaluate(a_run(tmp_path), noisy)

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(a_run(tmp_path, scoring=Scoring([Difference()])), noisy, on_sample=stop)
    assert not (tmp_path / "scores.jsonl").exists() and not (tmp_path / "set.json").exists()
    (run,) = read_runs([tmp_path])
    assert len(run.scores) == 1 and not run.finished


def test_what_a_benchmark_leaves_out_is_on_record(tmp_path: Path) -> None:
    squares = Squares()
    squares.left_out = {"bad caption": ["s0", "x7"], "none": []}  # type: ignore[attr-defined]
    evaluate(a_run(tmp_path, squares), noisy)
    assert json.loads((tmp_path / "run.json").read_text())["left_out"] == {"bad caption": ["x7"]}


def test_a_limit_keeps_sessions_whole(tmp_path: Path) -> None:
    evaluate(a_run(tmp_path, Squares(chained=True), limit=4), noisy)
    assert len(lines(tmp_path / "scores.jsonl")) == 6
    assert json.loads((tmp_path / "run.json").read_text())["samples"] == 6


# -- editors


def big(size: int = 64) -> EditSample:
    picture = Image.effect_noise((size, size), 80).convert("RGB")
    return EditSample("big", "remove it", picture, region=Region.from_box((20, 20, 40, 40), picture.size))


@pytest.mark.parametrize("name", EDITORS)
def test_every_editor_edits_and_says_what_it_found(name: str, pipe: AdaptEditPipeline) -> None:
    edit = editor(name, lambda: pipe, EditOptions())(big(), 1)
    assert edit.failure is None and edit.image.size == (64, 64)
    found = {"whole-frame": 1.0, "centre-box": 0.25}.get(name, 1 / 16)
    if name.startswith(("frozen", "given", "cropped")):
        assert edit.region is None
    else:
        assert edit.region is not None and edit.region.coverage() == pytest.approx(found, abs=0.01)


def test_a_region_that_is_not_found_is_an_empty_one_and_a_failure() -> None:
    blind = AdaptEditPipeline(FakeBackbone(), FakeAdapter(certainty=0.1))  # type: ignore[arg-type]
    sample = big()
    edit = editor("predicted", lambda: blind, EditOptions())(sample, 1)
    assert edit.failure is not None and edit.failure.startswith("found nothing")
    assert edit.region is not None and edit.region.coverage() == 0
    assert edit.image == sample.source


def test_other_peoples_pictures_and_functions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (64, 64), "red").save(tmp_path / "big.png")
    (tmp_path / "theirs.py").write_text(
        textwrap.dedent("""
            def edit(picture, instruction, seed):
                return picture.transpose(0)
        """)
    )
    monkeypatch.syspath_prepend(tmp_path)

    def no_pipe() -> AdaptEditPipeline:
        raise AssertionError("needs no pipeline")

    assert editor(str(tmp_path), no_pipe, EditOptions())(big(), 1).image.getpixel((0, 0)) == (255, 0, 0)
    missing = editor(str(tmp_path), no_pipe, EditOptions())(replace(big(), id="other"), 1)
    assert missing.failure == f"{tmp_path} has no picture other.png"
    sample = big()
    assert editor("theirs:edit", no_pipe, EditOptions())(sample, 1).image == sample.source.transpose(0)
    assert editor("nothing", no_pipe, EditOptions())(sample, 1).image == sample.source
    with pytest.raises(AdaptEditError, match="cannot import the editor 'theirs:edits'"):
        editor("theirs:edits", no_pipe, EditOptions())
    with pytest.raises(AdaptEditError, match="unknown editor 'best'; choose nothing, predicted"):
        editor("best", no_pipe, EditOptions())


def test_seeds_are_the_samples_own() -> None:
    assert seed_of(0, "a") == seed_of(0, "a") != seed_of(0, "b") != seed_of(1, "b")


# -- the shares of the plain editor, of the transfer of detail, of the crop, of the adapter


def test_the_plain_editor_is_told_apart_from_what_is_put_around_it(pipe: AdaptEditPipeline) -> None:
    sample = replace(
        big(), source=big().source.resize((64, 64)), region=Region.from_box((8, 8, 24, 24), (64, 64))
    )
    adapter = pipe.adapter
    assert isinstance(adapter, FakeAdapter)
    without = AdaptEditPipeline(FakeBackbone())
    options = EditOptions()
    images = {}
    for name in ("frozen", "frozen-stitched", "cropped"):
        images[name] = editor(name, lambda: pipe, options)(sample, 1).image
        assert editor(name, lambda: without, options)(sample, 1).image == images[name]
    (plain,) = pipe.backbone.edit(
        [sample.source],
        ["x"],
        [Region.full((64, 64))],
        generators=[torch.Generator().manual_seed(1)],
    )
    assert images["frozen"] == plain.image
    source, cropped = np.asarray(sample.source), np.asarray(images["cropped"])
    assert (source[60:] == cropped[60:]).all() and (source[10:20, 10:20] != cropped[10:20, 10:20]).any()
