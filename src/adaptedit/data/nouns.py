"""The small world: everyday nouns, the Fluent emoji that shows each, and its own colour.

`TRAIN` nouns are seen in training; `HELD_OUT` nouns never are. A colour of None means that the object has no
single colour that a person would name.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Noun:
    name: str
    emoji: str  # file stem in the asset package: code points in hexadecimal
    colour: str | None = None


TRAIN: tuple[Noun, ...] = (
    Noun("apple", "1f34e", "red"),
    Noun("banana", "1f34c", "yellow"),
    Noun("pear", "1f350", "green"),
    Noun("orange", "1f34a", "orange"),
    Noun("lemon", "1f34b", "yellow"),
    Noun("strawberry", "1f353", "red"),
    Noun("pineapple", "1f34d", "yellow"),
    Noun("peach", "1f351", "pink"),
    Noun("carrot", "1f955", "orange"),
    Noun("broccoli", "1f966", "green"),
    Noun("mushroom", "1f344", "red"),
    Noun("loaf of bread", "1f35e"),
    Noun("hamburger", "1f354"),
    Noun("pizza", "1f355"),
    Noun("doughnut", "1f369", "pink"),
    Noun("cake", "1f370"),
    Noun("cookie", "1f36a"),
    Noun("cup of coffee", "2615"),
    Noun("teapot", "1fad6"),
    Noun("key", "1f511", "yellow"),
    Noun("book", "1f4d5", "red"),
    Noun("backpack", "1f392", "red"),
    Noun("umbrella", "2602-fe0f", "purple"),
    Noun("alarm clock", "23f0", "red"),
    Noun("camera", "1f4f7"),
    Noun("phone", "1f4f1"),
    Noun("laptop", "1f4bb"),
    Noun("light bulb", "1f4a1", "yellow"),
    Noun("guitar", "1f3b8", "red"),
    Noun("balloon", "1f388", "red"),
    Noun("gift", "1f381", "yellow"),
    Noun("teddy bear", "1f9f8"),
    Noun("football", "26bd"),
    Noun("hat", "1f3a9"),
    Noun("shoe", "1f45f", "blue"),
    Noun("cat", "1f408"),
    Noun("dog", "1f415"),
    Noun("car", "1f697", "red"),
    Noun("potted plant", "1fab4", "green"),
    Noun("rose", "1f339", "red"),
    Noun("duck", "1f986"),
    Noun("fish", "1f41f", "blue"),
    Noun("turtle", "1f422", "green"),
    Noun("bell", "1f514", "yellow"),
    Noun("chair", "1fa91"),
    Noun("crown", "1f451", "yellow"),
)

HELD_OUT: tuple[Noun, ...] = (
    Noun("tomato", "1f345", "red"),
    Noun("kiwi", "1f95d"),
    Noun("cupcake", "1f9c1"),
    Noun("trumpet", "1f3ba", "yellow"),
    Noun("basketball", "1f3c0", "orange"),
    Noun("tulip", "1f337", "pink"),
    Noun("penguin", "1f427"),
    Noun("hammer", "1f528"),
)
