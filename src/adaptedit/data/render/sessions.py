"""Sessions of one to three edits; each target is the next source. A seed and an index decide all."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from adaptedit.data.render import VERSION, masks, models
from adaptedit.data.render.edits import MAKERS, Edit, instruction
from adaptedit.data.render.engine import Engine, Frame
from adaptedit.data.render.labels import labels
from adaptedit.data.render.layout import Stock, draw
from adaptedit.data.render.refer import Seen, places, seen
from adaptedit.data.render.scene import Scene
from adaptedit.data.render.surfaces import COLOURS, SURFACES
from adaptedit.data.render.words import HDRI_PLACES, article, listed
from adaptedit.data.sample import EditSample
from adaptedit.data.sprites.phrases import KINDS
from adaptedit.data.sprites.styles import STYLES
from adaptedit.errors import AdaptEditError
from adaptedit.region import Region

SPLITS = ("train", "nouns", "scenes", "phrasings")
Pixels = npt.NDArray[np.uint8]

_TRIES = 9
_MOST = 0.85  # share of the picture that a local edit may change
_LEAST = 0.004


@dataclass(frozen=True)
class Turn:
    """source, target: (h, w, 3) uint8. mask: (h, w) uint8, 255 = edit; target == source where it is 0.
    noun_labels: (16, 16) uint8, of the source, as `labels.labels` makes them.
    """

    img_id: str
    turn_index: int
    source: Pixels
    mask: Pixels
    target: Pixels
    instruction: str
    kind: str
    noun: str
    caption_before: str
    caption_after: str
    noun_labels: npt.NDArray[np.uint8]

    def sample(self) -> EditSample:
        return EditSample(
            f"{self.img_id}-{self.turn_index}",
            self.instruction,
            Image.fromarray(self.source),
            Image.fromarray(self.target),
            Region.from_white_is_edit(Image.fromarray(self.mask)),
            self.kind,
            self.caption_before,
            self.caption_after,
        )


@dataclass(frozen=True)
class State:
    """A scene as it was rendered. shown: display values (h, w, 3) in [0, 1]. picture: what the reader has."""

    scene: Scene
    frame: Frame
    shown: npt.NDArray[np.float32]
    picture: Pixels
    things: list[Seen]


class Sessions:
    """The sessions of one split."""

    def __init__(self, split: str, size: int, spp: int, folder: Path | None = None) -> None:
        """AdaptEditError for an unknown split and for models that were not fetched."""
        if split not in SPLITS:
            raise AdaptEditError(f"unknown split {split!r}: choose one of {', '.join(SPLITS)}")
        folder = folder or models.render_folder()
        chosen = [model for model in models.load(folder) if model.held_out == (split == "nouns")]
        if not chosen:
            raise AdaptEditError(
                f"{folder}: no models of split {split!r}; run `adaptedit data fetch --render`"
            )
        self.split = split
        self.stock = Stock(chosen, held_out_scenes=split == "scenes")
        self.engine = Engine(folder, size, spp)

    def session(self, seed: int, index: int) -> list[Turn]:
        """One to three turns; the same seed and index give the same pixels."""
        rng = np.random.default_rng([seed, index, SPLITS.index(self.split), int(VERSION)])
        sampler = int(rng.integers(1 << 31))
        while True:
            state, factor = self._first(rng, sampler)
            if state is None:
                continue
            turns: list[Turn] = []
            wanted = int(rng.choice([1, 2, 3], p=[0.3, 0.35, 0.35]))
            for number in range(1, wanted + 1):
                step = self._turn(rng, state, factor, sampler, f"{self.split}-{seed}-{index:06d}", number)
                if step is None:
                    break
                turn, state = step
                turns.append(turn)
                if turn.kind == "style":  # no render can follow a drawing
                    break
            if turns:
                return turns

    def _first(self, rng: np.random.Generator, sampler: int) -> tuple[State | None, float]:
        scene = draw(rng, self.stock)
        if not scene.things:
            return None, 1.0
        frame = self.engine.render(scene, sampler)
        factor = masks.exposure(frame.light)
        shown = masks.develop(frame.light, factor)
        state = State(scene, frame, shown, np.asarray(np.round(shown * 255), np.uint8), seen(scene, frame))
        visible = sum(it.share for it in state.things)
        fits = 0.03 < visible < 0.9 and len(state.things) == len(scene.things)
        return (state if fits and shown.std() > 0.06 else None), factor

    def _turn(
        self, rng: np.random.Generator, state: State, factor: float, sampler: int, img_id: str, number: int
    ) -> tuple[Turn, State] | None:
        signs = any(thing.text for thing in state.scene.things)
        weights = np.array([w * (signs * 5 if kind == "text" else 1) for kind, w in KINDS.items()])
        kind = ""
        for attempt in range(_TRIES):
            if attempt % 3 == 0:  # a kind that fails is tried again: the easy ones would crowd it out
                kind = str(rng.choice(list(KINDS), p=weights / weights.sum()))
            key = 1 + max((thing.key for thing in state.scene.things), default=0) + 10 * number
            edit = MAKERS[kind](rng, self.stock, state.scene, state.things, key)
            made = None if edit is None else self._render(rng, state, edit, factor, sampler)
            if edit is None or made is None:
                continue
            edit, mask, after = made
            turn = Turn(
                img_id,
                number,
                state.picture,
                mask,
                after.picture,
                instruction(rng, edit, self.split == "phrasings"),
                edit.kind,
                edit.noun,
                caption(state.scene, state.things),
                caption(after.scene, after.things) + (f", as {edit.style}" if edit.style else ""),
                labels(state.scene, state.frame),
            )
            return turn, after
        return None

    def _render(
        self, rng: np.random.Generator, state: State, edit: Edit, factor: float, sampler: int
    ) -> tuple[Edit, Pixels, State] | None:
        """The edit's mask and what follows; None if it cannot be seen or changes nearly everything."""
        if edit.style:
            mask = np.full(state.picture.shape[:2], 255, np.uint8)
            drawn = STYLES[edit.style](state.picture)
            return edit, mask, replace(state, picture=drawn)
        scene = edit.scene
        frame = self.engine.render(scene, sampler)
        distance = math.dist(scene.camera.eye, scene.camera.target)
        light = masks.foggy(frame, scene.light.fog, distance, scene.light.strength)
        shown = masks.develop(light, factor)
        things = seen(scene, frame)
        if edit.keys:
            parts = [f.cover[key] for f in (state.frame, frame) for key in edit.keys if key in f.cover]
            mask = masks.changed(state.shown, shown, np.max(parts, axis=0))
            share = float((mask > 127).mean())
            if not _LEAST < share < (0.97 if edit.kind == "background" else _MOST):
                return None
        else:
            mask = np.full(state.picture.shape[:2], 255, np.uint8)
            if float(np.abs(shown - state.shown).mean()) < 0.08:
                return None
        lost = {it.thing.key for it in state.things} - {it.thing.key for it in things} - set(edit.keys)
        if lost:  # the newcomer hides something else
            return None
        if edit.kind in ("add", "replace"):
            new = next((it for it in things if it.thing.key == edit.keys[-1]), None)
            if new is None or new.share < 0.006:
                return None
            edit = replace(edit, slots=edit.slots | {"p": places(rng, new, things)})
        if edit.kind in ("recolour", "material"):
            visibly = np.abs(shown - state.shown).max(2) > 0.08
            if np.average(visibly, weights=state.frame.cover[edit.keys[0]]) < 0.5:  # only a table's legs
                return None
        target = masks.blend(state.picture, shown, mask)
        if np.abs(target.astype(int) - state.picture).max(2)[mask > 0].mean() < 10:
            return None
        return edit, mask, State(scene, frame, shown, target, things)


def caption(scene: Scene, things: list[Seen]) -> str:
    """What the picture shows, in one plain phrase."""
    parts = []
    for it in things:
        paint = it.thing.paint if it.thing.paint in COLOURS and it.thing.model else it.colour
        words = article(f"{paint} {it.noun}" if paint else it.noun)
        parts.append(f'{words} that says "{it.thing.text.replace(chr(10), " ")}"' if it.thing.text else words)
    ground = scene.table or scene.floor
    noun = "table top" if scene.table else "ground" if scene.family == "street" else "floor"
    where = f"on {article(f'{SURFACES[ground].words} {noun}')}"
    if scene.family == "street":
        where += f", {HDRI_PLACES.get(scene.light.hdri, 'open country')} behind"
    elif scene.wall:
        where += f", in front of {article(f'{SURFACES[scene.wall].words} wall')}"
    return f"{listed(parts) if parts else 'nothing'} {where}"
