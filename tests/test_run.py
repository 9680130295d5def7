"""The runner: any split of the work gives the same files, a kill costs one sample, nothing is skipped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from adaptedit.data.sample import EditSample
from adaptedit.errors import AdaptEditError, NotEnoughMemory
from adaptedit.evaluation.editors import Edit
from adaptedit.evaluation.metrics import Scoring
from adaptedit.evaluation.report.runs import read_runs
from adaptedit.evaluation.run import Run, Shard, common_failure, evaluate, seed_of
from adaptedit.region import Region

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


def test_seeds_are_the_samples_own() -> None:
    assert seed_of(0, "a") == seed_of(0, "a") != seed_of(0, "b") != seed_of(1, "b")
