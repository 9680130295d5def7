"""The project's own pairs, synthetic or rendered: exact results and masks without anyone's data set.

    adaptedit evaluate synthetic --out DIR

    adaptedit data render --out held-out --split phrasings --count 256 --size 128 --spp 16
    adaptedit evaluate rendered --data held-out --out DIR

MagicBrush's reader reads the same renders, but counts every pixel that is not fully opaque as edited, as
MagicBrush does: faint changes of light then count as much as the edit itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from adaptedit.data.render.pairs import RenderedPairs
from adaptedit.data.sample import EditSample
from adaptedit.data.sprites import assets
from adaptedit.data.sprites.splits import check_split
from adaptedit.data.sprites.synthetic import SyntheticPairs
from adaptedit.errors import AdaptEditError


@dataclass(frozen=True)
class Pairs:
    """Sample n is `pair(n)`, n < count; its id is n, its category the kind of edit."""

    name: str
    count: int
    pair: Callable[[int], EditSample]

    @property
    def chained(self) -> bool:
        return False

    @property
    def sessions(self) -> list[list[str]]:
        return [[f"{number:05d}"] for number in range(self.count)]

    def load(self, sample_id: str) -> EditSample:
        return replace(self.pair(int(sample_id)), id=sample_id)


def load_synthetic(
    split: str = "phrasings", *, count: int = 1000, seed: int = 0, path: str | Path | None = None
) -> Pairs:
    """Sample n depends on (seed, n) alone.

    split: what is held out, one of `adaptedit.data.sprites.splits.SPLITS`. path: the assets' folder, by
    default where `adaptedit data fetch` puts them. AdaptEditError if they are not there.
    """
    check_split(split)
    pairs = SyntheticPairs(split, assets.load(None if path is None else Path(path)))

    def pair(number: int) -> EditSample:
        return pairs.draw(np.random.default_rng([seed, number]))

    return Pairs(f"synthetic-{split}-seed{seed}", count, pair)


def load_rendered(*, path: str | Path | None = None, size: int = 128) -> Pairs:
    """path: a folder of renders, as `adaptedit data render` writes it. size: pixels, side of the samples.
    AdaptEditError without a path, and for files that are damaged or are no renders.
    """
    if path is None:
        raise AdaptEditError(
            "rendered: give the folder of the renders with --data; `adaptedit data render --out DIR --split "
            "phrasings` makes one"
        )
    pairs = RenderedPairs(Path(path), size)
    return Pairs("rendered", len(pairs), pairs.__getitem__)
