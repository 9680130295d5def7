"""Natural phrasings of an edit: what people type, in many forms; the last ones of each kind are held out.

Slots: {x} the thing in the picture ("the red apple on the left"), {y} the new thing ("a pear"), {c} a colour,
{p} a place ("in the top right").
"""

from __future__ import annotations

KINDS = ("add", "remove", "replace", "recolour")

TRAIN: dict[str, tuple[str, ...]] = {
    "add": (
        "add {y} {p}",
        "put {y} {p}",
        "place {y} {p}",
        "insert {y} {p}",
        "draw {y} {p}",
        "I want {y} {p}",
        "there should be {y} {p}",
        "please add {y} {p}",
        "{p}, add {y}",
        "show {y} {p}",
    ),
    "remove": (
        "remove {x}",
        "delete {x}",
        "take away {x}",
        "get rid of {x}",
        "erase {x}",
        "please remove {x}",
        "make {x} disappear",
        "I don't want {x}",
        "clear away {x}",
        "take {x} out of the picture",
    ),
    "replace": (
        "replace {x} with {y}",
        "swap {x} for {y}",
        "change {x} to {y}",
        "turn {x} into {y}",
        "put {y} in place of {x}",
        "put {y} where {x} is",
        "exchange {x} for {y}",
        "I want {y} instead of {x}",
        "make {x} into {y}",
        "transform {x} into {y}",
    ),
    "recolour": (
        "make {x} {c}",
        "paint {x} {c}",
        "change the colour of {x} to {c}",
        "turn {x} {c}",
        "colour {x} {c}",
        "{x} should be {c}",
        "give {x} a {c} colour",
        "recolor {x} {c}",
        "change {x} to {c}",
        "I want {x} to be {c}",
    ),
}

HELD_OUT: dict[str, tuple[str, ...]] = {
    "add": ("include {y} {p}", "could you add {y} {p}?", "let there be {y} {p}"),
    "remove": ("wipe {x} out", "there should be no {x}", "cut out {x}, please"),
    "replace": ("substitute {y} for {x}", "I would rather see {y} than {x}", "{x} should become {y}"),
    "recolour": ("dye {x} {c}", "could you make {x} {c}?", "set the color of {x} to {c}"),
}

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


def with_article(words: str) -> str:
    """ "apple" -> "an apple"."""
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def fill(template: str, *, x: str = "", y: str = "", c: str = "", p: str = "") -> str:
    """Fill a template's slots; `x` comes without its article, since "there should be no {x}" takes none."""
    x = x if "no {x}" in template else f"the {x}"
    return template.format(x=x, y=with_article(y) if y else "", c=c, p=p)
