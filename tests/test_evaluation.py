"""The measurement itself: a perfect editor scores perfectly, failures count, a killed run goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

import drawn
from adaptedit.data.schema import EditSample
from adaptedit.data.synthetic import SyntheticPairs
from adaptedit.editing.pipeline import RegionNotFound
from adaptedit.errors import AdaptEditError
from adaptedit.evaluation.synthetic import DO_NOTHING, EDITORS, evaluate, table
from adaptedit.region import Region

COUNT, SEED = 4, 3
FROZEN, PREDICTED, ORACLE = EDITORS[0], EDITORS[1:3], EDITORS[3:]


@pytest.fixture(scope="module")
def pairs() -> SyntheticPairs:
    return SyntheticPairs("all", drawn.pack())


class PerfectEditor:
    """Knows the samples' targets and masks; as frozen backbone it paints everything black."""

    def __init__(self, pairs: SyntheticPairs) -> None:
        samples = [pairs.draw(np.random.default_rng([SEED, index])) for index in range(COUNT)]
        self.answers = {(s.source.tobytes(), s.instruction): s for s in samples}
        self.adapter = SimpleNamespace(disabled=self.disabled)
        self.adapted = True
        self.calls: list[dict[str, Any]] = []

    @contextmanager
    def disabled(self) -> Iterator[None]:
        self.adapted = False
        yield
        self.adapted = True

    def sample(self, source: Image.Image, prompt: str) -> EditSample:
        return self.answers[np.asarray(source).tobytes(), prompt]

    def predict_region(self, source: Image.Image, prompt: str) -> Region:
        return Region.from_array(self.sample(source, prompt).mask.astype(np.float32) / 255)

    def __call__(self, source: Image.Image, prompt: str, region: Region, **settings: Any) -> Any:
        self.calls.append({"adapted": self.adapted, "coverage": region.coverage(), **settings})
        target = self.sample(source, prompt).target
        return SimpleNamespace(images=[Image.fromarray(target if self.adapted else 0 * target)])


class BlindEditor(PerfectEditor):
    def predict_region(self, source: Image.Image, prompt: str) -> Region:
        raise RegionNotFound(f"found nothing for {prompt!r}")


def measure(editor: PerfectEditor, pairs: SyntheticPairs, out: Path, **settings: Any) -> list[dict[str, Any]]:
    return evaluate(editor, pairs, out, **{"count": COUNT, "seed": SEED, "steps": 2, **settings})  # type: ignore


def of(rows: list[dict[str, Any]], *editors: str) -> list[dict[str, Any]]:
    chosen = [row for row in rows if row["editor"] in editors]
    assert len(chosen) == COUNT * len(editors)
    return chosen


def test_a_perfect_editor_scores_perfectly_and_nothing_else_does(
    pairs: SyntheticPairs, tmp_path: Path
) -> None:
    rows = measure(PerfectEditor(pairs), pairs, tmp_path)
    assert len(rows) == COUNT * (1 + len(EDITORS))
    for row in of(rows, *PREDICTED, *ORACLE):
        assert row["success"] and row["inside"] == 0 and row["outside"] < 1e-4
    assert all(row["iou"] == 1 for row in of(rows, *PREDICTED))
    assert not any("iou" in row for row in of(rows, FROZEN, *ORACLE))
    for row in of(rows, DO_NOTHING):
        assert not row["success"] and row["inside"] > 0.02 and row["outside"] == 0
    for row in of(rows, FROZEN):
        assert not row["success"] and row["outside"] > 0.2


def test_each_editor_is_asked_in_its_own_way(pairs: SyntheticPairs, tmp_path: Path) -> None:
    editor = PerfectEditor(pairs)
    measure(editor, pairs, tmp_path, count=2)
    for index, calls in enumerate((editor.calls[:5], editor.calls[5:])):
        assert [call["adapted"] for call in calls] == [False, True, True, True, True]
        assert [call["preserve"] for call in calls] == ["soft", "soft", "exact", "soft", "exact"]
        assert calls[0]["coverage"] == 1 and all(call["coverage"] < 0.6 for call in calls[1:])
        assert {(call["seed"], call["num_inference_steps"]) for call in calls} == {(index, 2)}


