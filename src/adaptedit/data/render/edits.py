"""Every kind of edit as a change of the scene, with the sentence that asks for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from adaptedit.data.render.board import capital
from adaptedit.data.render.layout import (
    HELD_OUT_LIGHTS,
    LIGHTS,
    Rng,
    Stock,
    carried,
    free,
    new_thing,
    pick,
    settle,
    sign,
)
from adaptedit.data.render.models import Model
from adaptedit.data.render.refer import Seen, names
from adaptedit.data.render.scene import Scene, Thing
from adaptedit.data.render.surfaces import COLOURS, SURFACES, usable
from adaptedit.data.render.words import (
    ALIVE,
    HDRI_PLACES,
    MATERIALS,
    PATTERNS,
    UNPAINTED,
    WORDS_ON_SIGNS,
    article,
)
from adaptedit.data.sprites import phrases
from adaptedit.data.sprites.styles import STYLES


@dataclass(frozen=True)
class Edit:
    """kind: of `phrases.KINDS`. keys: whose pixels the edit changes, before and after ("floor" and the
    like too); () for the whole picture. slots: of the phrasing; "p" of an added thing is found in its render.
    """

    kind: str
    phrasing: str
    scene: Scene
    noun: str
    slots: dict[str, str]
    keys: tuple[int | str, ...] = ()
    style: str = ""


_READABLE = 0.045  # height of a capital in units of the picture's side: 6 pixels of 128

Maker = Callable[[Rng, Stock, Scene, Sequence[Seen], int], Edit | None]


def instruction(rng: Rng, edit: Edit, held_out: bool) -> str:
    templates = (phrases.HELD_OUT if held_out else phrases.TRAIN)[edit.phrasing]
    return phrases.fill(pick(rng, templates), **edit.slots)


def _target(
    rng: Rng, things: Sequence[Seen], fits: Callable[[Thing], bool], least: float = 0.008
) -> tuple[Seen, str] | None:
    """A thing that can be seen and named, with its name."""
    chosen = [it for it in things if it.share >= least and fits(it.thing)]
    for it in (chosen[i] for i in rng.permutation(len(chosen))):
        if words := names(rng, it, things):
            return it, words
    return None


def _fits_picture(scene: Scene, thing: Thing) -> bool:
    """Inside the picture, large enough, its box mostly (a sign's: fully) clear of nearer things' boxes."""
    hidden = 0.02 if thing.text else 0.4
    place = scene.camera.project(thing.corners())
    low, high = place[:, :2].min(0), place[:, :2].max(0)
    if place[:, 2].min() < 0.02 or np.abs(place[:, :2] - 0.5).max() > 0.5 or (high - low).max() < 0.09:
        return False
    for other in scene.things:
        its = scene.camera.project(other.corners())
        if other.key != thing.key and its[:, 2].mean() < place[:, 2].mean():
            shared = np.minimum(high, its[:, :2].max(0)) - np.maximum(low, its[:, :2].min(0))
            if (shared > 0).all() and shared.prod() > hidden * (high - low).prod():
                return False
    return True


def _face(scene: Scene, thing: Thing) -> float:
    """The area that a sign's face takes when nothing hides it, as a share of the picture."""
    x, y = scene.camera.project(thing.front())[:, :2].T
    return abs(float(x @ np.roll(y, 1) - y @ np.roll(x, 1))) / 2


def _legible(scene: Scene, thing: Thing, text: str) -> bool:
    """Whether the sign's letters would be large enough to read in a picture of 128 pixels."""
    width, height, _ = thing.size
    scale = (_face(scene, thing) / (width * height)) ** 0.5  # shares of the picture's side per metre
    return bool(capital(text, width / height) * height * scale > _READABLE)


def _newcomer(
    rng: Rng, stock: Stock, scene: Scene, key: int, reach: float, but: Sequence[str]
) -> Thing | None:
    nouns = stock.fitting(scene.family, reach / 2.2, reach * 1.7, but)
    if not nouns:
        return None
    noun = pick(rng, nouns)
    fit = [m for m in stock.nouns[noun] if reach / 2.2 <= m.reach <= reach * 1.7]
    paint = pick(rng, tuple(COLOURS)) if noun not in UNPAINTED and rng.random() < 0.2 else ""
    return new_thing(rng, key, noun, pick(rng, fit), paint)


def _phrase(thing: Thing) -> str:
    words = article(f"{thing.paint} {thing.noun}" if thing.paint in COLOURS else thing.noun)
    return f'{words} that says "{_one_line(thing.text)}"' if thing.text else words


def _one_line(text: str) -> str:
    return text.replace("\n", " ")


def add(rng: Rng, stock: Stock, scene: Scene, things: Sequence[Seen], key: int) -> Edit | None:
    reach = max((max(t.size) for t in scene.things), default=0.5)
    others = scene.things
    taken = [thing.noun for thing in others]
    tops = [t for t in others if t.model and (m := _model(stock, t)) is not None and m.place == "top"]
    placed: Thing | None = None
    if tops and rng.random() < 0.5:
        carrier = pick(rng, tops)
        model = _model(stock, carrier)
        placed = carried(rng, stock, key, carrier, model, others) if model else None
        placed = placed if placed and _fits_picture(scene, placed) else None
    for _ in range(6 if placed is None else 0):
        if "sign" not in taken and rng.random() < 0.06:
            thing: Thing | None = sign(rng, key, reach)
        else:
            thing = _newcomer(rng, stock, scene, key, reach * float(rng.uniform(0.5, 1)), taken)
        if thing is None:
            return None
        top = scene.top if scene.table else None
        candidate = settle(rng, thing, others, 1.6 * reach, top)
        before_wall = candidate is not None and candidate.corners()[:, 2].min() > scene.back
        if candidate is None or scene.wall and not before_wall or not _fits_picture(scene, candidate):
            continue
        if not candidate.text or _legible(scene, candidate, candidate.text):
            placed = candidate
            break
    if placed is None:
        return None
    slots = {"y": _phrase(placed), "p": ""}
    return Edit("add", "add", scene.added(placed), placed.noun, slots, (key,))


def _model(stock: Stock, thing: Thing) -> Model | None:
    return next((m for m in stock.nouns.get(thing.noun, []) if m.key == thing.model), None)


def remove(rng: Rng, stock: Stock, scene: Scene, things: Sequence[Seen], key: int) -> Edit | None:
    found = _target(rng, things, lambda t: all(other.on != t.key for other in scene.things))
    if found is None or len(scene.things) < 2:
        return None
    it, words = found
    return Edit("remove", "remove", scene.without(it.thing.key), it.noun, {"x": words}, (it.thing.key,))


def swap(rng: Rng, stock: Stock, scene: Scene, things: Sequence[Seen], key: int) -> Edit | None:
    """Replace: a noun that is not there yet, of about the same size, at the same foot."""
    found = _target(rng, things, lambda t: bool(t.model) and all(other.on != t.key for other in scene.things))
    if found is None:
        return None
    it, words = found
    old = it.thing
    rest = tuple(t for t in scene.things if t.key != old.key)
    taken = [t.noun for t in scene.things]
    for _ in range(12):
        if old.on is None:
            new = _newcomer(rng, stock, scene, key, max(old.size), taken)
        else:
            hand = replace(scene, family="table")
            new = _newcomer(rng, stock, hand, key, max(old.size), taken)
        if new is None:
            return None
        new = replace(new, x=old.x, y=old.y, z=old.z, turn=new.turn, on=old.on)
        after = replace(scene, things=(*rest, new))
        if free(new, rest) and _fits_picture(after, new):
            slots = {"x": words, "y": _phrase(new)}
            return Edit("replace", "replace", after, new.noun, slots, (old.key, key))
    return None


def recolour(rng: Rng, stock: Stock, scene: Scene, things: Sequence[Seen], key: int) -> Edit | None:
    found = _target(rng, things, lambda t: t.noun not in UNPAINTED)
    if found is None:
        return None
    it, words = found
    colour = pick(rng, [c for c in COLOURS if c not in (it.colour, it.thing.paint)])
    after = scene.changed(replace(it.thing, paint=colour))
    return Edit("recolour", "recolour", after, it.noun, {"x": words, "c": colour}, (it.thing.key,))


def material(rng: Rng, stock: Stock, scene: Scene, things: Sequence[Seen], key: int) -> Edit | None:
    found = _target(rng, things, lambda t: bool(t.model) and t.noun not in UNPAINTED - ALIVE, 0.01)
    if found is None:
        return None
    it, words = found
    patterned = rng.random() < 0.3 and it.noun not in ALIVE
    choice = PATTERNS if patterned else MATERIALS
    name = pick(rng, [n for n in choice if n != it.thing.paint])
    after = scene.changed(replace(it.thing, paint=name))
    phrasing = "pattern" if patterned else "material"
    return Edit("material", phrasing, after, it.noun, {"x": words, "m": choice[name]}, (it.thing.key,))


def text(rng: Rng, stock: Stock, scene: Scene, things: Sequence[Seen], key: int) -> Edit | None:
    """Another text on a sign that nothing hides, where both texts can be read."""
    shares = {it.thing.key: it.share for it in things}
    found = _target(
        rng,
        things,
        lambda t: bool(t.text) and shares[t.key] > 0.92 * _face(scene, t) and _legible(scene, t, t.text),
    )
    if found is None:
        return None
    it, words = found
    shown = [t.text for t in scene.things]
    fitting = [w for w in WORDS_ON_SIGNS if w not in shown and _legible(scene, it.thing, w)]
    if not fitting:
        return None
    new = pick(rng, fitting)
    slots = {"x": words, "v": _one_line(it.thing.text), "w": _one_line(new)}
    return Edit("text", "text", scene.changed(replace(it.thing, text=new)), "sign", slots, (it.thing.key,))


def background(rng: Rng, stock: Stock, scene: Scene, things: Sequence[Seen], key: int) -> Edit | None:
    if scene.family == "street" and rng.random() < 0.5:
        lights = HELD_OUT_LIGHTS["street"] if stock.held_out_scenes else LIGHTS["street"]
        hdri = pick(rng, [n for n in lights if n != scene.light.hdri] or list(LIGHTS["street"]))
        after = replace(scene, light=replace(scene.light, hdri=hdri, rotation=float(rng.uniform(0, 360))))
        return Edit("background", "place", after, "background", {"y": HDRI_PLACES[hdri]})
    parts = {"ground": "floor"} if scene.family == "street" else {"table": "table"}
    parts = {"floor": "floor"} if scene.family == "room" else parts
    parts |= {"wall": "wall"} if scene.wall else {}
    use = pick(rng, list(parts))
    part = parts[use]
    now = getattr(scene, part)
    new = pick(rng, [s for s in usable(use, stock.held_out_scenes) if s.name != now] or usable(use, False))
    cloth = use == "wall" and "wallpaper" in new.name
    noun = {"ground": "ground", "floor": "floor", "wall": "wall", "table": "table top"}[use]
    words = article(f"{new.words} {'wallpaper' if cloth else noun}")
    surfaces: dict[str, Any] = {part: new.name}
    after = replace(scene, **surfaces)
    return Edit("background", "background", after, noun, {"x": f"the {noun}", "y": words}, (part,))


def style(rng: Rng, stock: Stock, scene: Scene, things: Sequence[Seen], key: int) -> Edit | None:
    name = pick(rng, list(STYLES))
    return Edit("style", "style", scene, "picture", {"s": name}, style=name)


def globally(rng: Rng, stock: Stock, scene: Scene, things: Sequence[Seen], key: int) -> Edit | None:
    """Light, time of day, season, weather."""
    now = scene.light
    lit = max(now.key, 0.8)
    moods = {
        "at night": replace(now, strength=0.28, key=0.0, tint=(0.55, 0.7, 1.25)),
        "in warm evening light": replace(now, strength=0.75, key=lit, tint=(1.35, 0.95, 0.6)),
        "in cold blue light": replace(now, strength=0.8, tint=(0.7, 0.95, 1.4)),
        "in dim light": replace(now, strength=0.38),
        "in bright light": replace(now, strength=2.4),
        "lit from the left": replace(now, strength=0.5, key=4.0, azimuth=-80.0, height=25.0),
        "lit from the right": replace(now, strength=0.5, key=4.0, azimuth=80.0, height=25.0),
    }
    floor = scene.floor
    if scene.family == "street":
        moods |= {
            "on a foggy morning": replace(now, key=0.0, fog=1.2),
            "on a sunny day": replace(now, key=2.4, strength=1.1, height=50.0),
            "at sunset": replace(
                now, hdri="sunset", key=1.6, height=8.0, strength=0.7, tint=(1.4, 0.9, 0.55)
            ),
            "on a snowy winter day": replace(
                now, hdri="city", key=0.0, strength=1.15, tint=(0.95, 1.0, 1.08)
            ),
            "on an autumn day": replace(now, tint=(1.15, 1.0, 0.8)),
        }
    name = pick(rng, list(moods))
    if "winter" in name or "autumn" in name:
        floor = "snow" if "winter" in name else "leaves"
    after = replace(scene, light=moods[name], floor=floor)
    return Edit("global", "global", after, "scene", {"g": name}) if after != scene else None


MAKERS: dict[str, Maker] = {
    "add": add,
    "remove": remove,
    "replace": swap,
    "recolour": recolour,
    "material": material,
    "text": text,
    "background": background,
    "style": style,
    "global": globally,
}
assert set(MAKERS) == set(phrases.KINDS) and set(PATTERNS) <= set(SURFACES)
