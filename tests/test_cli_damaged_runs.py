"""Runs of `evaluate` that are damaged, or not ours."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from adaptedit.editing.pipeline import AdaptEditPipeline
from command import SCORED, evaluated, fake_editor, home, refused, run

__all__ = ["fake_editor", "home"]


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
