"""Synthetic pairs: everyday objects on varied backgrounds, one edit each, aligned, with an exact soft mask.

    adaptedit data preview --split train -o sheet.png

Splits hold out nouns, backgrounds, phrasings, or all three at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt
from PIL import Image

from adaptedit.data.cells import CellLabels, LabelledSample
from adaptedit.data.sprites import assets, nouns, phrases
from adaptedit.data.sprites.backgrounds import Backgrounds, Pixels, Places
from adaptedit.data.sprites.canvas import Canvas
from adaptedit.data.sprites.colours import COLOURS, luma
from adaptedit.data.sprites.lights import LIGHTS, relit
from adaptedit.data.sprites.looks import MATERIALS, PATTERNS
from adaptedit.data.sprites.scene import SIZE, Placed, beside, called, crowd, free_cells, lay_out, pick, refer
from adaptedit.data.sprites.signs import WORDS
from adaptedit.data.sprites.splits import SPLITS, check_split
from adaptedit.data.sprites.sprites import Sprites
from adaptedit.data.sprites.styles import STYLES
from adaptedit.region import Region

Picture = npt.NDArray[np.uint8]
Rng = np.random.Generator

NEW_SIZE = 44  # pixels, longest side of an object that is added
IDLE = "idle"  # the kind of an instruction that asks for nothing that could be done


@dataclass(frozen=True)
class _Scene:
    """What an edit starts from. grey: the picture shows no colours."""

    background: Pixels
    objects: list[Placed]
    grey: bool


@dataclass(frozen=True)
class _Edit:
    """How it is asked for, and what the scene becomes. going, coming: indices into the objects before and
    after whose outlines, with their shadows unless `flat`, make the mask."""

    instruction: str
    objects: list[Placed]
    going: Sequence[int] = ()
    coming: Sequence[int] = ()
    flat: bool = False
    background: Pixels | None = None  # another one; the mask is then all that no object hides
    whole: Callable[[Picture], Picture] | None = None  # done to the whole picture


class SyntheticPairs:
    """Draws samples of one split; the same seed gives the same samples."""

    def __init__(
        self,
        split: str,
        pack: dict[str, Picture] | None = None,
        *,
        scale: int = 1,
        pool: int = 256,
        jitter: float = 0.0,
        crowds: float = 0.0,
        kinds: Mapping[str, float] = phrases.KINDS,
    ) -> None:
        """pack: as `assets.load` returns it, by default the fetched one. scale: a scene has a side of so many
        times 128 pixels. pool: backgrounds that are kept. jitter: how far from its cell's centre every other
        added object may lie, in sides; without it the instruction alone says where. crowds: for training,
        share of the scenes that show many of one noun, and of the additions that fill all free places: one
        pair then teaches a noun's look at many places and sizes. kinds: how often each is drawn.
        AdaptEditError on unknown splits.
        """
        check_split(split)
        self.scale, self.size, self.jitter, self.crowds = scale, SIZE * scale, jitter, crowds
        self.kinds = kinds
        pack = assets.load() if pack is None else pack
        self.split = SPLITS[split]
        objects = {name.removeprefix("object/"): a for name, a in pack.items() if name.startswith("object/")}
        textures = {
            name.removeprefix("texture/"): a for name, a in pack.items() if name.startswith("texture/")
        }
        chosen = nouns.HELD_OUT if self.split.held_out_nouns else nouns.TRAIN
        self.nouns = [noun for noun in chosen if noun.name in objects or noun is nouns.SIGN]
        self.labels = [noun.name for noun in self.nouns if noun is not nouns.SIGN] + list(WORDS)
        names = assets.HELD_OUT_TEXTURES if self.split.held_out_backgrounds else assets.TRAIN_TEXTURES
        seed = 1 if self.split.held_out_backgrounds else 0
        self.backgrounds = Backgrounds([textures[n] for n in names if n in textures], self.size, seed, pool)
        self.places = Places(textures, self.size)
        self.canvas = Canvas(Sprites(objects, textures, scale), scale)
        self.templates = phrases.HELD_OUT if self.split.held_out_phrasings else phrases.TRAIN
        self._makers: dict[str, Callable[[Rng, _Scene], _Edit | None]] = {
            "add": self._add, "remove": self._remove, "replace": self._replace, "recolour": self._recolour,
            "material": self._material, "text": self._text, "background": self._background,
            "style": self._style, "global": self._light, IDLE: self._idle,
        }  # fmt: skip

    def stream(self, seed: int) -> Iterator[LabelledSample]:
        """Samples without end, of the nine kinds."""
        rng = np.random.default_rng(seed)
        while True:
            yield self.draw(rng)

    def draw(self, rng: Rng, kind: str | None = None) -> LabelledSample:
        """One sample, of the given kind (of `phrases.KINDS`, or IDLE) or of a random one of the nine.

        Its pictures are of `size` x `size` pixels; its region has 256 levels.
        """
        kind = kind or str(rng.choice(list(self.kinds), p=list(self.kinds.values())))
        grey = kind in ("add", "remove", "replace", "text", IDLE) and rng.random() < 0.06
        while True:
            if self.crowds and rng.random() < self.crowds:
                objects = crowd(rng, self.nouns)
            else:
                objects = lay_out(rng, self.nouns, with_sign=kind == "text")
            scene = _Scene(self.backgrounds.draw(rng), objects, grey)
            if edit := self._makers[kind](rng, scene):
                break  # else nothing in words would tell the object from its twin
        behind = scene.background if edit.background is None else edit.background
        source = self.canvas.picture(scene.background, objects)
        target = self.canvas.picture(behind, edit.objects)
        if edit.whole:
            target = edit.whole(source).copy()
        if grey:
            source, target = _without_colour(source), _without_colour(target)
        mask = np.round(self._mask(objects, edit) * 255).astype(np.uint8)
        target[mask == 0] = source[mask == 0]  # a weight that rounds to 0 can still move a pixel by one level
        shown, wanted = (self.canvas.labels(those, self.labels) for those in (objects, edit.objects))
        coming = [edit.objects[i] for i in edit.coming]
        frames, things = self.canvas.frames(coming, mask, self.labels)
        return LabelledSample(
            id="",
            instruction=edit.instruction,
            source=Image.fromarray(source),
            target=Image.fromarray(target),
            region=Region.from_white_is_edit(Image.fromarray(mask)),
            category=kind,
            labels=CellLabels(shown, wanted, frames, things),
        )

    # -- what happens

    def _say(self, rng: Rng, phrasing: str, **slots: str) -> str:
        return phrases.fill(pick(rng, self.templates[phrasing]), **slots)

    def _add(self, rng: Rng, scene: _Scene) -> _Edit | None:
        found = self._new(rng, scene)
        if found is None:
            return None
        noun, look, words = found
        if noun is not nouns.SIGN and self.crowds and rng.random() < self.crowds:
            return self._add_everywhere(rng, scene, noun, look)
        word = pick(rng, WORDS) if noun is nouns.SIGN else ""
        placed = self._free_place(rng, scene.objects)
        new = Placed(noun, look, *placed[0], NEW_SIZE, word)
        if word:
            words += f' that says "{word}"'
        instruction = self._say(rng, "add", y=phrases.with_article(words), p=placed[1])
        return _Edit(instruction, [*scene.objects, new], coming=[len(scene.objects)])

    def _add_everywhere(self, rng: Rng, scene: _Scene, noun: nouns.Noun, look: str | None) -> _Edit:
        cells = free_cells(scene.objects) or list(phrases.CELLS)
        new = [Placed(noun, look, round(x * SIZE), round(y * SIZE), NEW_SIZE) for x, y in sorted(cells)]
        objects = [*scene.objects, *new]
        coming = range(len(scene.objects), len(objects))
        return _Edit(self._say(rng, "add", y=_plural(noun, look), p="everywhere"), objects, coming=coming)

    def _free_place(self, rng: Rng, objects: list[Placed]) -> tuple[tuple[int, int], str]:
        """Centre in pixels, and its words: at times next to something, at times none: where most room is."""
        if rng.random() < 0.2 and (found := beside(rng, objects, NEW_SIZE)):
            return found
        cells = free_cells(objects) or [pick(rng, list(phrases.CELLS))]
        untold = rng.random() < 0.08
        cell = cells[0] if untold else pick(rng, cells)
        reach = self.jitter if rng.random() < 0.5 else 0.0
        x, y = (round((c + rng.uniform(-reach, reach)) * SIZE) for c in cell)
        return (x, y), "" if untold else pick(rng, phrases.CELLS[cell])

    def _remove(self, rng: Rng, scene: _Scene) -> _Edit | None:
        if found := self._some(rng, scene):
            rest = [o for i, o in enumerate(scene.objects) if i not in found[0]]
            return _Edit(self._say(rng, "remove", x=found[1]), rest, going=found[0])
        return None

    def _recolour(self, rng: Rng, scene: _Scene) -> _Edit | None:
        return self._relook(rng, scene, "recolour", "c", tuple(COLOURS))

    def _material(self, rng: Rng, scene: _Scene) -> _Edit | None:
        if rng.random() < 0.6:
            return self._relook(rng, scene, "material", "m", MATERIALS)
        return self._relook(rng, scene, "pattern", "m", PATTERNS)

    def _relook(
        self, rng: Rng, scene: _Scene, phrasing: str, slot: str, looks: Sequence[str]
    ) -> _Edit | None:
        found = self._some(rng, scene)
        if found is None:
            return None
        now = [scene.objects[i] for i in found[0]]
        look = pick(rng, [name for name in looks if all(name not in (o.look, o.colour) for o in now)])
        objects = [replace(o, look=look) if i in found[0] else o for i, o in enumerate(scene.objects)]
        said = self._say(rng, phrasing, x=found[1], **{slot: look})
        return _Edit(said, objects, found[0], found[0], flat=True)

    def _replace(self, rng: Rng, scene: _Scene) -> _Edit | None:
        if self.crowds and len(scene.objects) > 2 and len({o.noun for o in scene.objects}) == 1:
            return self._replace_all(rng, scene)
        index = int(rng.integers(len(scene.objects)))
        words = refer(rng, scene.objects, index, not scene.grey)
        found = self._new(rng, scene, but=scene.objects[index].noun)
        if words is None or found is None:
            return None
        noun, look, new = found
        word = pick(rng, WORDS) if noun is nouns.SIGN else ""
        objects = list(scene.objects)
        objects[index] = replace(objects[index], noun=noun, look=look, word=word)
        if word:
            new += f' that says "{word}"'
        said = self._say(rng, "replace", x=words, y=phrases.with_article(new))
        return _Edit(said, objects, [index], [index])

    def _replace_all(self, rng: Rng, scene: _Scene) -> _Edit | None:
        found = self._new(rng, scene)
        if found is None or found[0] is nouns.SIGN:
            return None
        noun, look, _ = found
        everything = range(len(scene.objects))
        objects = [replace(o, noun=noun, look=look, word="") for o in scene.objects]
        going = f"all the {scene.objects[0].noun.plural}"
        said = self._say(rng, "replace", x=going, y=_plural(noun, look))
        return _Edit(said, objects, everything, everything)

    def _text(self, rng: Rng, scene: _Scene) -> _Edit | None:
        signs = [i for i, o in enumerate(scene.objects) if o.word]
        if not signs:
            return None
        index = pick(rng, signs)
        words, before = refer(rng, scene.objects, index, not scene.grey), scene.objects[index].word
        if words is None or sum(o.word == before for o in scene.objects) > 1:
            return None
        after = pick(rng, [w for w in WORDS if w != before])
        objects = list(scene.objects)
        objects[index] = replace(objects[index], word=after)
        said = self._say(rng, "text", x=words, v=before, w=after)
        return _Edit(said, objects, [index], [index], flat=True)

    def _background(self, rng: Rng, scene: _Scene) -> _Edit:
        place = pick(rng, self.places.names)
        if rng.random() < 0.5:
            said = self._say(rng, "place", y=place)
        else:
            said = self._say(rng, "background", x="the background", y=place)
        return _Edit(said, scene.objects, background=self.places.picture(place))

    def _style(self, rng: Rng, scene: _Scene) -> _Edit:
        style = pick(rng, tuple(STYLES))
        return _Edit(self._say(rng, "style", s=style), scene.objects, whole=STYLES[style])

    def _light(self, rng: Rng, scene: _Scene) -> _Edit:
        light = pick(rng, tuple(LIGHTS))
        return _Edit(self._say(rng, "global", g=light), scene.objects, whole=partial(relit, name=light))

    def _idle(self, rng: Rng, scene: _Scene) -> _Edit | None:
        """Nothing is asked for, or something is to be done to a thing that is not there."""
        if rng.random() < 0.4:
            return _Edit(pick(rng, self.templates[IDLE]), scene.objects)
        found = self._new(rng, scene)
        if found is None:
            return None
        noun, _, words = found
        if rng.random() < 0.2:
            there = pick(rng, scene.objects)
            others = [c for c in COLOURS if all(c != o.colour for o in scene.objects if o.noun is there.noun)]
            if there.colour and not scene.grey:
                words = f"{pick(rng, others)} {there.noun.name}"
        kind = pick(rng, ("remove", "replace", "recolour", "material"))
        new = pick(rng, [n for n in self.nouns if n is not noun])
        said = self._say(
            rng, kind, x=f"the {words}", y=phrases.with_article(new.name), c=pick(rng, tuple(COLOURS)),
            m=pick(rng, MATERIALS),
        )  # fmt: skip
        return _Edit(said, scene.objects)

    def _some(self, rng: Rng, scene: _Scene) -> tuple[list[int], str] | None:
        """Objects to change and words for them: one, or at times all of a noun."""
        index = int(rng.integers(len(scene.objects)))
        twins = [i for i, o in enumerate(scene.objects) if o.noun is scene.objects[index].noun]
        if len(twins) > 1 and rng.random() < 0.4:
            quantity = ("both", "both the", "the two") if len(twins) == 2 else ("all the",)
            return twins, f"{pick(rng, quantity)} {scene.objects[index].noun.plural}"
        words = refer(rng, scene.objects, index, not scene.grey)
        return ([index], words) if words else None

    def _new(
        self, rng: Rng, scene: _Scene, but: nouns.Noun | None = None
    ) -> tuple[nouns.Noun, str | None, str] | None:
        """A noun that the scene does not show, at times in a colour; and its words. None if all are there."""
        there = {o.noun for o in scene.objects} | {but}
        free = [n for n in self.nouns if n not in there]
        if not free:
            return None
        noun = pick(rng, free)
        paint = noun is not nouns.SIGN and not scene.grey and rng.random() < 0.2
        colour = pick(rng, tuple(COLOURS)) if paint else None
        name = called(rng, noun)
        return noun, colour, f"{colour} {name}" if colour else name

    # -- where it can be seen

    def _mask(self, before: list[Placed], edit: _Edit) -> Pixels:
        """Where the edit can be seen: the outlines of what goes and what comes, with their shadows unless
        only the surface changes, less what objects in front hide."""
        if edit.whole:
            return np.ones((self.size, self.size), np.float32)
        if edit.background is not None:
            return self.canvas.without(np.ones((self.size, self.size), np.float32), before)
        mask = np.zeros((self.size, self.size), np.float32)
        for scene, indices in ((before, edit.going), (edit.objects, edit.coming)):
            for index in indices:
                stays = [o for i, o in enumerate(before) if i > index and i not in edit.going]
                outline = self.canvas.outline(scene[index], edit.flat)
                np.maximum(mask, self.canvas.without(outline, stays), out=mask)
        return mask


def _plural(noun: nouns.Noun, colour: str | None) -> str:
    return f"{colour} {noun.plural}" if colour else noun.plural


def _without_colour(picture: Picture) -> Picture:
    return np.repeat(np.round(luma(picture.astype(np.float32)))[..., None], 3, 2).astype(np.uint8)
