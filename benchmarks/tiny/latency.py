"""Warm latency of one edit, in turns with another version of the package, so that both see the same machine.

git worktree add before COMMIT
python benchmarks/tiny/latency.py before/src
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROUNDS, EDITS = 12, 5
_WORKER = f"""
import sys, time
from PIL import Image
from adaptedit import AdaptEditPipeline
pipe = AdaptEditPipeline.from_pretrained("tiny")
image = Image.open({str(ROOT / "examples" / "desk.png")!r}).convert("RGB")
edit = lambda: [pipe(image, "remove the apple", seed=0) for _ in range({EDITS})]
edit()
print("ready", flush=True)
for _ in sys.stdin:
    start = time.perf_counter()
    edit()
    print((time.perf_counter() - start) / {EDITS}, flush=True)
"""


def worker(source: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", _WORKER],
        env={**os.environ, "PYTHONPATH": str(source.resolve())},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    if process.stdout.readline() != "ready\n":
        raise SystemExit(f"{source}: the package there cannot edit")
    return process


def seconds(process: subprocess.Popen[str]) -> float:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    return float(process.stdout.readline())


def main(other: Path) -> None:
    workers = {"before": worker(other), "now": worker(ROOT / "src")}
    rounds = [{name: seconds(process) for name, process in workers.items()} for _ in range(ROUNDS)]
    for name, process in workers.items():
        print(f"{name}: median {statistics.median(r[name] for r in rounds):.3f} s an edit")
        process.kill()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
