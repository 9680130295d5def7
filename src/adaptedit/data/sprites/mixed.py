"""Synthetic pairs and rendered ones in one stream, for training.

pairs = MixedPairs(SyntheticPairs("train"), RenderedPairs(Path("renders")), share=0.25)
"""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from adaptedit.data.render.pairs import RenderedPairs
from adaptedit.data.schema import UNKNOWN, EditSample, Labels
from adaptedit.data.sprites import phrases
from adaptedit.data.sprites.scene import pick
from adaptedit.data.sprites.synthetic import SyntheticPairs

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

    def draw(self, rng: np.random.Generator, kind: str | None = None) -> EditSample:
        """One sample; a kind that is asked for is drawn from the synthetic ones."""
        if kind is not None or rng.random() >= self.share:
            return self._synthetic.draw(rng, kind)
        index = int(rng.integers(len(self._rendered)))
        sample = self._rendered[index]
        sample = replace(sample, shown=self._counted(sample.shown), wanted=self._counted(sample.wanted))
        if slots := phrases.slots(sample.kind, sample.instruction):
            said = phrases.fill(pick(rng, phrases.TRAIN[sample.kind]), **slots)
            sample = replace(sample, instruction=said)
        if sample.kind == "add" and rng.random() < 0.5:
            said = phrases.fill(pick(rng, phrases.TRAIN["remove"]), x=f"the {self._rendered.edited(index)}")
            sample = _backwards(sample, said)
        if rng.random() < 0.5 and sample.kind != "text" and not _SIDES.search(sample.instruction):
            sample = _mirrored(sample)
        return _shaded(sample, float(rng.uniform(1 - _SHADE, 1 + _SHADE)))

    def _counted(self, labels: Labels | None) -> Labels | None:
        """Labels as the renders count them -> as `labels` does."""
        return None if labels is None else np.where(labels == UNKNOWN, UNKNOWN, self._labels[labels.clip(0)])


def _backwards(sample: EditSample, instruction: str) -> EditSample:
    """From the target to the source."""
    return EditSample(
        sample.target, sample.source, sample.mask, instruction, "remove", sample.wanted, sample.shown
    )


def _mirrored(sample: EditSample) -> EditSample:
    source, target, mask = (np.flip(x, 1).copy() for x in (sample.source, sample.target, sample.mask))
    shown, wanted = (
        None if labels is None else np.flip(labels, 1).copy() for labels in (sample.shown, sample.wanted)
    )
    return EditSample(source, target, mask, sample.instruction, sample.kind, shown, wanted)


def _shaded(sample: EditSample, gain: float) -> EditSample:
    source, target = (
        np.clip(np.round(x * gain), 0, 255).astype(np.uint8) for x in (sample.source, sample.target)
    )
    return replace(sample, source=source, target=target)
