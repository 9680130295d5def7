"""A small scene: which objects lie where, and words that name one of them and no other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from adaptedit.data.sprites import phrases
from adaptedit.data.sprites.colours import COLOURS
from adaptedit.data.sprites.looks import MATERIALS, PATTERNS
from adaptedit.data.sprites.nouns import SIGN, Noun
from adaptedit.data.sprites.signs import WORDS

T = TypeVar("T")

SIZE = 128  # pixels, side of a scene
SIZES = tuple(range(32, 57, 4))  # longest side of an object
_RELATIONS = {  # words -> direction from the other thing (x right, y down)
    "to the left of": (-1, 0),
    "to the right of": (1, 0),
    "above": (0, -1),
    "below": (0, 1),
}


@dataclass(frozen=True)
class Placed:
    """One object of a scene: centre in pixels, longest side in pixels; look None is its own, or else a
    colour, material or pattern; word: what a sign says."""

    noun: Noun
    look: str | None
    x: int
    y: int
    size: int
    word: str = ""

    @property
    def colour(self) -> str | None:
        """The colour that a person would name."""
        if self.look is None:
            return self.noun.colour
        return self.look if self.look in COLOURS else None

    @property
    def cell(self) -> tuple[float, float]:
        return min(phrases.CELLS, key=lambda c: (c[0] * SIZE - self.x) ** 2 + (c[1] * SIZE - self.y) ** 2)


def pick(rng: np.random.Generator, items: Sequence[T]) -> T:
    return items[int(rng.integers(len(items)))]


def called(rng: np.random.Generator, noun: Noun) -> str:
    """The noun's name, at times another one."""
    return pick(rng, noun.also) if noun.also and rng.random() < 0.2 else noun.name


def lay_out(rng: np.random.Generator, nouns: Sequence[Noun], with_sign: bool = False) -> list[Placed]:
    """One to five objects, the farther ones first; at times twins of one noun."""
    objects: list[Placed] = []
    for _ in range(int(rng.integers(1, 6))):
        twin = bool(objects) and rng.random() < 0.25
        noun = SIGN if with_sign and not objects else objects[-1].noun if twin else pick(rng, nouns)
        word = pick(rng, WORDS) if noun is SIGN else ""
        draw = rng.random()
        look = (
            pick(rng, tuple(COLOURS))
            if draw < 0.3
            else pick(rng, MATERIALS + PATTERNS)
            if draw < 0.36
            else None
        )
        for _attempt in range(8):
            size = pick(rng, (48, 52, 56, 60) if noun is SIGN else SIZES)
            edge = size // 3
            x, y = (int(v) for v in rng.integers(edge, SIZE - edge, size=2))
            # Overlaps are allowed, burying another object is not.
            if all(max(abs(x - o.x), abs(y - o.y)) > 0.33 * (size + o.size) for o in objects):
                objects.append(Placed(noun, look if noun is not SIGN else None, x, y, size, word))
                break
    return sorted(objects, key=lambda o: o.y + o.size // 2)


def crowd(rng: np.random.Generator, nouns: Sequence[Noun]) -> list[Placed]:
    """Three to seven objects of one noun, the farther ones first."""
    noun = pick(rng, [noun for noun in nouns if noun is not SIGN])
    objects: list[Placed] = []
    for _ in range(7):
        size = pick(rng, SIZES)
        x, y = (int(v) for v in rng.integers(size // 3, SIZE - size // 3, size=2))
        if all(max(abs(x - o.x), abs(y - o.y)) > 0.45 * (size + o.size) for o in objects):
            objects.append(Placed(noun, None, x, y, size))
    return sorted(objects, key=lambda o: o.y + o.size // 2)


def refer(
    rng: np.random.Generator, objects: Sequence[Placed], index: int, in_colour: bool = True
) -> str | None:
    """Words, with their article, that name objects[index] and no other, or None: the noun, with its colour,
    its word, its place or what lies next to it where needed. in_colour: the picture shows colours."""
    it = objects[index]
    twins = [o for i, o in enumerate(objects) if i != index and o.noun is it.noun]
    others = [o for o in objects if o.noun is not it.noun]
    ways = []
    if in_colour and it.colour and all(o.colour != it.colour for o in twins):
        ways.append("the {colour} {noun}")
    if it.word and all(o.word != it.word for o in twins):
        ways.append('the {noun} that says "{word}"')
    if all(o.cell != it.cell for o in twins):
        ways.append("the {noun} {place}")
    for other in others:
        if sum(o.noun is other.noun for o in others) == 1:
            ways += [
                f"the {{noun}} {words} the {called(rng, other.noun)}"
                for words, way in _RELATIONS.items()
                if _lies(it, other, way) and not any(_lies(o, other, way, 0) for o in twins)
            ]
    if not twins and (not ways or rng.random() < 0.55):
        ways = ["the {noun}"]
    if not ways:
        return None
    words = {"noun": called(rng, it.noun), "colour": it.colour, "word": it.word}
    return pick(rng, ways).format(**words, place=pick(rng, phrases.CELLS[it.cell]))


def beside(
    rng: np.random.Generator, objects: Sequence[Placed], size: int
) -> tuple[tuple[int, int], str] | None:
    """A free place next to an object that is one of its kind: centre in pixels, and its words."""
    for index in rng.permutation(len(objects)):
        other = objects[index]
        if sum(o.noun is other.noun for o in objects) > 1:
            continue
        for words in rng.permutation(list(_RELATIONS)):
            way = _RELATIONS[words]
            reach = (other.size + size) // 2 + 2
            x, y = other.x + way[0] * reach, other.y + way[1] * reach
            inside = all(size // 2 <= v <= SIZE - size // 2 for v in (x, y))
            if inside and all(max(abs(x - o.x), abs(y - o.y)) > 0.4 * (o.size + size) for o in objects):
                return (x, y), f"{words} the {called(rng, other.noun)}"
    return None


def free_cells(objects: Sequence[Placed]) -> list[tuple[float, float]]:
    """The cells of the picture in which nothing lies, the emptiest first."""

    def room(cell: tuple[float, float]) -> float:
        return min(max(abs(cell[0] * SIZE - o.x), abs(cell[1] * SIZE - o.y)) - 0.5 * o.size for o in objects)

    return sorted((cell for cell in phrases.CELLS if room(cell) > 10), key=lambda cell: -room(cell))


def _lies(it: Placed, other: Placed, way: tuple[int, int], clear: int = 20) -> bool:
    """Whether `it` lies that way of the other: by `clear` pixels along it, and less across."""
    along = (it.x - other.x) * way[0] + (it.y - other.y) * way[1]
    across = abs((it.x - other.x) * way[1]) + abs((it.y - other.y) * way[0])
    return along > max(clear, across)
