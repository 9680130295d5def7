"""The project's own synthetic pairs: exact results and masks without a download of anyone's data set.

adaptedit evaluate synthetic --out DIR
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from adaptedit.data.schema import EditSample
from adaptedit.data.sprites import assets
from adaptedit.data.sprites.splits import check_split
from adaptedit.data.sprites.synthetic import SyntheticPairs
from adaptedit.evaluation.benchmarks.pairs import Pairs


def load(
    split: str = "phrasings", *, count: int = 1000, seed: int = 0, path: str | Path | None = None
) -> Pairs:
    """Sample n depends on (seed, n) alone.

    split: what is held out, one of `adaptedit.data.sprites.splits.SPLITS`. path: the assets' folder, by
    default where `adaptedit data fetch` puts them. AdaptEditError if they are not there.
    """
    check_split(split)
    pack = assets.load(None if path is None else Path(path))
    pairs = SyntheticPairs(split, pack)

    def pair(number: int) -> EditSample:
        return pairs.draw(np.random.default_rng([seed, number]))

    return Pairs(f"synthetic-{split}-seed{seed}", count, pair)
