"""Natural phrasings of an edit, what people type, in many forms: phrasings/*.txt.

Those of every kind of edit, "pattern" (of a material), "place" (a background), and "idle": what asks for
nothing that could be done in a picture. Slots: {x} a thing in the picture ("the red apple on the left"),
{y} a new thing ("a pear"), {c} a colour, {p} a place ("in the top right"), {m} a material or pattern,
{w} words, {v} the words before, {s} a style, {g} a time, season or weather with its preposition.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

KINDS = {  # kind -> how often the small world asks for it
    "add": 0.2,
    "remove": 0.2,
    "replace": 0.2,
    "recolour": 0.12,
    "material": 0.08,
    "text": 0.06,
    "background": 0.07,
    "style": 0.03,
    "global": 0.04,
}


def _read(name: str) -> dict[str, tuple[str, ...]]:
    """Sections of a text file: [kind], then one phrasing per line."""
    text = resources.files(__package__).joinpath("phrasings", name).read_text("utf-8")
    sections = (part.split("]\n") for part in text.split("[")[1:])
    return {kind: tuple(lines.strip().split("\n")) for kind, lines in sections}


TRAIN = _read("train.txt")
HELD_OUT = _read("held_out.txt")

# Centres of the nine cells in units of the picture's side (x right, y down), and how people name them.
CELLS: dict[tuple[float, float], tuple[str, ...]] = {
    (0.2, 0.22): ("in the top left", "in the top left corner", "at the upper left"),
    (0.5, 0.22): ("at the top", "in the top middle"),
    (0.8, 0.22): ("in the top right", "in the top right corner", "at the upper right"),
    (0.2, 0.5): ("on the left", "on the left side"),
    (0.5, 0.5): ("in the middle", "in the centre", "in the center"),
    (0.8, 0.5): ("on the right", "on the right side"),
    (0.2, 0.78): ("in the bottom left", "in the bottom left corner", "at the lower left"),
    (0.5, 0.78): ("at the bottom", "in the bottom middle"),
    (0.8, 0.78): ("in the bottom right", "in the bottom right corner", "at the lower right"),
}


_SOME = (
    "cherries", "grapes", "pancakes", "headphones", "scissors", "glasses", "fries", "socks", "popcorn",
    "jeans", "broccoli", "salad", "sushi", "blueberries", "bread",
)  # fmt: skip


def with_article(words: str) -> str:
    """ "apple" -> "an apple", "red socks" -> "some red socks", "loaf of bread" -> "a loaf of bread"."""
    if words.endswith(_SOME) and " of " not in words:
        return f"some {words}"
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def fill(template: str, **slots: str) -> str:
    """Slots filled. {x} comes with its article or "both", "all", which "no {x}" does without and after which
    things "are"."""
    if slots.get("x", "").startswith("all the "):
        template = template.replace("{x} is", "{x} are")
    if "no {x}" in template or "no more {x}" in template:
        for before in ("the two ", "all the ", "both the ", "both ", "the "):
            slots["x"] = slots["x"].removeprefix(before)
    return " ".join(template.format(**slots).split()).replace(" ,", ",").strip(", ")


_SLOTS = {
    "x": r"(?:the|both|all) .+?",
    "y": r"(?:an?|some) .+?",
    "p": r"(?:(?:in|on|at|to|next|behind|above|below)\b.*)?",
    "c": r"\w+",
}


def slots(kind: str, sentence: str) -> dict[str, str] | None:
    """The inverse of `fill`, for kinds with one sort of phrasings: what stands in the slots of the longest
    phrasing that fits, of training or held out, or None."""
    if kind in ("material", "text"):
        return None
    matches = (pattern.fullmatch(sentence) for pattern in _patterns(kind))
    found = next((match.groupdict() for match in matches if match), None)
    return found and {name: words.strip() for name, words in found.items()}


@cache
def _patterns(kind: str) -> list[re.Pattern[str]]:
    return [
        re.compile(re.sub(r" ?\\{(\w)\\} ?", _group, re.escape(template).replace(r"\ ", " ")))
        for template in sorted(TRAIN[kind] + HELD_OUT[kind], key=len, reverse=True)
    ]


def _group(slot: re.Match[str]) -> str:
    return f" ?(?P<{slot[1]}>{_SLOTS.get(slot[1], '.+')}) ?"
