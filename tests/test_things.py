"""What an edit puts where, by which objects are learnt: frames, things, single things."""

from __future__ import annotations

import numpy as np
import pytest

import drawn
from adaptedit.data.sprites.colours import COLOURS
from adaptedit.data.sprites.looks import LOOKS
from adaptedit.data.sprites.signs import WORDS
from adaptedit.data.sprites.synthetic import IDLE, SyntheticPairs
from adaptedit.data.sprites.things import Things
from arrays import arrays


@pytest.fixture(scope="module")
def pairs() -> SyntheticPairs:
    return SyntheticPairs("train", drawn.pack())


def test_frames_are_those_of_what_comes(pairs: SyntheticPairs) -> None:
    rng, names, seen = np.random.default_rng(3), pairs.labels, 0
    for kind in ("add", "replace", "recolour", "text", "remove", "background", "global", IDLE):
        for _ in range(25):
            sample = pairs.draw(rng, kind)
            frames, things, wanted = sample.labels.frames, sample.labels.things, sample.labels.wanted
            assert frames is not None and things is not None
            known = np.isfinite(frames[..., 0])
            touched = arrays(sample)[2].reshape(16, 8, 16, 8).max((1, 3)) >= 64
            if kind in ("remove", "background", "global", IDLE):
                assert not known.any()
                continue
            assert (known == touched).all() or (kind == "replace" and known.any())
            shown = known & (wanted > 0)
            same = things[..., 0] == wanted - 1.0
            assert same[shown].mean() > 0.7, sample.instruction  # the rest: what lies in front of it
            for x, y, size in np.unique(frames[known], axis=0):
                where = np.argwhere(known & (frames[..., 0] == x) & (frames[..., 1] == y))
                assert np.abs((where + 0.5) / 16 - (y, x)).max() < size
            if kind == "recolour":
                looks = {LOOKS[look] for look in things[known][:, 1]}
                assert looks <= set(COLOURS) and all(str(look) in sample.instruction for look in looks)
            seen += any(names[name] in sample.instruction for name in things[known][:, 0])
    assert seen > 60


def test_a_thing_lies_where_its_frame_says(pairs: SyntheticPairs) -> None:
    things, rng, signs = Things(pairs), np.random.default_rng(0), 0
    for _ in range(60):
        thing = things.draw(rng)
        side = len(thing.source)
        changed = np.argwhere((thing.source != thing.target).any(-1))
        x, y, size = thing.frame * side
        middle = (changed.min(0) + changed.max(0)) / 2
        assert np.abs(middle - (y, x)).max() < 8  # its shadow falls to one side
        assert size * 0.7 < np.ptp(changed, axis=0).max() < size + 16
        signs += pairs.labels[thing.name] in WORDS
        assert 0 <= thing.look < len(LOOKS)
    assert 0 < signs < 20
