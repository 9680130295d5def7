"""Edits a second with `tiny` when several pictures go through the models together.

python benchmarks/batching/run.py
"""

from __future__ import annotations

import time
from itertools import islice

import numpy as np
import torch
from PIL import Image

from adaptedit import AdaptEditPipeline, Region
from adaptedit.data.synthetic import SyntheticPairs
from adaptedit.editing.together import run

EDITS, ROUNDS = 32, 3


def main() -> None:
    pipe = AdaptEditPipeline.from_pretrained("tiny")
    pairs = SyntheticPairs("phrasings", pool=16)
    samples = [s for s in islice(pairs.stream(0), 60) if s.kind in ("add", "remove", "replace", "recolour")]
    jobs = [
        (Image.fromarray(s.source), s.instruction, Region.from_array(s.mask.astype(np.float32) / 255))
        for s in samples[:EDITS]
    ]

    def seconds(max_batch: int) -> float:
        start = time.perf_counter()
        run([pipe.editing(*job, seed=0) for job in jobs], pipe.together(max_batch))
        return time.perf_counter() - start

    print(
        f"{torch.get_num_threads()} threads, {len(jobs)} edits of 128 pixels, given regions, best of {ROUNDS}"
    )
    print("| pictures together | edits a second |\n| ---: | ---: |")
    seconds(1)
    for size in (1, 2, 4, 8, 16):
        print(f"| {size} | {len(jobs) / min(seconds(size) for _ in range(ROUNDS)):.1f} |", flush=True)


if __name__ == "__main__":
    main()
