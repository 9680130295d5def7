"""Quality against samples, out of the logs of training runs, each point the mean since the one before.

python benchmarks/training/curves.py benchmarks/training/v2/backbone.jsonl relative
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

POINTS = 8


def main(path: Path, column: str) -> None:
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    last = rows[-1]["samples"]
    edges = [0.0] + [last / 2 ** ((POINTS - 1 - i) / 1.5) for i in range(POINTS)]
    print(f"| samples | {column} |\n| ---: | ---: |")
    for low, high in zip(edges, edges[1:], strict=False):
        if inside := [row[column] for row in rows if low < row["samples"] <= high + 0.5]:
            print(f"| {high:,.0f} | {sum(inside) / len(inside):.3f} |")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
