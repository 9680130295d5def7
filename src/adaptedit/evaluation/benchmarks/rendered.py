"""Held-out renders of `adaptedit data render`, by kind of edit and with their soft masks.

    adaptedit data render --out held-out --split phrasings --count 256 --size 128 --spp 16
    adaptedit evaluate rendered --data held-out --out DIR

The loaders of MagicBrush read the same files, but take every pixel that is not fully opaque for edited, as
MagicBrush means it: faint changes of light then count as much as the edit itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from adaptedit.data.render.pairs import RenderedPairs
from adaptedit.errors import AdaptEditError
from adaptedit.evaluation.sample import Sample
from adaptedit.region import Region


@dataclass(frozen=True)
class Rendered:
    """Sample n is the n-th pair of the folder; its id is n, its category the kind of edit."""

    name: str
    pairs: RenderedPairs

    @property
    def chained(self) -> bool:
        return False

    @property
    def sessions(self) -> list[list[str]]:
        return [[f"{number:05d}"] for number in range(len(self.pairs))]

    def load(self, sample_id: str) -> Sample:
        pair = self.pairs[int(sample_id)]
        return Sample(
            sample_id,
            pair.instruction,
            Image.fromarray(pair.source),
            Image.fromarray(pair.target),
            Region.from_array(pair.mask.astype(np.float32) / 255),
            pair.kind,
        )


def load(*, path: str | Path | None = None, size: int = 128) -> Rendered:
    """path: a folder of renders, as `adaptedit data render` writes it. size: pixels, side of the samples.
    AdaptEditError without a path, and for files that are damaged or are no renders.
    """
    if path is None:
        raise AdaptEditError(
            "rendered: give the folder of the renders with --data; `adaptedit data render --out DIR --split "
            "phrasings` makes one"
        )
    return Rendered("rendered", RenderedPairs(Path(path), size))
