"""A real batch of the embedded editor, killed in the middle."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image
from typer.testing import CliRunner

from adaptedit.interfaces.cli.main import app

PICTURES = 6


def test_sigkill_and_go_on(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    values = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    for number in range(PICTURES):
        Image.fromarray(values).save(source / f"{number:02}.png")
    Image.new("L", (64, 48), 255).save(tmp_path / "mask.png")
    jobs = source / "jobs.jsonl"
    record = {"instruction": "remove the apple", "region": "../mask.png"}
    jobs.write_text("".join(json.dumps(record | {"image": f"{n:02}.png"}) + "\n" for n in range(PICTURES)))

    def command(out: str) -> list[str]:
        return ["batch", str(jobs), "--out", str(tmp_path / out)]

    lines = tmp_path / "out" / "shards" / "manifest.0.jsonl"
    code = "from adaptedit.interfaces.cli.main import main; main()"
    killed = subprocess.Popen([sys.executable, "-c", code, *command("out")], stderr=subprocess.DEVNULL)
    while killed.poll() is None and not (lines.exists() and lines.read_bytes().count(b"\n") >= 2):
        time.sleep(0.01)
    killed.kill()
    assert killed.wait() == -signal.SIGKILL
    done = lines.read_bytes().count(b"\n")
    assert 2 <= done < PICTURES

    for out in ("out", "whole"):
        result = CliRunner().invoke(app, command(out))
        assert result.exit_code == 0, result.output
        left = PICTURES - (done if out == "out" else 0)
        assert f"{PICTURES} done, 0 failed" in result.stdout
        assert f"{left} of {PICTURES} this time" in result.stdout
    hashes = [
        [(row["id"], row["sha256"]) for row in map(json.loads, (tmp_path / out / "manifest.jsonl").open())]
        for out in ("out", "whole")
    ]
    assert hashes[0] == hashes[1] and len(hashes[0]) == PICTURES
    assert len(list((tmp_path / "out").glob("*.png"))) == PICTURES
