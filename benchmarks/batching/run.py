"""Edits a second with `tiny` when several pictures go through the models together, and what that changes.

    python benchmarks/batching/run.py

Pictures of three sizes, sentences of many lengths, regions given, one thread. The batch sizes take turns, so
that other work on the machine falls on all of them. Writes results.md beside this file.
"""

from __future__ import annotations

import os
import time
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from adaptedit import AdaptEditPipeline, Region
from adaptedit.data.sprites.synthetic import SyntheticPairs
from adaptedit.editing.job import EditJob
from adaptedit.editing.options import EditOptions
from adaptedit.editing.output import EditOutput
from adaptedit.editing.scheduler import run
from adaptedit.pictures.picture import Picture

EDITS, ROUNDS = 24, 5
SIZES = ((128, 128), (192, 144), (300, 400))
BATCHES = (1, 2, 4, 8)
KINDS = ("add", "remove", "replace", "recolour")


def jobs() -> list[EditJob]:
    samples = [s for s in islice(SyntheticPairs("phrasings", pool=16).stream(0), 80) if s.category in KINDS]
    found = []
    for number, sample in enumerate(samples[:EDITS]):
        size = SIZES[number % len(SIZES)]
        region = Region.from_white_is_edit(sample.region.to_image().resize(size))
        options = EditOptions(region=region, seed=0)
        found.append(EditJob(Picture.open(sample.source.resize(size)), sample.instruction, options))
    return found


def differences(alone: list[EditOutput], together: list[EditOutput]) -> tuple[int, int, float]:
    """Largest, in levels of 255; results that differ anywhere; share of all values that do."""
    change = [
        np.abs(np.asarray(one.images[0], np.int64) - np.asarray(other.images[0], np.int64))
        for one, other in zip(alone, together, strict=True)
    ]
    differ = [np.count_nonzero(each) for each in change]
    values = sum(each.size for each in change)
    return int(max(each.max() for each in change)), np.count_nonzero(differ), sum(differ) / values


def main() -> None:
    torch.set_num_threads(1)
    pipe, asked = AdaptEditPipeline.from_pretrained("tiny"), jobs()

    def edited(max_batch: int) -> list[EditOutput]:
        return run([pipe.edit_task(job) for job in asked], pipe.scheduler(max_batch))

    alone, load = edited(1), os.getloadavg()[0]
    seconds: dict[int, list[float]] = {size: [] for size in BATCHES}
    different: dict[int, tuple[int, int, float]] = {}
    for _ in range(ROUNDS):
        for size in BATCHES:
            start = time.perf_counter()
            outputs = edited(size)
            seconds[size].append(time.perf_counter() - start)
            different[size] = differences(alone, outputs)

    sizes = ", ".join(f"{width}x{height}" for width, height in SIZES)
    beside = ", from other work beside it" if load > 1.5 else ""
    lines = [
        "# Several edits at once, `tiny`",
        "",
        f"Written by `python benchmarks/batching/run.py`: {len(asked)} edits of pictures of {sizes} pixels, "
        f"regions given, {ROUNDS} rounds; one thread of {os.cpu_count()} cores, torch {torch.__version__}. "
        f"Load average at the start: {load:.1f}{beside}.",
        "",
        "| pictures together | edits a second, median | slowest, fastest round "
        "| largest difference from alone, of 255 | results that differ | of all values |",
        "|---|---|---|---|---|---|",
    ]
    for size in BATCHES:
        rates = sorted(len(asked) / each for each in seconds[size])
        largest, results, share = different[size]
        lines.append(
            f"| {size} | {np.median(rates):.1f} | {rates[0]:.1f}, {rates[-1]:.1f} | {largest} "
            f"| {results} of {len(asked)} | {share:.1e} |"
        )
    text = "\n".join(lines) + "\n"
    (Path(__file__).parent / "results.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
