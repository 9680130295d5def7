"""What the object decoder has learnt: things of the held-out backgrounds, and below each what is drawn at its
code and frame.

python benchmarks/training/things.py runs/tiny/weights things.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from adaptedit.data.sprites.synthetic import SyntheticPairs
from adaptedit.data.sprites.things import Things
from adaptedit.pictures.tensors import to_pil
from adaptedit.tiny.backbone import load_objects
from adaptedit.tiny.objects import Objects
from adaptedit.tiny.training.objects import load_codes

COLUMNS, ROWS, ZOOM = 10, 3, 2


@torch.no_grad()
def main(weights: Path, out: Path) -> None:
    pairs, rng = SyntheticPairs("backgrounds"), np.random.default_rng(9)
    things = [Things(pairs).draw(rng) for _ in range(COLUMNS * ROWS)]
    source, target = (
        torch.from_numpy(np.stack([getattr(thing, which) for thing in things])).permute(0, 3, 1, 2) / 255
        for which in ("source", "target")
    )
    codes = load_codes(weights, len(pairs.labels))(torch.tensor([[t.name, t.look] for t in things]))
    frames = torch.from_numpy(np.stack([thing.frame for thing in things]))
    objects = Objects(torch.arange(len(things)), frames, codes)
    drawn, _ = load_objects(weights)(objects, source, source, torch.zeros_like(source[:, :1]))
    picture = to_pil(_sheet(target, drawn.clamp(0, 1)))
    picture.resize((picture.width * ZOOM, picture.height * ZOOM), Image.Resampling.NEAREST).save(out)


def _sheet(above: Tensor, below: Tensor) -> Tensor:
    rows = [
        torch.cat(list(pictures[row * COLUMNS : (row + 1) * COLUMNS]), 2)
        for row in range(ROWS)
        for pictures in (above, below)
    ]
    return torch.cat(rows, 1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("weights", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    main(options.weights, options.out)
