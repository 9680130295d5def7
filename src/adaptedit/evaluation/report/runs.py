"""Reads what `evaluation/run.py` writes: one folder per editor. A damaged line is named, never skipped."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from adaptedit.editing.weights import label
from adaptedit.errors import AdaptEditError, quoted
from adaptedit.evaluation.statistics import Scores
from adaptedit.jsonl import read as read_shards

Row = dict[str, Any]

DESCRIPTION = {
    "benchmark": str,
    "editor": str,
    "seed": int,
    "settings": dict,
    "columns": list,
    "set_columns": list,
    "unavailable": dict,
    "scoring": dict,
    "scored_as": str,
    "left_out": dict,
    "samples": int,
}
INSIDE = {"columns": str, "set_columns": str, "unavailable": str, "scoring": dict, "left_out": list}
FIELDS = {  # of a line, where they are there
    "category": (str,),
    "instruction": (str,),
    "failure": (str, type(None)),
    "seconds": (int, float, type(None)),
}


@dataclass(frozen=True)
class EditorRun:
    """What is on disk of one editor.

    name: its own among the runs of a report. settings: as text, those of the metrics too.
    expected: how many samples the finished run has.
    edits, scores: lines by sample id, in the order of the file; see `evaluation/run.py`.
    sets: values of the set metrics; {} before the run is finished.
    """

    folder: Path
    name: str
    benchmark: str
    seed: int
    settings: dict[str, str]
    columns: tuple[str, ...]
    set_columns: tuple[str, ...]
    unavailable: dict[str, str]
    expected: int
    edits: dict[str, Row]
    scores: dict[str, Row]
    sets: dict[str, float]

    @property
    def finished(self) -> bool:
        return len(self.scores) >= self.expected

    @property
    def failures(self) -> dict[str, str]:
        """The reason, by sample, for each failed edit."""
        return {one: row["failure"] for one, row in self.scores.items() if row.get("failure")}

    @property
    def other_size(self) -> list[str]:
        """Samples whose result is not of the source's size."""
        return [one for one in self.scores if self.edits.get(one, {}).get("size_differs")]

    @property
    def seconds(self) -> float | None:
        """Mean time of an edit."""
        times = [row["seconds"] for row in self.edits.values() if row.get("seconds") is not None]
        return sum(times) / len(times) if times else None

    def table(self, columns: Sequence[str], category: str | None = None) -> Scores:
        """The scores as a matrix; of one category, or of all."""
        rows = [row for row in self.scores.values() if category in (None, row.get("category", ""))]
        values = [[row.get(column) for column in columns] for row in rows]
        matrix = np.array(values, dtype=np.float64).reshape(len(rows), len(columns))
        return Scores(tuple(row["id"] for row in rows), matrix)


def read_runs(folders: Sequence[Path]) -> list[EditorRun]:
    """All runs in these folders: each holds one run, or one folder per run, as `adaptedit evaluate` does.

    AdaptEditError if there is none, if they are of several benchmarks, if one is given twice, or if a file is
    damaged.
    """
    found = [folder for given in folders for folder in _run_folders(Path(given))]
    if doubled := [path for path, times in Counter(one.resolve() for one in found).items() if times > 1]:
        raise AdaptEditError(f"{doubled[0]}: the same run is given twice; give each folder once")
    runs = [_read(folder) for folder in found]
    for run in runs[1:]:
        if run.benchmark != runs[0].benchmark:
            raise AdaptEditError(
                f"{runs[0].folder} is a run of {runs[0].benchmark} and {run.folder} of {run.benchmark}; "
                "their numbers do not compare: make a report for each"
            )
    shared = Counter(run.name for run in runs)
    return [run if shared[run.name] == 1 else replace(run, name=f"{run.name} ({run.folder})") for run in runs]


def _run_folders(given: Path) -> list[Path]:
    if (given / "run.json").exists():
        return [given]
    folders = sorted(path.parent for path in given.glob("*/run.json"))
    if not folders:
        raise AdaptEditError(f"{given}: holds no run (no run.json); give the --out of adaptedit evaluate")
    return folders


