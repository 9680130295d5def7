"""Writes held-out pairs as a folder, so that weights can be scored on the world of another commit.

    python benchmarks/tiny/export.py FOLDER [--count 512]
    adaptedit evaluate folder --data FOLDER --editor frozen --editor predicted --baseline frozen --out OUT

The pairs are those of the code that runs: put another commit's src first in PYTHONPATH for its world.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from adaptedit.data.sprites.synthetic import SyntheticPairs


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=512)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    pairs, lines = SyntheticPairs("phrasings"), []
    for number in range(options.count):
        sample = pairs.draw(np.random.default_rng([0, number]))
        record = {"id": f"{number:05d}", "instruction": sample.instruction, "category": sample.category}
        pictures = {"file_name": sample.source, "target": sample.target, "mask": sample.region.to_image()}
        for field, picture in pictures.items():
            record[field] = f"{number:05d}-{field}.png"
            picture.save(options.folder / record[field])
        lines.append(json.dumps(record | {"polarity": "white"}) + "\n")
    (options.folder / "metadata.jsonl").write_text("".join(lines))


if __name__ == "__main__":
    main()
