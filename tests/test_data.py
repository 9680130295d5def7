"""Synthetic pairs: what a sample promises, and what a split keeps apart. Drawn with our own little pack."""

from __future__ import annotations

import re
import shutil
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

import drawn
from adaptedit.data import assets, nouns, phrases, synthetic
from adaptedit.data.backgrounds import Backgrounds
from adaptedit.data.colours import COLOURS, recolour
from adaptedit.data.schema import EditSample
from adaptedit.data.sprites import Sprites
from adaptedit.data.synthetic import SIZE, SPLITS, Placed, SyntheticPairs
from adaptedit.errors import AdaptEditError

COUNT = 300


@pytest.fixture(scope="module")
def pairs() -> dict[str, SyntheticPairs]:
    return {split: SyntheticPairs(split, drawn.pack()) for split in SPLITS}


@pytest.fixture(scope="module")
def samples(pairs: dict[str, SyntheticPairs]) -> dict[str, list[EditSample]]:
    return {split: list(islice(pairs[split].stream(seed=5), COUNT)) for split in ("train", "all")}


# -- a sample ------------------------------------------------------------------------------------------


def test_a_seed_is_a_sequence_of_samples(pairs: dict[str, SyntheticPairs]) -> None:
    def draw(seed: int) -> list[EditSample]:
        return list(islice(pairs["train"].stream(seed), 20))

    first, again, other = draw(1), draw(1), draw(2)
    assert [s.instruction for s in first] != [s.instruction for s in other]
    for a, b in zip(first, again, strict=True):
        assert (a.instruction, a.kind) == (b.instruction, b.kind)
        for name in ("source", "target", "mask", "nouns"):
            assert (getattr(a, name) == getattr(b, name)).all()


def test_every_kind_changes_something_inside_its_mask(samples: dict[str, list[EditSample]]) -> None:
    assert {s.kind for s in samples["train"]} == set(phrases.KINDS)
    for sample in samples["train"]:
        changed = (sample.source != sample.target).any(-1)
        assert changed[sample.mask >= 128].mean() > 0.5, sample.instruction
        assert sample.mask.max() == 255 and sample.mask.mean() < 128


def test_the_mask_covers_every_changed_pixel(samples: dict[str, list[EditSample]]) -> None:
    for sample in samples["train"]:
        changed = (sample.source != sample.target).any(-1)
        assert (sample.mask[changed] > 0).all(), sample.instruction


