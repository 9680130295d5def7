"""Peak memory and time of one edit with `tiny`, each in a process of its own, by the size of the picture.

    python benchmarks/compose/memory.py     # appends to memory.md beside this file: a row a size

Resident memory as the kernel counts it (ru_maxrss), models and libraries included.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from pathlib import Path

SIZES = {"0.01 MP": (128, 96), "1 MP": (1152, 864), "12 MP": (4000, 3000), "48 MP": (8000, 6000)}
KINDS = ("a twentieth of the width", "nearly all", "16 bits a channel")


def edit(width: int, height: int, kind: str) -> None:
    """Prints the peak in MB and the seconds of the edit."""
    import numpy as np

    from adaptedit import AdaptEditPipeline, Region

    pipe = AdaptEditPipeline.from_pretrained("tiny")
    rng = np.random.default_rng(0)
    picture = np.empty((height, width, 3), np.uint16 if kind == KINDS[2] else np.uint8)
    for row in range(0, height, 256):
        part = picture[row : row + 256]
        part[:] = rng.integers(0, 2 ** (8 * picture.itemsize), part.shape)
    side = width // 20 if kind == KINDS[0] else int(0.9 * height)
    left, top = (width - side) // 3, (height - side) // 3
    region = Region.from_box((left, top, left + side, top + side), (width, height))
    start = time.perf_counter()
    pipe(picture, "turn the apple blue", region, seed=0)
    seconds = time.perf_counter() - start
    print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} {seconds:.2f}")


def main() -> None:
    lines = ["| picture | region | peak MB | seconds |", "|---|---|---|---|"]
    for name, (width, height) in SIZES.items():
        for kind in KINDS:
            command = [sys.executable, __file__, str(width), str(height), kind]
            out = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
            lines.append(f"| {name} | {kind} | {out[-2]} | {out[-1]} |")
            print(lines[-1], flush=True)
    Path(__file__).with_name("memory.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        edit(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
    else:
        main()
