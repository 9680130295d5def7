"""What a caller of the server waits for, in turns with another version of the package.

    git worktree add before COMMIT
    python benchmarks/reliability/latency.py before/src

Each version serves `tiny` with one thread. A round: twelve edits of examples/desk.png one after the other,
then 48 by eight callers at once. The first round warms up.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[2]
PICTURE = (ROOT / "examples" / "desk.png").read_bytes()
ROUNDS, ONE, MANY, CALLERS = 6, 12, 48, 8


class Version:
    """A server of the package in a `src` folder."""

    def __init__(self, source: Path) -> None:
        command = "from adaptedit.interfaces.cli import main; getattr(main, 'main', main)()"
        if not (source / "adaptedit/interfaces/cli").is_dir():  # before the command became a package
            command = "from adaptedit.interfaces.cli import main; main()"
        self.process = subprocess.Popen(
            [sys.executable, "-c", command, "serve", "--port", "0"],
            env={**os.environ, "PYTHONPATH": str(source.resolve()), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip().removesuffix("/docs")
        self.alone: list[float] = []
        self.rates: list[float] = []
        while httpx.get(f"{self.url}/readyz", timeout=60).status_code != 200:
            time.sleep(0.2)

    def edit(self, client: httpx.Client) -> float:
        start = time.perf_counter()
        fields = {"prompt": "remove the apple", "seed": "1"}
        client.post("/v1/images/edits", data=fields, files={"image": PICTURE}).raise_for_status()
        return time.perf_counter() - start

    def round(self) -> None:
        with httpx.Client(base_url=self.url, timeout=60) as client:
            self.alone += [self.edit(client) for _ in range(ONE)]
            start = time.perf_counter()
            with ThreadPoolExecutor(CALLERS) as pool:
                list(pool.map(lambda _: self.edit(client), range(MANY)))
            self.rates.append(MANY / (time.perf_counter() - start))


def main(other: Path) -> None:
    versions = {"before": Version(other), "now": Version(ROOT / "src")}
    for _ in range(ROUNDS):
        for version in versions.values():
            version.round()
    for name, version in versions.items():
        version.process.kill()
        print(
            f"{name}: one caller {statistics.median(version.alone[ONE:]):.3f} s an edit (median), "
            f"eight callers {statistics.median(version.rates[1:]):.1f} edits a second"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
