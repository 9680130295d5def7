"""A real local Ray with two workers, one of which dies: the same pictures as from a plain run."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from adaptedit.errors import AdaptEditError
from adaptedit.interfaces.batch import ray_run
from adaptedit.interfaces.batch.ray_run import in_ray
from adaptedit.interfaces.batch.records import Record
from adaptedit.interfaces.cli.main import app

RECORDS = [Record(f"{n}", (f"{n}.png",), Path("/"), {}) for n in range(24)]


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    ray = pytest.importorskip("ray")
    pytest.importorskip("ray.data")
    for switch, value in ray_run.SWITCHES.items():
        os.environ.setdefault(switch, value)
    ray.init(num_cpus=2, num_gpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield ray
    ray.shutdown()


def fake(folder: Path, deadly: str = "", times: int = 0, refused: str = "") -> Any:
    """An editor that notes what it edits; `deadly` ends its process so many times.

    Nested, so that Ray sends its code and not this file's name.
    """

    def start(number: int) -> Any:
        import os
        import signal
        import time

        from adaptedit.errors import AdaptEditError

        if refused == "loading":
            raise RuntimeError("no such weights")

        def edit(record: Any) -> dict[str, Any]:
            with (folder / "log").open("a") as log:
                log.write(f"{record.id}\n")
            if record.id == deadly and (folder / "log").read_text().split().count(deadly) <= times:
                os.kill(os.getpid(), signal.SIGKILL)
            if record.id == refused:
                raise AdaptEditError("the disk is full")
            time.sleep(0.05)
            return {"id": record.id, "status": "done", "gpu": os.environ.get("CUDA_VISIBLE_DEVICES")}

        return edit

    return start


def begun(folder: Path) -> list[str]:
    return (folder / "log").read_text().split()


def test_two_workers_share_the_records_and_one_that_dies_loses_nothing(ray: Any, tmp_path: Path) -> None:
    found = list(in_ray(RECORDS, fake(tmp_path, "17", 1)))  # as many workers as GPUs
    assert sorted(row["id"] for row in found) == sorted(record.id for record in RECORDS)
    assert {row["status"] for row in found} == {"done"} and {row["gpu"] for row in found} == {"0", "1"}
    assert begun(tmp_path).count("17") == 2


def test_a_record_that_kills_two_workers_is_a_failed_one(ray: Any, tmp_path: Path) -> None:
    found = {row["id"]: row for row in in_ray(RECORDS, fake(tmp_path, "5", 99), 2)}
    assert len(found) == len(RECORDS)
    assert [name for name, row in found.items() if row["status"] != "done"] == ["5"]
    assert "2 workers died" in found["5"]["error"] and begun(tmp_path).count("5") == 2


@pytest.mark.parametrize(("refused", "message"), [("5", "the disk is full"), ("loading", "no such weights")])
def test_what_is_no_records_fault_ends_the_batch(
    ray: Any, tmp_path: Path, refused: str, message: str
) -> None:
    with pytest.raises(AdaptEditError, match=message):
        list(in_ray(RECORDS, fake(tmp_path, refused=refused), 2))


def test_the_real_editor_gives_the_plain_runs_pictures(ray: Any, tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    for name in "abcdef":
        Image.fromarray(values).save(tmp_path / f"{name}.png")
    jobs = tmp_path / "jobs.jsonl"
    record = {"instruction": "remove the apple", "everywhere": True}
    jobs.write_text("".join(json.dumps(record | {"image": f"{name}.png"}) + "\n" for name in "abcdef"))
    hashes = []
    for out, options in ((tmp_path / "plain", []), (tmp_path / "ray", ["--ray", "--workers", "2"])):
        result = CliRunner().invoke(app, ["batch", str(jobs), "--out", str(out), *options])
        assert result.exit_code == 0, result.output
        rows = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]
        hashes.append({row["id"]: row["sha256"] for row in rows})
        for row in rows:
            picture = (out / row["outputs"][0]).read_bytes()
            assert hashlib.sha256(picture).hexdigest() == row["sha256"][0]
    assert hashes[0] == hashes[1] and len(hashes[0]) == 6


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(ray_run.importlib, "import_module", missing)
    with pytest.raises(AdaptEditError, match=r"No module named 'ray'.*adaptedit\[ray\]"):
        list(in_ray(RECORDS, fake(Path()), 2))
