"""Natural phrasings of an edit: what people type, in many forms; the last ones of each kind are held out.

Slots: {x} a thing in the picture ("the red apple on the left"), {y} a new thing ("a pear"), {c} a colour,
{p} a place ("in the top right"), {m} a material or pattern, {w} words, {v} the words before, {s} a style,
{g} a time, season or weather with its preposition.
"""

from __future__ import annotations

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
        "I would like {y} {p}",
        "give me {y} {p}",
        "how about {y} {p}?",
        "let me see {y} {p}",
        "{y} {p}, please",
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
        "no more {x}",
        "I want {x} gone",
        "the picture without {x}",
        "hide {x}",
        "there is {x}, delete that",
        "eliminate {x}",
        "can we lose {x}?",
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
        "{y} instead of {x}, please",
        "let {x} be {y}",
        "I would like {y} where {x} is",
        "use {y} in place of {x}",
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
        "I would like {x} in {c}",
        "let {x} be {c}",
        "{x} in {c}, please",
        "would you paint {x} {c}?",
    ),
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
    "add": ("include {y} {p}", "could you add {y} {p}?", "let there be {y} {p}"),
    "remove": ("wipe {x} out", "there should be no {x}", "cut out {x}, please"),
    "replace": ("substitute {y} for {x}", "I would rather see {y} than {x}", "{x} should become {y}"),
    "recolour": ("dye {x} {c}", "could you make {x} {c}?", "set the color of {x} to {c}"),
    "material": ("could {x} be made of {m}?", "rebuild {x} in {m}", "switch {x} to {m}, please"),
    "pattern": ("could {x} have a {m} pattern?", "redo {x} with a {m} pattern"),
    "text": ('the text on {x} should be "{w}"', 'could {x} say "{w}"?', 'rewrite "{v}" as "{w}"'),
    "background": ("exchange {x} for {y}", "could we have {y} rather than {x}?"),
    "place": ("could this be in {y}?", "how about {y} as the background?"),
    "style": ("redraw this as {s}", "could this be {s}?"),
    "global": ("could this be {g}?", "how would this look {g}?"),
}

# What asks for nothing that could be done in a picture: the first for training, the last for measuring.
IDLE: dict[str, tuple[str, ...]] = {
    "train": (
        "edit the picture", "do something", "hello", "hi there", "thank you", "what is this?", "yes", "no",
        "keep it as it is", "leave everything as it is", "do nothing", "nothing", "make it better", "ok",
        "I like this picture", "very nice", "how are you?", "what time is it?", "tell me a story", "please",
        "the weather is fine", "surprise me", "who made this?", "improve it", "asdf", "xyz", "why?", "help",
        "make it nicer", "change it", "test", "what can you do?", "that is fine", "no changes, please",
        "I have a question", "write a poem", "what colour is it?", "count to ten", "where is the station?",
        "sing a song",
    ),
    "held out": (
        "edit this image", "good morning", "leave the photo alone", "what do you see?", "make it good",
        "don't change anything", "qwerty", "is this a photo?", "where was this taken?", "I am hungry",
    ),
}  # fmt: skip

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
    """ "apple" -> "an apple", "red socks" -> "some red socks"."""
    if words.endswith(_SOME):
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
