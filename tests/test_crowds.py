"""Training's crowds: scenes and edits of many of one noun, that measuring never draws."""

from __future__ import annotations

import numpy as np
import pytest

import drawn
from adaptedit.data.sprites.scene import SIZE, crowd
from adaptedit.data.sprites.synthetic import SyntheticPairs
from arrays import arrays


@pytest.fixture(scope="module")
def crowded() -> SyntheticPairs:
    return SyntheticPairs("train", drawn.pack(), pool=4, crowds=1.0)


def test_a_crowd_is_of_one_noun_and_nothing_is_buried(crowded: SyntheticPairs) -> None:
    rng = np.random.default_rng(0)
    sizes = set()
    for _ in range(40):
        objects = crowd(rng, crowded.nouns)
        sizes.add(len(objects))
        assert len({o.noun for o in objects}) == 1
        assert all(0 < o.x < SIZE and 0 < o.y < SIZE for o in objects)
        for i, one in enumerate(objects):
            for other in objects[:i]:
                assert max(abs(one.x - other.x), abs(one.y - other.y)) > 0.45 * (one.size + other.size)
    assert max(sizes) >= 4


@pytest.mark.parametrize("kind", ["add", "replace"])
def test_one_edit_brings_many_and_keeps_the_rest(crowded: SyntheticPairs, kind: str) -> None:
    words = "everywhere" if kind == "add" else "all the"
    many = [
        s for s in (crowded.draw(np.random.default_rng(n), kind) for n in range(40)) if words in s.instruction
    ]
    assert len(many) > 15
    one = [
        SyntheticPairs("train", drawn.pack(), pool=4).draw(np.random.default_rng(n), kind) for n in range(40)
    ]
    assert not any(words in s.instruction for s in one)
    for sample in many:
        source, target, mask = arrays(sample)
        assert (source[mask == 0] == target[mask == 0]).all()
        assert (source != target).any(2)[mask > 127].mean() > 0.5
    covered = [np.mean([s.region.mask > 0.5 for s in some]) for some in (many, one)]
    assert covered[0] > 1.5 * covered[1]


def test_kinds_are_drawn_as_often_as_told() -> None:
    pairs = SyntheticPairs("train", drawn.pack(), pool=4, kinds={"remove": 0.9, "add": 0.1})
    drawn_kinds = [s.category for s, _ in zip(pairs.stream(0), range(60), strict=False)]
    assert set(drawn_kinds) == {"remove", "add"} and drawn_kinds.count("remove") > 40