def _read(folder: Path) -> EditorRun:
    described = _described(folder / "run.json")
    columns = tuple(described["columns"])
    edits, scores = _rows(folder, "edits", ()), _rows(folder, "scores", columns)
    if len(scores) < described["samples"]:  # still going on, or killed: the lines are in the shards
        where = f"a line in {folder / 'shards'}"
        edits |= {_checked(row, where, ()): row for row in read_shards(folder, "edits")}
        key = described["scored_as"]
        lines = [row for row in read_shards(folder, "scores") if row.get("scored_as") == key]
        scores |= {_checked(row, where, columns): row for row in lines}
    path = folder / "set.json"
    sets = _object(path.read_bytes(), str(path)) if path.exists() else {}
    _check_finite(sets, str(path), tuple(sets))
    return EditorRun(
        folder,
        described["editor"],
        described["benchmark"],
        described["seed"],
        _settings(described),
        columns,
        tuple(described["set_columns"]),
        described["unavailable"],
        described["samples"],
        edits,
        scores,
        sets if len(scores) >= described["samples"] else {},
    )


def _described(path: Path) -> Row:
    described = _object(path.read_bytes(), str(path))
    for key, kind in DESCRIPTION.items():
        if not isinstance(described.get(key), kind):
            raise AdaptEditError(f"{path}: {key!r} is missing or not a {kind.__name__}; run evaluate again")
    for key, kind in INSIDE.items():
        inside = described[key].values() if isinstance(described[key], dict) else described[key]
        if not all(isinstance(one, kind) for one in inside):
            raise AdaptEditError(f"{path}: not all of {key!r} is a {kind.__name__}; run evaluate again")
    return described


def _settings(described: Row) -> dict[str, str]:
    metrics = {
        f"{name} {key}": value for name, made in described["scoring"].items() for key, value in made.items()
    }
    told = {key: None if one is None else label(one) for key, one in described["settings"].items()}
    settings = told | metrics
    if left_out := described["left_out"]:
        settings["left out"] = ", ".join(f"{len(ids)} with {reason}" for reason, ids in left_out.items())
    return {key: _words(value) for key, value in settings.items()}


def _words(value: object) -> str:
    if value is None:
        return "default"
    return value if isinstance(value, str) else json.dumps(value)


_AGAIN = "remove the file and run evaluate again"


def _rows(folder: Path, name: str, columns: tuple[str, ...]) -> dict[str, Row]:
    path = folder / f"{name}.jsonl"
    rows: dict[str, Row] = {}
    for number, line in enumerate(path.read_bytes().splitlines() if path.exists() else [], start=1):
        where = f"{path}, line {number}"
        row = _object(line, where)
        one = _checked(row, where, columns)
        if one in rows:
            raise AdaptEditError(f"{where}: the id {quoted(one)} comes twice; {_AGAIN}")
        rows[one] = row
    return rows


def _checked(row: Row, where: str, columns: tuple[str, ...]) -> str:
    """The row's id."""
    one = row.get("id")
    if not isinstance(one, str) or Path(one).name != one:
        raise AdaptEditError(f"{where}: the id {quoted(one)} is not a file name; {_AGAIN}")
    for key, kinds in FIELDS.items():
        if key in row and not isinstance(row[key], kinds):
            raise AdaptEditError(f"{where}: {key} is {quoted(row[key])}, of the wrong type; {_AGAIN}")
    _check_finite(row, where, columns)
    return one


def _check_finite(row: Row, where: str, columns: tuple[str, ...]) -> None:
    for column in columns:
        value = row.get(column, 0.0)
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not abs(value) <= sys.float_info.max
        ):
            raise AdaptEditError(f"{where}: {column} is {quoted(value)}, not a finite number; {_AGAIN}")


def _object(text: bytes, where: str) -> Row:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise AdaptEditError(f"{where}: damaged ({error}); {_AGAIN}") from None
    if not isinstance(value, dict):
        raise AdaptEditError(f"{where}: holds no JSON object; {_AGAIN}")
    return value
