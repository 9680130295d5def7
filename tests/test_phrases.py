"""Phrasings: whole when filled, found again, and kept apart where they are held out."""

from __future__ import annotations

import re

import pytest

from adaptedit.data.sprites import nouns, phrases


@pytest.mark.parametrize("templates", [phrases.TRAIN, phrases.HELD_OUT], ids=["train", "held out"])
def test_templates_fill_completely(templates: dict[str, tuple[str, ...]]) -> None:
    assert set(templates) == set(phrases.KINDS) | {"pattern", "place", "idle"}
    slots = {"x": "the red apple", "y": "an orange pear", "c": "blue", "p": "at the top", "m": "striped"}
    slots |= {"w": "EXIT", "v": "STOP", "s": "a comic", "g": "at night"}
    for template in (template for ones in templates.values() for template in ones):
        text = phrases.fill(template, **slots)
        assert not re.search(r"[{}]|  |\bno (more )?the\b", text), text
        for slot, words in slots.items():
            assert (f"{{{slot}}}" in template) == (words.removeprefix("the ") in text), text


def test_a_slot_may_be_empty() -> None:
    for template in phrases.TRAIN["add"]:
        assert not re.search(r"^\W|  | ,|,$", phrases.fill(template, y="a pear", p="")), template


def test_slots_are_found_again() -> None:
    slots = {"x": "the red cup to the left of the bowl", "y": "an apple", "c": "red", "p": "on the left"}
    slots |= {"s": "a comic", "g": "at night"}
    for kind in ("add", "replace", "recolour", "background", "style", "global"):
        for template in phrases.TRAIN[kind]:
            found = phrases.slots(kind, phrases.fill(template, **slots))
            assert found and all(slots[name] == words for name, words in found.items()), template
    assert phrases.slots("remove", "remove the cup") == {"x": "the cup"}
    assert phrases.slots("remove", "no more cup") is None
    assert phrases.slots("text", 'make the sign say "HI"') is None


@pytest.mark.parametrize("words", ["both cats", "all the cats", "the two cats"])
def test_a_number_of_things_goes_without_its_article_after_no(words: str) -> None:
    assert phrases.fill("there should be no {x}", x=words) == "there should be no cats"
    assert phrases.fill("remove {x}", x=words) == f"remove {words}"


def test_many_things_are() -> None:
    template = "put {y} where {x} is"
    assert phrases.fill(template, x="all the cats", y="dogs") == "put dogs where all the cats are"
    assert phrases.fill(template, x="the cat", y="dogs") == "put dogs where the cat is"


@pytest.mark.parametrize(
    ("name", "plural"),
    [("cup of coffee", "cups of coffee"), ("loaf of bread", "loaves of bread"), ("torch", "torches"),
     ("cherry", "cherries"), ("toy", "toys"), ("fish", "fish"), ("box", "boxes")],
)  # fmt: skip
def test_plurals(name: str, plural: str) -> None:
    assert nouns.Noun(name, "").plural == plural


def test_no_noun_or_phrase_is_on_both_sides() -> None:
    assert not {n.name for n in nouns.TRAIN} & {n.name for n in nouns.HELD_OUT}
    assert all(not set(phrases.TRAIN[kind]) & set(phrases.HELD_OUT[kind]) for kind in phrases.TRAIN)


TURNS = {  # what makes a held-out phrasing another one than those of training
    "add": ("pop {y}", "could really do", "squeez", "I wish"),
    "remove": ("don't want", "scrub", "vanish", "tidier", "look better without"),
    "replace": ("trade", "rather", "where you", "become", "ditch"),
    "recolour": ("dye", "I think {x}", "could {x} be", "lick of", "coat of"),
    "material": ("real", "crafted", "had been", "{x} to be made", "recast"),
    "pattern": ("cover", "design", "print", "with a {m} look"),
    "text": ("{x} to say", "shouldn't read", "fix", "wording"),
    "background": ("swap", "can {x} be", "could {x} be", "prefer", "ditch"),
    "place": ("whisk", "happening", "setting to be", "was taken"),
    "style": ("redo", "pass for", "I'd love to have", "make believe"),
    "global": ("same scene", "how would", "I wish", "happening"),
}


@pytest.mark.parametrize("kind", TURNS)
def test_training_has_no_near_copy_of_a_held_out_phrasing(kind: str) -> None:
    for turn in TURNS[kind]:
        assert not any(turn in template for template in phrases.TRAIN[kind]), turn
    assert all(any(turn in template for turn in TURNS[kind]) for template in phrases.HELD_OUT[kind])


def test_a_name_means_one_noun() -> None:
    names = [name for noun in nouns.TRAIN + nouns.HELD_OUT for name in (noun.name, *noun.also)]
    assert len(set(names)) == len(names) and len(nouns.TRAIN) >= 150
