"""A cold edit beside `import torch` alone, in turns: both are new processes on the same machine.

    python benchmarks/tiny/cold.py [PYTHON ...] [--source FOLDER]

PYTHON: interpreters that have the package, this one if none is given. --source: another version's src.
The ratio is the median of the rounds' own ratios.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROUNDS = 5
_MAIN = "from adaptedit.interfaces.cli.main import main; main()"


def seconds(python: str, code: str, arguments: list[str], source: Path) -> float:
    environment = {**os.environ, "PYTHONPATH": str(source.resolve())}
    start = time.perf_counter()
    subprocess.run([python, "-c", code, *arguments], env=environment, check=True, capture_output=True)
    return time.perf_counter() - start


def one_round(python: str, source: Path, folder: str) -> tuple[float, float]:
    """Seconds of `import torch` and of the edit."""
    edit = ["edit", str(ROOT / "examples" / "desk.png"), "remove the apple", "--overwrite"]
    edit += ["-o", str(Path(folder) / "out.png")]
    return seconds(python, "import torch", [], source), seconds(python, _MAIN, edit, source)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("python", nargs="*", default=[sys.executable])
    parser.add_argument("--source", type=Path, default=ROOT / "src")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for python in options.python:
            one_round(python, options.source, folder)  # not counted: it fills the disk's cache
        rounds = [
            {python: one_round(python, options.source, folder) for python in options.python}
            for _ in range(ROUNDS)
        ]
    for python in options.python:
        torch, cold = (statistics.median(times) for times in zip(*(r[python] for r in rounds), strict=True))
        ratio = statistics.median(r[python][1] / r[python][0] for r in rounds)
        print(f"{python}: import torch {torch:.2f} s, cold edit {cold:.2f} s, ratio {ratio:.2f}")
    print("load average, one minute:", round(os.getloadavg()[0], 1))


if __name__ == "__main__":
    main()
