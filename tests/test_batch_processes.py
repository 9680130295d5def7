"""Records over processes: a process that dies loses none, and a record that ends all it meets is given up."""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from adaptedit.errors import AdaptEditError
from adaptedit.interfaces.batch import manifest
from adaptedit.interfaces.batch.outputs import Outputs
from adaptedit.interfaces.batch.processes import in_processes
from adaptedit.interfaces.batch.records import Record

RECORDS = [Record(f"{n}", (f"{n}.png",), Path("/"), {}) for n in range(9)]


@dataclass(frozen=True)
class Start:
    """An editor that writes down its process, and ends it as it is told to."""

    folder: Path
    ends: dict[str, int]  # by record, how often it ends its process; "" while it loads
    stops: str = ""

    def __call__(self, number: int) -> Any:
        self._note("loading", number)
        self._end("")
        return self._edit

    def _edit(self, record: Record) -> dict[str, Any]:
        self._note("edit", record.id)
        self._end(record.id)
        if record.id == self.stops:
            raise AdaptEditError("the disk is full")
        time.sleep(0.05)
        return {"id": record.id, "status": "done", "pid": os.getpid()}

    def _note(self, what: str, of: object) -> None:
        with (self.folder / "log").open("a") as file:
            file.write(f"{what} {of}\n")

    def _end(self, name: str) -> None:
        for time_ in range(self.ends.get(name, 0)):
            with suppress(FileExistsError):  # another process had this turn
                (self.folder / f"ended-{name}-{time_}").touch(exist_ok=False)
                os.kill(os.getpid(), signal.SIGKILL)

    @property
    def log(self) -> list[str]:
        return (self.folder / "log").read_text().splitlines()


def test_every_record_once_and_a_death_costs_nothing(tmp_path: Path) -> None:
    start = Start(tmp_path, {"2": 1, "": 1})
    found = list(in_processes(RECORDS, start, 2))
    assert sorted(row["id"] for row in found) == [record.id for record in RECORDS]
    assert {row["status"] for row in found} == {"done"} and len({row["pid"] for row in found}) >= 2
    assert start.log.count("edit 2") == 2 and start.log.count("edit 3") == 1
    assert sorted(line for line in start.log if "loading" in line) in (
        ["loading 0"] * 3 + ["loading 1"],
        ["loading 0"] * 2 + ["loading 1"] * 2,
        ["loading 0"] + ["loading 1"] * 3,
    )


def test_a_record_that_ends_two_processes_is_a_failed_one(tmp_path: Path) -> None:
    start = Start(tmp_path, {"3": 99})
    found = {row["id"]: row for row in in_processes(RECORDS[:5], start, 1)}
    assert {name: row["status"] for name, row in found.items()} == dict.fromkeys("0124", "done") | {
        "3": "failed"
    }
    assert "signal 9" in found["3"]["error"] and start.log.count("edit 3") == 2


def test_an_editor_that_cannot_be_loaded_ends_the_batch(tmp_path: Path) -> None:
    with pytest.raises(AdaptEditError, match="while they loaded the editor \\(signal 9\\)"):
        list(in_processes(RECORDS, Start(tmp_path, {"": 99}), 1))


def test_what_is_no_records_fault_ends_the_batch(tmp_path: Path) -> None:
    start = Start(tmp_path, {}, stops="1")
    with pytest.raises(AdaptEditError, match="the disk is full"):
        list(in_processes(RECORDS, start, 1))
    assert start.log == ["loading 0", "edit 0", "edit 1"]


def test_no_process_is_started_for_nothing(tmp_path: Path) -> None:
    assert list(in_processes([], Start(tmp_path, {}), 2)) == [] and not (tmp_path / "log").exists()


MINE = b"a file of the user's"


@dataclass(frozen=True)
class Writing:
    """An editor without a model, that writes a record's id; the second process finds a file that appeared."""

    out: Path

    def __call__(self, number: int) -> Any:
        outputs = Outputs(self.out)

        def edit(record: Record) -> dict[str, Any]:
            if record.id == "3":
                (self.out / "3.png").write_bytes(MINE)
            try:
                outputs.write({path: record.id.encode() for path in record.outputs})
            except AdaptEditError as error:
                outputs.remove(record.outputs)
                return manifest.row(record, "failed", str(error))
            return manifest.row(record, "done") | {"outputs": list(record.outputs)}

        return edit


def test_processes_know_what_the_others_wrote(tmp_path: Path) -> None:
    records = [Record(f"{n}", (f"{n}.png",), tmp_path, {}) for n in range(6)]
    for _ in range(2):  # the second time, all files but one are this batch's, by other processes
        found = {row["id"]: row["status"] for row in in_processes(records, Writing(tmp_path), 2)}
        assert found == dict.fromkeys("012345", "done") | {"3": "failed"}
        assert (tmp_path / "3.png").read_bytes() == MINE and (tmp_path / "5.png").read_bytes() == b"5"
        claims = [path.read_text().splitlines() for path in (tmp_path / "shards").glob("outputs.*.jsonl")]
        assert all(json.loads(line)["path"] for lines in claims for line in lines)
