"""Synthetic pairs: everyday objects on varied backgrounds, one edit each, aligned, with an exact soft mask.

    adaptedit data preview --split train -o sheet.png

Splits hold out nouns, backgrounds, phrasings, or all three at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from adaptedit.data import assets, nouns, phrases
from adaptedit.data.backgrounds import Backgrounds, Pixels
from adaptedit.data.colours import COLOURS
from adaptedit.data.schema import EditSample
from adaptedit.data.sprites import Sprite, Sprites
from adaptedit.errors import AdaptEditError

T = TypeVar("T")

SIZE = 128  # pixels, side of a scene
SIZES = tuple(range(32, 57, 4))  # longest side of an object
_JITTER = 0.03  # of the side, around a cell's centre


@dataclass(frozen=True)
class Split:
    """What is drawn from where; `held_out` parts never occur in training."""

    held_out_nouns: bool = False
    held_out_backgrounds: bool = False
    held_out_phrasings: bool = False


SPLITS = {
    "train": Split(),
    "phrasings": Split(held_out_phrasings=True),
    "backgrounds": Split(held_out_backgrounds=True),
    "nouns": Split(held_out_nouns=True),
    "all": Split(True, True, True),
}


def check_split(name: str) -> None:
    """Raises AdaptEditError on an unknown split, listing the known ones."""
    if name not in SPLITS:
        raise AdaptEditError(f"unknown split {name!r}: choose one of {', '.join(SPLITS)}")


@dataclass(frozen=True)
class Placed:
    """One object of a scene: centre in pixels, longest side in pixels; colour None is its own."""

    noun: nouns.Noun
    colour: str | None
    x: int
    y: int
    size: int

    @property
    def shown_colour(self) -> str | None:
        return self.colour or self.noun.colour


class SyntheticPairs:
    """Draws samples of one split; the same seed gives the same samples."""

    def __init__(
        self,
        split: str,
        pack: dict[str, npt.NDArray[np.uint8]] | None = None,
        *,
        scale: int = 1,
        pool: int = 256,
    ) -> None:
        """pack: as `assets.load` returns it, by default the fetched one. scale: a scene has a side of so many
        times 128 pixels. pool: backgrounds that are kept. AdaptEditError on unknown splits.
        """
        check_split(split)
        self.scale, self.size = scale, SIZE * scale
        pack = assets.load() if pack is None else pack
        self.split = SPLITS[split]
        objects = {name.removeprefix("object/"): a for name, a in pack.items() if name.startswith("object/")}
        chosen = nouns.HELD_OUT if self.split.held_out_nouns else nouns.TRAIN
        self.nouns = [noun for noun in chosen if noun.name in objects]
        names = assets.HELD_OUT_TEXTURES if self.split.held_out_backgrounds else assets.TRAIN_TEXTURES
        textures = [pack[f"texture/{name}"] for name in names if f"texture/{name}" in pack]
        seed = 1 if self.split.held_out_backgrounds else 0
        self.backgrounds = Backgrounds(textures, self.size, seed, pool)
        self.sprites = Sprites(objects, scale)
        self.templates = phrases.HELD_OUT if self.split.held_out_phrasings else phrases.TRAIN

    def stream(self, seed: int) -> Iterator[EditSample]:
        """Samples without end."""
        rng = np.random.default_rng(seed)
        while True:
            yield self.draw(rng)

    def draw(self, rng: np.random.Generator, kind: str | None = None) -> EditSample:
        """One sample, of the given kind or of a random one."""
        kind = kind or phrases.KINDS[rng.integers(4)]
        background = self.backgrounds.draw(rng)
        objects = self._scene(rng)
        if kind == "add":
            after, instruction, index = self._add(rng, objects)
        else:
            index = int(rng.integers(len(objects)))
            reference = self._refer(rng, objects, index)
            if reference is None:  # nothing in words would tell this object from its twin
                return self.draw(rng, kind)
            after, instruction = self._change(rng, kind, objects, index, reference)
        source, target = self.render(background, objects), self.render(background, after)
        mask = np.round(self._mask(kind, objects, after, index) * 255).astype(np.uint8)
        target[mask == 0] = source[mask == 0]  # a weight that rounds to 0 can still move a pixel by one level
        return EditSample(source, target, mask, instruction, kind, self._labels(objects))

    # -- what happens

    def _scene(self, rng: np.random.Generator) -> list[Placed]:
        objects: list[Placed] = []
        for _ in range(int(rng.integers(1, 6))):
            twin = bool(objects) and rng.random() < 0.2
            noun = objects[-1].noun if twin else self.nouns[rng.integers(len(self.nouns))]
            colour = _pick(rng, tuple(COLOURS)) if rng.random() < 0.3 else None
            for _attempt in range(8):
                size = _pick(rng, SIZES)
                edge = size // 3
                x, y = (int(v) for v in rng.integers(edge, SIZE - edge, size=2))
                # Overlaps are allowed, burying another object is not.
                if all(max(abs(x - o.x), abs(y - o.y)) > 0.33 * (size + o.size) for o in objects):
                    objects.append(Placed(noun, colour, x, y, size))
                    break
        return sorted(objects, key=lambda o: o.y + o.size // 2)

    def _add(self, rng: np.random.Generator, objects: list[Placed]) -> tuple[list[Placed], str, int]:
        free = [
            cell
            for cell in phrases.CELLS
            if all(
                max(abs(cell[0] * SIZE - o.x), abs(cell[1] * SIZE - o.y)) > 0.5 * o.size + 10 for o in objects
            )
        ]
        cell = _pick(rng, free or list(phrases.CELLS))
        noun, colour = self._new(rng)
        x, y = (round((c + rng.uniform(-_JITTER, _JITTER)) * SIZE) for c in cell)
        words = f"{colour} {noun.name}" if colour else noun.name
        place = _pick(rng, phrases.CELLS[cell])
        instruction = phrases.fill(_pick(rng, self.templates["add"]), y=words, p=place)
        return (
            [*objects, Placed(noun, colour, x, y, _pick(rng, (40, 44, 48)))],
            instruction,
            len(objects),
        )

    def _change(
        self, rng: np.random.Generator, kind: str, objects: list[Placed], index: int, reference: str
    ) -> tuple[list[Placed], str]:
        template = _pick(rng, self.templates[kind])
        before = objects[index]
        if kind == "remove":
            return objects[:index] + objects[index + 1 :], phrases.fill(template, x=reference)
        if kind == "recolour":
            colour = _pick(rng, [c for c in COLOURS if c != before.shown_colour])
            new, instruction = replace(before, colour=colour), phrases.fill(template, x=reference, c=colour)
        else:
            noun, own = self._new(rng, but=before.noun)
            new = replace(before, noun=noun, colour=own)
            instruction = phrases.fill(template, x=reference, y=f"{own} {noun.name}" if own else noun.name)
        return [*objects[:index], new, *objects[index + 1 :]], instruction

    def _new(self, rng: np.random.Generator, but: nouns.Noun | None = None) -> tuple[nouns.Noun, str | None]:
        noun = _pick(rng, [n for n in self.nouns if n is not but])
        return noun, _pick(rng, tuple(COLOURS)) if rng.random() < 0.2 else None

    def _refer(self, rng: np.random.Generator, objects: list[Placed], index: int) -> str | None:
        """Words that name objects[index] and no other: the noun, with its colour or place where needed."""
        it = objects[index]
        twins = [o for i, o in enumerate(objects) if i != index and o.noun is it.noun]
        colour_tells = it.shown_colour is not None and all(o.shown_colour != it.shown_colour for o in twins)
        place_tells = all(_cell(o) != _cell(it) for o in twins)
        if twins and not colour_tells and not place_tells:
            return None
        use_colour = colour_tells and (bool(twins) or rng.random() < 0.25)
        use_place = place_tells and ((bool(twins) and not use_colour) or rng.random() < 0.15)
        words = f"{it.shown_colour} {it.noun.name}" if use_colour else it.noun.name
        return f"{words} {_pick(rng, phrases.CELLS[_cell(it)])}" if use_place else words

    # -- how it looks

    def render(self, background: Pixels, objects: list[Placed]) -> npt.NDArray[np.uint8]:
        """Lay the objects on the background, first to last; (size, size, 3) uint8."""
        canvas = background.copy()
        for placed in objects:
            sprite = self._sprite(placed)
            there, here = self._window(placed, sprite.alpha.shape)
            keep = (1 - sprite.shadow[here]) * (1 - sprite.alpha[here])
            canvas[there] = canvas[there] * keep[..., None] + sprite.colour[here]
        return (canvas * 255 + 0.5).astype(np.uint8)

    def _mask(self, kind: str, before: list[Placed], after: list[Placed], index: int) -> Pixels:
        """Where the edit can be seen: the outline of what goes and what comes, with its shadow unless only
        the colour changes, less what objects in front hide."""
        mask = np.zeros((self.size, self.size), np.float32)
        going = [] if kind == "add" else [before[index]]
        coming = [] if kind == "remove" else [after[index]]
        for placed in going + coming:
            sprite = self._sprite(placed)
            there, here = self._window(placed, sprite.alpha.shape)
            seen = (
                sprite.alpha
                if kind == "recolour"
                else np.maximum(sprite.alpha, np.minimum(sprite.shadow * 8, 1))
            )
            np.maximum(mask[there], seen[here], out=mask[there])
        for placed in [] if kind == "add" else before[index + 1 :]:
            sprite = self._sprite(placed)
            there, here = self._window(placed, sprite.alpha.shape)
            mask[there] *= 1 - sprite.alpha[here]
        return mask

    def _labels(self, objects: list[Placed]) -> npt.NDArray[np.uint8]:
        """Which noun each cell of 8x8 pixels shows at its centre, as `EditSample.nouns` says."""
        labels = np.zeros((self.size, self.size), np.uint8)
        for placed in objects:
            sprite = self._sprite(placed)
            there, here = self._window(placed, sprite.alpha.shape)
            labels[there][sprite.alpha[here] > 0.5] = self.nouns.index(placed.noun) + 1
        return labels[4 * self.scale :: 8 * self.scale, 4 * self.scale :: 8 * self.scale].copy()

    def _sprite(self, placed: Placed) -> Sprite:
        return self.sprites.get(placed.noun.name, placed.colour, placed.size * self.scale)

    def _window(
        self, placed: Placed, shape: tuple[int, int]
    ) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """Where a sprite of this shape falls on the scene, and which part of it does; (rows, columns)."""
        top, left = placed.y * self.scale - shape[0] // 2, placed.x * self.scale - shape[1] // 2
        (rows, here_rows), (columns, here_columns) = (
            (
                slice(max(start, 0), min(start + side, self.size)),
                slice(max(-start, 0), min(side, self.size - start)),
            )
            for start, side in ((top, shape[0]), (left, shape[1]))
        )
        return (rows, columns), (here_rows, here_columns)


def _cell(placed: Placed) -> tuple[float, float]:
    return min(phrases.CELLS, key=lambda c: (c[0] * SIZE - placed.x) ** 2 + (c[1] * SIZE - placed.y) ** 2)


def _pick(rng: np.random.Generator, items: Sequence[T]) -> T:
    return items[int(rng.integers(len(items)))]
