"""How often `tiny` says that there is nothing to edit: when nothing is asked for, and when something is.

python benchmarks/tiny/idle.py
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import torch

from adaptedit import AdaptEditPipeline
from adaptedit.data.sample import EditSample
from adaptedit.data.sprites.synthetic import IDLE, SyntheticPairs
from adaptedit.errors import GlobalEdit, RegionNotFound

COUNT = 256
KINDS = ("remove", "recolour", "style", "global")


def outcome(pipe: AdaptEditPipeline, sample: EditSample) -> str:
    try:
        pipe.predict_region(sample.source, sample.instruction)
    except RegionNotFound:
        return "no region"
    except GlobalEdit:
        return "whole picture"
    return "a region"


def main() -> None:
    torch.set_num_threads(1)
    pipe, pairs = AdaptEditPipeline.from_pretrained("tiny"), SyntheticPairs("phrasings", pool=64)
    print("| asked for | no region | a region | whole picture |\n| --- | ---: | ---: | ---: |")

    def row(name: str, samples: list[EditSample]) -> None:
        found = Counter(outcome(pipe, sample) for sample in samples)
        shares = (f"{found[what] / len(samples):.1%}" for what in ("no region", "a region", "whole picture"))
        print(f"| {name} ({len(samples)}) | {' | '.join(shares)} |", flush=True)

    rng = np.random.default_rng(0)
    idle = [pairs.draw(rng, IDLE) for _ in range(2 * COUNT)]
    row("nothing: held-out idle sentences", [s for s in idle if s.instruction in pairs.templates[IDLE]])
    row(
        "an edit of a thing that is not there",
        [s for s in idle if s.instruction not in pairs.templates[IDLE]],
    )
    for kind in KINDS:
        row(kind, [pairs.draw(rng, kind) for _ in range(COUNT)])


if __name__ == "__main__":
    main()
