"""Held-out renders of `adaptedit data render`, by kind of edit and with their soft masks.

    adaptedit data render --out held-out --split phrasings --count 256 --size 128 --spp 16
    adaptedit evaluate rendered --data held-out --out DIR

The loaders of MagicBrush read the same files, but count every pixel that is not fully opaque as edited, as
MagicBrush does: faint changes of light then count as much as the edit itself.
"""

from __future__ import annotations

from pathlib import Path

from adaptedit.data.render.pairs import RenderedPairs
from adaptedit.errors import AdaptEditError
from adaptedit.evaluation.benchmarks.pairs import Pairs


def load(*, path: str | Path | None = None, size: int = 128) -> Pairs:
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
