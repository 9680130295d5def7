"""What work on masks of 4000x4000 costs on one thread, in seconds and megabytes. Writes results.md.

    python benchmarks/region/costs.py [before/src]    # beside another version of the package

Each case runs in a process of its own, five times; the median counts.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SIDE, RUNS, LIMIT = 4000, 5, 200  # pixels; of each case; seconds
CASES = {
    "grow by 256 pixels, hard mask": "hard.dilate(256)",
    "shrink by 256 pixels, hard mask": "hard.erode(256)",
    "grow by 256 pixels, soft noise": "soft.dilate(256)",
    "shrink by 256 pixels, soft noise": "soft.erode(256)",
    "four million specks, four points": "adjust(specks, include=[(0, 0), (2, 2), (4, 4), (6, 6)])",
    "checkerboard, four points": "adjust(board, include=[(0, 0), (2, 2), (4, 4), (6, 6)])",
    "crops around four million specks": "split(specks, working=(128, 128))",
}
_PROCESS = f"""
import resource, statistics, sys, time
import cv2, numpy as np
from adaptedit.editing.controls import adjust
from adaptedit.editing.crops import split
from adaptedit.region import Region
cv2.setNumThreads(1)
side, case = {SIDE}, sys.argv[1]
noise = np.random.default_rng(0).random((side, side), np.float32)
rows, columns = np.ogrid[:side, :side]
made = dict(
    hard=lambda: noise > 0.999,
    soft=lambda: noise,
    specks=lambda: (rows % 2 == 0) & (columns % 2 == 0),
    board=lambda: (rows + columns) % 2 == 0,
)
locals().update({{name: Region(make().astype(np.float32)) for name, make in made.items() if name in case}})
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
seconds = []
for _ in range({RUNS}):
    start = time.perf_counter()
    eval(case)
    seconds.append(time.perf_counter() - start)
    if seconds[-1] > 10:
        break
print(statistics.median(seconds), (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1000)
"""


def cost(source: Path, case: str) -> str:
    command = [sys.executable, "-c", _PROCESS, case]
    environment = {**os.environ, "PYTHONPATH": str(source.resolve()), "OMP_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=LIMIT, check=True
        )
    except subprocess.TimeoutExpired:
        return f"over {LIMIT} s"
    seconds, megabytes = map(float, done.stdout.split())
    return f"{seconds:.2f} s, {megabytes:.0f} MB"


def main() -> None:
    sources = {"now": ROOT / "src"}
    if len(sys.argv) > 1:
        sources = {"before": Path(sys.argv[1]), **sources}
    lines = [
        f"# Work on masks of {SIDE}x{SIDE}",
        "",
        "Written by `python benchmarks/region/costs.py`: one thread; memory beside the mask's own 64 MB.",
        "",
        f"| case | {' | '.join(sources)} |",
        f"|---|{'---|' * len(sources)}",
    ]
    for name, case in CASES.items():
        lines.append(f"| {name} | {' | '.join(cost(source, case) for source in sources.values())} |")
        print(lines[-1], flush=True)
    (HERE / "results.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
