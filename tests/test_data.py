"""Synthetic pairs: what a sample promises, and what a split keeps apart. Drawn with our own little pack."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

import drawn
from adaptedit.data.cells import LabelledSample
from adaptedit.data.sprites import assets, nouns, phrases, synthetic
from adaptedit.data.sprites.backgrounds import Backgrounds
from adaptedit.data.sprites.canvas import Canvas
from adaptedit.data.sprites.colours import COLOURS
from adaptedit.data.sprites.scene import Placed, beside, lay_out, refer
from adaptedit.data.sprites.splits import SPLITS
from adaptedit.data.sprites.synthetic import SyntheticPairs
from adaptedit.errors import AdaptEditError
from arrays import arrays

COUNT = 300


@pytest.fixture(scope="module")
def pairs() -> dict[str, SyntheticPairs]:
    return {split: SyntheticPairs(split, drawn.pack()) for split in SPLITS}


@pytest.fixture(scope="module")
def samples(pairs: dict[str, SyntheticPairs]) -> dict[str, list[LabelledSample]]:
    return {split: list(islice(pairs[split].stream(seed=5), COUNT)) for split in ("train", "all")}


# -- a sample ------------------------------------------------------------------------------------------


def test_a_seed_is_a_sequence_of_samples(pairs: dict[str, SyntheticPairs]) -> None:
    def draw(seed: int) -> list[LabelledSample]:
        return list(islice(pairs["train"].stream(seed), 20))

    first, again, other = draw(1), draw(1), draw(2)
    assert [s.instruction for s in first] != [s.instruction for s in other]
    for a, b in zip(first, again, strict=True):
        assert (a.instruction, a.category) == (b.instruction, b.category)
        for one, other_one in zip(arrays(a), arrays(b), strict=True):
            np.testing.assert_array_equal(one, other_one)
        for name in ("shown", "wanted", "frames", "things"):
            np.testing.assert_array_equal(getattr(a.labels, name), getattr(b.labels, name))


def test_every_kind_changes_something_inside_its_mask(samples: dict[str, list[LabelledSample]]) -> None:
    assert {s.category for s in samples["train"]} == set(phrases.KINDS)
    for sample in samples["train"]:
        source, target, mask = arrays(sample)
        changed = (source != target).any(-1)
        assert changed[mask >= 128].mean() > 0.1, sample.instruction
        assert mask.max() == 255
        assert (mask.min() == 255) == (sample.category in ("style", "global"))


@pytest.mark.parametrize("split", ["train", "phrasings"])
def test_an_idle_instruction_changes_nothing(pairs: dict[str, SyntheticPairs], split: str) -> None:
    rng = np.random.default_rng(0)
    said = set()
    for _ in range(60):
        sample = pairs[split].draw(rng, synthetic.IDLE)
        source, target, mask = arrays(sample)
        assert (source == target).all() and mask.max() == 0
        said.add(sample.instruction)
    assert said & set(pairs[split].templates["idle"]) and said - set(pairs[split].templates["idle"])


def test_some_pictures_have_no_colour(samples: dict[str, list[LabelledSample]]) -> None:
    found = 0
    for sample in samples["train"]:
        source, target, _ = arrays(sample)
        if (source != source[..., :1]).any():
            continue
        found += 1
        assert (target == target[..., :1]).all()
        assert not set(sample.instruction.split()) & set(COLOURS) - {"orange"}, sample.instruction
    assert found


def test_without_jitter_the_instruction_says_where(pairs: dict[str, SyntheticPairs]) -> None:
    there = [Placed(nouns.SIGN, None, 64, 64, 48, "GO")]

    def places(pairs: SyntheticPairs) -> int:
        rng = np.random.default_rng(1)
        return len({pairs._free_place(rng, there)[0] for _ in range(200)})

    beside = 4
    assert places(pairs["train"]) <= len(phrases.CELLS) + beside
    assert places(SyntheticPairs("train", drawn.pack(), pool=1, jitter=0.05)) > 30


def test_the_mask_covers_every_changed_pixel(samples: dict[str, list[LabelledSample]]) -> None:
    for sample in samples["train"]:
        source, target, mask = arrays(sample)
        assert (mask[(source != target).any(-1)] > 0).all(), sample.instruction


def test_the_mask_leaves_nothing_of_the_edit_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The target is the scene drawn anew, also where one of two things that go hides what hides the other."""
    drawn_anew: list[npt.NDArray[np.uint8]] = []

    class Recorded(Canvas):
        def picture(
            self, background: npt.NDArray[np.float32], objects: Sequence[Placed]
        ) -> npt.NDArray[np.uint8]:
            drawn_anew.append(super().picture(background, objects))
            return drawn_anew[-1].copy()

    monkeypatch.setattr(synthetic, "Canvas", Recorded)
    pairs, rng = SyntheticPairs("train", drawn.pack(), pool=8), np.random.default_rng(2)
    book, cat = (noun for noun in pairs.nouns if noun.name in ("book", "cat"))
    scene = [Placed(noun, None, 64, y, 48) for noun, y in ((cat, 44), (book, 64), (cat, 84))]
    monkeypatch.setattr(synthetic, "lay_out", lambda *_, **__: scene)
    several = 0
    for _ in range(60):
        sample = pairs.draw(rng, ("remove", "recolour")[int(rng.integers(2))])
        source, target, _ = arrays(sample)
        if (source != source[..., :1]).any():
            left_out = np.abs(drawn_anew[-1].astype(int) - target).max()
            assert left_out <= 4, sample.instruction
        several += any(word in sample.instruction for word in ("both", "two"))
    assert several > 5