def test_a_region_that_is_not_found_is_a_failed_edit(pairs: SyntheticPairs, tmp_path: Path) -> None:
    rows = measure(BlindEditor(pairs), pairs, tmp_path)
    for row in of(rows, *PREDICTED):
        assert "found nothing" in row["failure"] and not row["success"] and row["iou"] == 0
    assert all(row["success"] for row in of(rows, *ORACLE))
    assert f"No region found: {COUNT} of {COUNT} samples" in table(rows)


def test_a_killed_measurement_goes_on(pairs: SyntheticPairs, tmp_path: Path) -> None:
    unbroken = measure(PerfectEditor(pairs), pairs, tmp_path / "unbroken")

    def kill(done: int, count: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure(PerfectEditor(pairs), pairs, tmp_path / "killed", on_sample=kill)
    second = PerfectEditor(pairs)
    progress: list[tuple[int, int]] = []
    resumed = measure(second, pairs, tmp_path / "killed", on_sample=lambda *step: progress.append(step))
    assert resumed == unbroken
    assert len(second.calls) == (COUNT - 2) * len(EDITORS)
    assert progress == [(i + 1, COUNT) for i in range(COUNT)]
    written = (tmp_path / "killed" / "samples.jsonl").read_text()
    assert written == (tmp_path / "unbroken" / "samples.jsonl").read_text()
    assert [json.loads(line) for line in written.splitlines()] == unbroken


def test_fewer_samples_than_there_are_scores_those_alone(pairs: SyntheticPairs, tmp_path: Path) -> None:
    rows = measure(PerfectEditor(pairs), pairs, tmp_path)
    assert measure(PerfectEditor(pairs), pairs, tmp_path, count=1) == [r for r in rows if r["sample"] == 0]


@pytest.mark.parametrize("other", [{"seed": 9}, {"steps": 4}, {"weights": "runs/mine"}, {"split": "nouns"}])
def test_results_of_other_settings_are_not_mixed(
    pairs: SyntheticPairs, tmp_path: Path, other: dict[str, Any]
) -> None:
    measure(PerfectEditor(pairs), pairs, tmp_path, count=1)
    before = (tmp_path / "samples.jsonl").read_bytes()
    its_pairs = SyntheticPairs(other["split"], drawn.pack()) if "split" in other else pairs
    settings = {name: value for name, value in other.items() if name != "split"}
    with pytest.raises(AdaptEditError, match="other settings"):
        measure(PerfectEditor(pairs), its_pairs, tmp_path, **settings)
    assert (tmp_path / "samples.jsonl").read_bytes() == before


def test_the_table_has_a_line_for_every_kind_and_editor(pairs: SyntheticPairs, tmp_path: Path) -> None:
    rows = measure(PerfectEditor(pairs), pairs, tmp_path)
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table(rows).splitlines()[2:]]
    kinds = {row["kind"] for row in rows} | {"all"}
    assert {(line[0], line[1]) for line in lines if len(line) > 2} == {
        (kind, editor) for kind in kinds for editor in (DO_NOTHING, *EDITORS)
    }
    (best,) = (line for line in lines if line[:2] == ["all", PREDICTED[1]])
    assert best == ["all", PREDICTED[1], str(COUNT), "1.000", "0.0000", "0.0000", "100.0%"]
    (idle,) = (line for line in lines if line[:2] == ["all", DO_NOTHING])
    assert idle[3] == "–" and idle[-1] == "0.0%"


def test_pictures_are_kept_to_look_at(pairs: SyntheticPairs, tmp_path: Path) -> None:
    measure(PerfectEditor(pairs), pairs, tmp_path, count=1)
    names = sorted(path.name for path in (tmp_path / "pictures").iterdir())
    assert len(names) == len(EDITORS) and all(name.startswith("000-") for name in names)
