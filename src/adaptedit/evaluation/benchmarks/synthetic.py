"""The project's own synthetic pairs: exact results and masks without a download of anyone's data set.

adaptedit evaluate synthetic --out DIR
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from adaptedit.data import assets
from adaptedit.data.splits import check_split
from adaptedit.data.synthetic import SyntheticPairs
from adaptedit.evaluation.sample import Sample
from adaptedit.region import Region


@dataclass(frozen=True)
class Synthetic:
    """Sample n depends on (seed, n) alone; its id is n, its category the kind of edit."""

    name: str
    pairs: SyntheticPairs
    count: int
    seed: int

    @property
    def chained(self) -> bool:
        return False

    @property
    def sessions(self) -> list[list[str]]:
        return [[f"{number:05d}"] for number in range(self.count)]

    def load(self, sample_id: str) -> Sample:
        pair = self.pairs.draw(np.random.default_rng([self.seed, int(sample_id)]))
        return Sample(
            sample_id,
            pair.instruction,
            Image.fromarray(pair.source),
            Image.fromarray(pair.target),
            Region.from_array(pair.mask.astype(np.float32) / 255),
            pair.kind,
        )


def load(
    split: str = "phrasings", *, count: int = 1000, seed: int = 0, path: str | Path | None = None
) -> Synthetic:
    """split: what is held out, one of `adaptedit.data.splits.SPLITS`. path: the assets' folder, by default
    where `adaptedit data fetch` puts them. AdaptEditError if they are not there.
    """
    check_split(split)
    pack = assets.load(None if path is None else Path(path))
    return Synthetic(f"synthetic-{split}-seed{seed}", SyntheticPairs(split, pack), count, seed)
