"""Synthetic pairs and rendered ones in one stream, for training.

pairs = MixedPairs(SyntheticPairs("train"), RenderedPairs(Path("renders")), share=0.25)
"""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
from PIL import Image, ImageOps

from adaptedit.data.cells import UNKNOWN, CellLabels, LabelledSample, Labels
from adaptedit.data.render.pairs import RenderedPairs
from adaptedit.data.sprites import phrases
from adaptedit.data.sprites.scene import pick
from adaptedit.data.sprites.synthetic import SyntheticPairs
from adaptedit.region import Region

_SIDES = re.compile(r"\b(left|right|leftmost|rightmost)\b")
_SHADE = 0.2  # how much brighter or darker a render may be shown


class MixedPairs:
    """Draws as SyntheticPairs does; `share` of the samples that are not idle are renders.

    Renders are few, so each is drawn as several: in other words, mirrored where they name no side, brighter
    or darker; and an addition read backwards is a removal, for what was added is of a noun of its own.
    """

    def __init__(self, synthetic: SyntheticPairs, rendered: RenderedPairs, share: float) -> None:
        self._synthetic, self._rendered, self.share = synthetic, rendered, share
        self.labels = synthetic.labels + [noun for noun in rendered.nouns if noun not in synthetic.labels]
        self._labels = np.array([0, *(1 + self.labels.index(noun) for noun in rendered.nouns)], np.int64)

    def draw(self, rng: np.random.Generator, kind: str | None = None) -> LabelledSample:
        """One sample; a kind that is asked for is drawn from the synthetic ones."""
        if kind is not None or rng.random() >= self.share:
            return self._synthetic.draw(rng, kind)
        index = int(rng.integers(len(self._rendered)))
        sample = self._rendered[index]
        labels = CellLabels(self._counted(sample.labels.shown), self._counted(sample.labels.wanted))
        sample = replace(sample, id="", labels=labels)
        if slots := phrases.slots(sample.category, sample.instruction):
            said = phrases.fill(pick(rng, phrases.TRAIN[sample.category]), **slots)
            sample = replace(sample, instruction=said)
        if sample.category == "add" and rng.random() < 0.5:
            said = phrases.fill(pick(rng, phrases.TRAIN["remove"]), x=f"the {self._rendered.edited(index)}")
            sample = _backwards(sample, said)
        if rng.random() < 0.5 and sample.category != "text" and not _SIDES.search(sample.instruction):
            sample = _mirrored(sample)
        return _shaded(sample, float(rng.uniform(1 - _SHADE, 1 + _SHADE)))

    def _counted(self, labels: Labels) -> Labels:
        """Labels as the renders count them -> as `labels` does."""
        return np.where(labels == UNKNOWN, UNKNOWN, self._labels[labels.clip(0)])


def _backwards(sample: LabelledSample, instruction: str) -> LabelledSample:
    """From the target to the source."""
    return replace(
        sample,
        instruction=instruction,
        source=sample.target,
        target=sample.source,
        category="remove",
        labels=CellLabels(sample.labels.wanted, sample.labels.shown),
    )


def _mirrored(sample: LabelledSample) -> LabelledSample:
    shown, wanted = (np.flip(cells, 1).copy() for cells in (sample.labels.shown, sample.labels.wanted))
    return replace(
        sample,
        source=ImageOps.mirror(sample.source),
        target=ImageOps.mirror(sample.target),
        region=Region.from_array(np.flip(sample.region.mask, 1)),
        labels=CellLabels(shown, wanted),
    )


def _shaded(sample: LabelledSample, gain: float) -> LabelledSample:
    levels = np.clip(np.round(np.arange(256) * gain), 0, 255).astype(int).tolist()

    def shade(picture: Image.Image) -> Image.Image:
        return picture.point(levels * 3)

    return replace(sample, source=shade(sample.source), target=shade(sample.target))
