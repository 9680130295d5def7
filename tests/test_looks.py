"""Colours, materials, patterns and lights of the small world."""

from __future__ import annotations

import numpy as np
import pytest

import drawn
from adaptedit.data.sprites import assets, looks
from adaptedit.data.sprites.backgrounds import Places
from adaptedit.data.sprites.colours import COLOURS, recolour
from adaptedit.data.sprites.lights import LIGHTS, relit
from adaptedit.data.sprites.sprites import Sprites


def test_recolouring_keeps_outline_and_shadow() -> None:
    textures = {name.removeprefix("texture/"): a for name, a in drawn.pack().items() if "texture" in name}
    sprites = Sprites({"apple": drawn.pack()["object/apple"]}, textures)
    own = sprites.get("apple", None, 40)
    looks = [sprites.get("apple", look, 40) for look in ("blue", "gold", "wood", "striped")]
    for other in looks:
        assert (own.alpha == other.alpha).all() and (own.shadow == other.shadow).all()
    assert len({sprite.colour.tobytes() for sprite in [own, *looks]}) == 5


def test_every_look_and_light_can_be_drawn() -> None:
    names = (*assets.TRAIN_TEXTURES, *assets.HELD_OUT_TEXTURES)
    textures = {name: drawn.pack()["texture/wood_1"] for name in names}
    rgb = drawn.pack()["object/apple"][..., :3].astype(np.float32) / 255
    seen = {looks.look(rgb, name, textures).tobytes() for name in looks.MATERIALS + looks.PATTERNS}
    assert (
        len(seen) >= len(looks.MATERIALS + looks.PATTERNS) - 2
    )  # stone, wood and brick share one texture here
    picture = np.asarray(rgb * 255, np.uint8)
    assert all((relit(picture, name) != picture).any() for name in LIGHTS)
    places = Places(textures, 32)
    for name in places.names:
        assert places.picture(name).shape == (32, 32, 3) and places.picture(name).min() >= 0


@pytest.mark.parametrize("name", COLOURS)
def test_a_recoloured_object_is_nearest_to_its_colour(name: str) -> None:
    rgba = drawn.pack()["object/car"].astype(np.float32) / 255
    mean = recolour(rgba[..., :3], name)[rgba[..., 3] > 0.5].mean(0)
    assert min(COLOURS, key=lambda c: float(np.abs(mean - COLOURS[c]).sum())) == name