def test_labels_name_the_noun_in_front(monkeypatch: pytest.MonkeyPatch) -> None:
    scenes: list[Sequence[Placed]] = []

    class Recorded(Canvas):
        def labels(self, objects: Sequence[Placed], names: Sequence[str]) -> npt.NDArray[np.uint8]:
            scenes.append(objects)
            return super().labels(objects, names)

    monkeypatch.setattr(synthetic, "Canvas", Recorded)
    pairs = SyntheticPairs("train", drawn.pack())
    index = {name: i + 1 for i, name in enumerate(pairs.labels)}
    for number, sample in enumerate(islice(pairs.stream(0), 100)):
        for labels, objects in zip(
            (sample.labels.shown, sample.labels.wanted), scenes[2 * number :], strict=False
        ):
            assert labels.shape == (16, 16)
            assert set(labels.flat) <= {0} | {index[o.word or o.noun.name] for o in objects}
            if objects:
                front = objects[-1]
                assert labels[front.y // 8, front.x // 8] == index[front.word or front.noun.name]


# -- words ---------------------------------------------------------------------------------------------


def test_instructions_are_whole_sentences(samples: dict[str, list[LabelledSample]]) -> None:
    for sample in samples["train"] + samples["all"]:
        assert not re.search(r"[{}]|  |\bno the\b|\bNone\b", sample.instruction), sample.instruction


def lies(it: Placed, other: Placed, relation: str) -> bool:
    """Whether it lies there, and more along that way than across."""
    right, down = it.x - other.x, it.y - other.y
    along = {"to the left of": -right, "to the right of": right, "above": -down, "below": down}[relation]
    return along > abs(down if relation.startswith("to") else right)


def fitting(words: str, objects: list[Placed]) -> list[int]:
    """The objects that the words can mean, read apart by this test's own grammar."""
    names = "|".join(name for o in objects for name in (o.noun.name, *o.noun.also))
    relations = "to the left of|to the right of|above|below"
    match = re.fullmatch(
        rf'the (?:(?P<colour>\w+) )?(?P<noun>{names})(?: that says "(?P<word>\w+)")?'
        rf"(?: (?P<relation>{relations}) the (?P<other>{names})| (?P<place>.+))?",
        words,
    )
    assert match, words
    found = []
    for index, it in enumerate(objects):
        others = [o for o in objects if match["other"] in (o.noun.name, *o.noun.also)]
        ok = match["noun"] in (it.noun.name, *it.noun.also)
        ok &= not match["colour"] or it.colour == match["colour"]
        ok &= not match["word"] or it.word == match["word"]
        ok &= not match["place"] or match["place"] in phrases.CELLS[it.cell]
        ok &= not match["other"] or (len(others) == 1 and lies(it, others[0], match["relation"]))
        found += [index] * bool(ok)
    return found


def test_a_reference_fits_one_object_only(pairs: dict[str, SyntheticPairs]) -> None:
    rng, twins, related = np.random.default_rng(3), 0, 0
    for _ in range(4 * COUNT):
        objects = lay_out(rng, pairs["train"].nouns)
        index = int(rng.integers(len(objects)))
        words = refer(rng, objects, index)
        if words is not None:
            assert fitting(words, objects) == [index], (words, objects)
            twins += sum(o.noun is objects[index].noun for o in objects) > 1
            related += any(f" {name} the " in words for name in ("of", "above", "below"))
    assert twins > 50 and related > 50  # the promise was put to the test


def test_a_place_beside_something_is_free(pairs: dict[str, SyntheticPairs]) -> None:
    rng, found = np.random.default_rng(4), 0
    for _ in range(COUNT):
        objects = lay_out(rng, pairs["train"].nouns)
        if place := beside(rng, objects, 44):
            new = Placed(nouns.Noun("new", ""), None, *place[0], 44)
            assert fitting(f"the new {place[1]}", [*objects, new]) == [len(objects)], place
            found += 1
    assert found > 50


# -- splits --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("split", SPLITS)
def test_a_split_draws_from_its_own_nouns_and_templates(
    pairs: dict[str, SyntheticPairs], split: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, other = (nouns.HELD_OUT, nouns.TRAIN) if split in ("nouns", "all") else (nouns.TRAIN, nouns.HELD_OUT)
    spoken, unspoken = phrases.TRAIN, phrases.HELD_OUT
    if split in ("phrasings", "all"):
        spoken, unspoken = unspoken, spoken
    names = [noun.name for noun in other if noun.name not in COLOURS and noun is not nouns.SIGN]
    foreign = re.compile(rf"\b({'|'.join(names)})\b")
    assert set(pairs[split].nouns) <= set(own)
    fill, filled = phrases.fill, set()
    monkeypatch.setattr(
        phrases, "fill", lambda template, **slots: (filled.add(template), fill(template, **slots))[1]
    )
    for sample in islice(pairs[split].stream(11), 100):
        assert not foreign.search(sample.instruction), sample.instruction
    assert len(filled) > 20 and filled <= {template for ones in spoken.values() for template in ones}
    assert not filled & {template for ones in unspoken.values() for template in ones}


def test_backgrounds_are_held_out(monkeypatch: pytest.MonkeyPatch) -> None:
    pack, used = drawn.pack(), {}
    for split in SPLITS:

        class Recorded(Backgrounds):
            def __init__(
                self,
                textures: list[npt.NDArray[np.uint8]],
                size: int,
                seed: int,
                pool: int,
                split: str = split,
            ) -> None:
                used[split] = {
                    name for name in drawn.TEXTURES for t in textures if t is pack[f"texture/{name}"]
                }
                super().__init__(textures, size, seed, pool=8)

        monkeypatch.setattr(synthetic, "Backgrounds", Recorded)
        pictures = {picture.tobytes() for picture in SyntheticPairs(split, pack).backgrounds.pool}
        held_out = split in ("backgrounds", "all")
        names = assets.HELD_OUT_TEXTURES if held_out else assets.TRAIN_TEXTURES
        assert used[split] == drawn.TEXTURES.keys() & set(names) != set()
        used.setdefault(f"{held_out}", pictures)
    assert not used["True"] & used["False"]  # the drawn ones differ too
    assert not set(assets.TRAIN_TEXTURES) & set(assets.HELD_OUT_TEXTURES)


# -- what can go wrong ---------------------------------------------------------------------------------


def test_unknown_split_names_the_known_ones() -> None:
    with pytest.raises(AdaptEditError, match="'test'.*train.*all"):
        SyntheticPairs("test", drawn.pack())


def test_a_missing_pack_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(AdaptEditError, match="adaptedit data fetch"):
        assets.load(tmp_path)


def test_a_saved_pack_loads_as_it_was(tmp_path: Path) -> None:
    loaded = assets.load(drawn.save(tmp_path))
    assert loaded.keys() == drawn.pack().keys()
    assert all((loaded[name] == array).all() for name, array in drawn.pack().items())


def test_fetching_without_npm_says_so_and_leaves_no_pack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda command: None)
    with pytest.raises(AdaptEditError, match="npm is needed"):
        assets.fetch(tmp_path)
    assert not list(tmp_path.iterdir())
