"""How people ask for the edits that renders add to those of `data.phrases`; the last ones are held out.

Slots: {x} a thing in the picture with its article, {y} a new thing, {c} a colour, {p} a place, {m} a
material or pattern, {w} words, {v} the words before, {s} a style, {g} a time, weather
or light with its preposition.
"""

from __future__ import annotations

from adaptedit.data import phrases

KINDS = {  # kind -> how often it is asked for
    "add": 0.18,
    "remove": 0.18,
    "replace": 0.16,
    "recolour": 0.14,
    "material": 0.08,
    "text": 0.08,
    "background": 0.09,
    "style": 0.03,
    "global": 0.06,
}

TRAIN: dict[str, tuple[str, ...]] = {
    "material": (
        "make {x} out of {m}",
        "change the material of {x} to {m}",
        "turn {x} into {m}",
        "{x} should be made of {m}",
        "give {x} a {m} finish",
        "I want {x} to be made of {m}",
        "replace the surface of {x} with {m}",
        "let {x} be {m}",
        "use {m} for {x}",
    ),
    "pattern": (
        "give {x} a {m} pattern",
        "cover {x} with a {m} pattern",
        "put a {m} pattern on {x}",
        "make {x} {m}",
        "I want {x} to have a {m} pattern",
        "change {x} to a {m} one",
        "decorate {x} with a {m} pattern",
        "let {x} have a {m} design",
    ),
    "text": (
        'change the text on {x} to "{w}"',
        'make {x} say "{w}"',
        'replace "{v}" with "{w}"',
        'write "{w}" on {x}',
        'let {x} read "{w}"',
        '{x} should say "{w}" instead of "{v}"',
        'change "{v}" to "{w}"',
        'put the words "{w}" on {x}',
        'I want {x} to say "{w}"',
    ),
    "background": (
        "change {x} to {y}",
        "replace {x} with {y}",
        "I want {y} instead of {x}",
        "swap {x} for {y}",
        "turn {x} into {y}",
        "let {x} be {y}",
        "make {x} {y}",
        "put {y} in place of {x}",
    ),
    "place": (
        "change the background to {y}",
        "put the scene in {y}",
        "make the background {y}",
        "set this in {y}",
        "replace the background with {y}",
        "move everything to {y}",
        "I want {y} in the background",
        "let it take place in {y}",
    ),
    "style": (
        "turn this into {s}",
        "make it look like {s}",
        "convert the picture to {s}",
        "I want this as {s}",
        "render it as {s}",
        "make this {s}",
        "give it the look of {s}",
        "change the style to {s}",
    ),
    "global": (
        "show this {g}",
        "make it look as if it were {g}",
        "I want the same scene {g}",
        "let this be {g}",
        "show the scene {g}",
        "set the scene {g}",
        "change the picture to look {g}",
        "it should be {g}",
    ),
}
HELD_OUT: dict[str, tuple[str, ...]] = {
    "material": ("could {x} be made of {m}?", "rebuild {x} in {m}", "switch {x} to {m}, please"),
    "pattern": ("could {x} have a {m} pattern?", "redo {x} with a {m} pattern"),
    "text": ('the text on {x} should be "{w}"', 'could {x} say "{w}"?', 'rewrite "{v}" as "{w}"'),
    "background": ("exchange {x} for {y}", "could we have {y} rather than {x}?"),
    "place": ("could this be in {y}?", "swap the background for {y}"),
    "style": ("redraw this as {s}", "could this be {s}?"),
    "global": ("could this be {g}?", "how would this look {g}?"),
}
TRAIN |= {kind: phrases.TRAIN[kind] for kind in phrases.KINDS}
HELD_OUT |= {kind: phrases.HELD_OUT[kind] for kind in phrases.KINDS}


def fill(template: str, **slots: str) -> str:
    """Slots filled; {x} comes with its article, which "no {x}" does without."""
    if "no {x}" in template:
        slots["x"] = slots["x"].removeprefix("the ")
    return template.format(**slots).replace(" a orange", " an orange")