def test_labels_name_the_noun_in_front(monkeypatch: pytest.MonkeyPatch) -> None:
    scenes: list[list[Placed]] = []

    class Recorded(SyntheticPairs):
        def _labels(self, objects: list[Placed]) -> npt.NDArray[np.uint8]:
            scenes.append(objects)
            return super()._labels(objects)

    pairs = Recorded("train", drawn.pack())
    for sample, objects in zip(islice(pairs.stream(0), 100), scenes, strict=False):
        assert sample.nouns is not None and sample.nouns.shape == (16, 16)
        index = {noun.name: i + 1 for i, noun in enumerate(pairs.nouns)}
        front = objects[-1]
        assert sample.nouns[front.y // 8, front.x // 8] == index[front.noun.name]
        assert set(sample.nouns.flat) <= {0} | {index[o.noun.name] for o in objects}


# -- words ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("templates", [phrases.TRAIN, phrases.HELD_OUT], ids=["train", "held out"])
def test_templates_fill_completely(templates: dict[str, tuple[str, ...]]) -> None:
    assert set(templates) == set(phrases.KINDS)
    for kind, ones in templates.items():
        for template in ones:
            text = phrases.fill(template, x="red apple", y="orange pear", c="blue", p="at the top")
            assert not re.search(r"[{}]|  |\bno the\b|\ba [aeiou]|\ban [^aeiou]", text), text
            assert ("red apple" in text) == (kind != "add")
            assert ("an orange pear" in text) == (kind in ("add", "replace"))
            assert ("blue" in text) == (kind == "recolour") and ("at the top" in text) == (kind == "add")


def test_instructions_are_whole_sentences(samples: dict[str, list[EditSample]]) -> None:
    for sample in samples["train"] + samples["all"]:
        assert not re.search(r"[{}]|  |\bno the\b|\bNone\b", sample.instruction), sample.instruction


def names(placed: Placed) -> set[str]:
    """All that the object may be called."""
    called = {placed.noun.name, f"{placed.shown_colour} {placed.noun.name}"}
    cell = min(phrases.CELLS, key=lambda c: np.hypot(c[0] * SIZE - placed.x, c[1] * SIZE - placed.y))
    return called | {f"{words} {place}" for words in called for place in phrases.CELLS[cell]}


def test_a_reference_fits_one_object_only() -> None:
    twins = 0

    class Recorded(SyntheticPairs):
        def _refer(self, rng: np.random.Generator, objects: list[Placed], index: int) -> str | None:
            nonlocal twins
            words = super()._refer(rng, objects, index)
            if words is not None:
                assert words in names(objects[index])
                others = objects[:index] + objects[index + 1 :]
                assert not any(words in names(other) for other in others), (words, objects)
                twins += any(other.noun is objects[index].noun for other in others)
            return words

    for _ in islice(Recorded("train", drawn.pack()).stream(3), COUNT):
        pass
    assert twins > 20  # the promise was put to the test


# -- splits --------------------------------------------------------------------------------------------


def fits(instruction: str, templates: tuple[str, ...]) -> bool:
    patterns = (re.sub(r"\\{\w\\}", "(.+)", re.escape(template)) for template in templates)
    return any(re.fullmatch(pattern, instruction) for pattern in patterns)


@pytest.mark.parametrize("split", SPLITS)
def test_a_split_draws_from_its_own_nouns_and_templates(pairs: dict[str, SyntheticPairs], split: str) -> None:
    own, other = (nouns.HELD_OUT, nouns.TRAIN) if split in ("nouns", "all") else (nouns.TRAIN, nouns.HELD_OUT)
    spoken, unspoken = phrases.TRAIN, phrases.HELD_OUT
    if split in ("phrasings", "all"):
        spoken, unspoken = unspoken, spoken
    foreign = re.compile(rf"\b({'|'.join(noun.name for noun in other if noun.name not in COLOURS)})\b")
    assert set(pairs[split].nouns) <= set(own)
    for sample in islice(pairs[split].stream(11), 100):
        assert not foreign.search(sample.instruction), sample.instruction
        assert fits(sample.instruction, spoken[sample.kind]), sample.instruction
        assert not fits(sample.instruction, unspoken[sample.kind]), sample.instruction


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


def test_no_noun_or_phrase_is_on_both_sides() -> None:
    assert not {n.name for n in nouns.TRAIN} & {n.name for n in nouns.HELD_OUT}
    assert all(not set(phrases.TRAIN[kind]) & set(phrases.HELD_OUT[kind]) for kind in phrases.KINDS)


# -- colours -------------------------------------------------------------------------------------------


def test_recolouring_keeps_outline_and_shadow() -> None:
    sprites = Sprites({"apple": drawn.pack()["object/apple"]})
    own, blue = sprites.get("apple", None, 40), sprites.get("apple", "blue", 40)
    assert (own.alpha == blue.alpha).all() and (own.shadow == blue.shadow).all()
    assert (own.colour != blue.colour).any()


@pytest.mark.parametrize("name", COLOURS)
def test_a_recoloured_object_is_nearest_to_its_colour(name: str) -> None:
    rgba = drawn.pack()["object/car"].astype(np.float32) / 255
    mean = recolour(rgba[..., :3], name)[rgba[..., 3] > 0.5].mean(0)
    assert min(COLOURS, key=lambda c: float(np.abs(mean - COLOURS[c]).sum())) == name


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
