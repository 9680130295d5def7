"""Draw the examples from the fetched assets: `python examples/draw.py`, after `adaptedit data fetch`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from adaptedit.data.sprites import assets
from adaptedit.data.sprites.sprites import Sprites

HERE = Path(__file__).parent


def draw(
    texture: str, size: tuple[int, int], objects: list[tuple[str, str | None, int, int, int]]
) -> Image.Image:
    """objects: (noun, colour or None, centre x, centre y, longest side), in pixels."""
    pack = assets.load()
    sprites = Sprites({k.removeprefix("object/"): v for k, v in pack.items() if k.startswith("object/")})
    tile = Image.fromarray(pack[f"texture/{texture}"]).resize((max(size),) * 2, Image.Resampling.LANCZOS)
    canvas = np.asarray(tile.crop((0, 0, *size)), np.float32) / 255
    for noun, colour, x, y, side in objects:
        sprite = sprites.get(noun, colour, side)
        h, w = sprite.alpha.shape
        there = (slice(y - h // 2, y - h // 2 + h), slice(x - w // 2, x - w // 2 + w))
        keep = (1 - sprite.shadow) * (1 - sprite.alpha)
        canvas[there] = canvas[there] * keep[..., None] + sprite.colour
    return Image.fromarray((canvas * 255 + 0.5).astype(np.uint8))


def main() -> None:
    desk = [
        ("laptop", None, 190, 90, 120),
        ("apple", None, 85, 200, 96),
        ("cup of coffee", None, 310, 200, 96),
        ("key", None, 200, 215, 72),
    ]
    draw("wood_2", (384, 288), desk).save(HERE / "desk.png")
    tiles = [("balloon", None, 130, 150, 150), ("gift", None, 340, 330, 150), ("cat", None, 130, 380, 160)]
    draw("concrete_tiles_1", (480, 512), tiles).save(HERE / "party.jpg", quality=95)
    fruit = [("banana", None, 60, 60, 84), ("pear", None, 180, 120, 84), ("lemon", None, 70, 180, 70)]
    draw("grass_2", (256, 240), fruit).convert("RGBA").save(HERE / "lawn.png")
    shelf = [("umbrella", None, 110, 150, 150), ("hat", None, 300, 100, 120), ("shoe", None, 310, 250, 120)]
    draw("wood_1", (420, 340), shelf).save(HERE / "shelf.jpg", quality=92)
    tea = [
        ("teapot", None, 120, 130, 150),
        ("doughnut", None, 300, 110, 110),
        ("strawberry", None, 250, 250, 90),
    ]
    draw("marble_2", (400, 320), tea).save(HERE / "tea.jpg", quality=92)


if __name__ == "__main__":
    main()
