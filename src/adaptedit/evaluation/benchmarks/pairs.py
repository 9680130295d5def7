"""The project's own pairs, synthetic or rendered, as a benchmark."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from adaptedit.data.schema import EditSample
from adaptedit.evaluation.sample import Sample
from adaptedit.region import Region


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

    def load(self, sample_id: str) -> Sample:
        pair = self.pair(int(sample_id))
        return Sample(
            sample_id,
            pair.instruction,
            Image.fromarray(pair.source),
            Image.fromarray(pair.target),
            Region.from_array(pair.mask.astype(np.float32) / 255),
            pair.kind,
        )
