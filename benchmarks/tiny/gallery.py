"""Held-out edits to look at: the first ones, not selected, and those with the largest error left.

    python benchmarks/tiny/gallery.py FOLDER [--split phrasings | --renders DIR] [--count 240] [--shown 24]

FOLDER/first.png and FOLDER/failures.png: source, predicted region, result (exact), target. FOLDER/look-1.png
and so on: the first 50, numbered, source and result alone, twice as large, for a judge who knows no more.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

from adaptedit import AdaptEditPipeline, NoLocalRegion
from adaptedit.data.cells import LabelledSample
from adaptedit.data.render.pairs import RenderedPairs
from adaptedit.data.sprites.synthetic import SyntheticPairs
from adaptedit.errors import GlobalEdit
from adaptedit.region import Region

Row = tuple[LabelledSample, Image.Image, Image.Image]  # with the region found, in white, and the result
_SIDE, _GAP, _TEXT = 128, 6, 14


def edited(pipe: AdaptEditPipeline, sample: LabelledSample) -> tuple[Image.Image, Image.Image]:
    """Region in white and result; black and the source where it found nothing."""
    source = sample.source
    try:
        region = pipe.predict_region(source, sample.instruction)
    except GlobalEdit:
        region = Region.full(source.size)
    except NoLocalRegion:
        return Image.new("L", source.size), source
    return region.to_image(), pipe(source, sample.instruction, region, seed=0).images[0]


def left(sample: LabelledSample, result: Image.Image) -> float:
    """The share of the difference inside the true region that the edit leaves."""
    inside, target = sample.region.mask >= 0.5, np.asarray(sample.target, int)
    before, after = (np.abs(np.asarray(p, int) - target)[inside].mean() for p in (sample.source, result))
    return float(after / max(before, 1e-3))


def sheet(rows: list[Row], columns: int = 3) -> Image.Image:
    width, height = 4 * _SIDE + _GAP, _SIDE + _TEXT + _GAP
    canvas = Image.new("RGB", (columns * width, -(-len(rows) // columns) * height), "white")
    draw = ImageDraw.Draw(canvas)
    for index, (sample, region, result) in enumerate(rows):
        x, y = index % columns * width, index // columns * height
        draw.text((x, y), f"{sample.category}: {sample.instruction}"[:84], fill="black")
        for place, part in enumerate((sample.source, region, result, sample.target)):
            canvas.paste(part, (x + place * _SIDE, y + _TEXT))
    return canvas


def look(folder: Path, rows: list[Row], of: int = 10) -> None:
    for start in range(0, len(rows), of):
        canvas = Image.new("RGB", (2 * (4 * _SIDE + 3 * _GAP), of // 2 * (2 * _SIDE + _TEXT + _GAP)), "white")
        draw = ImageDraw.Draw(canvas)
        for index, (sample, _, result) in enumerate(rows[start : start + of]):
            x, y = index % 2 * (4 * _SIDE + 3 * _GAP), index // 2 * (2 * _SIDE + _TEXT + _GAP)
            draw.text((x, y), f"{start + index + 1}. {sample.instruction}", fill="black")
            for place, part in enumerate((sample.source, result)):
                large = part.resize((2 * _SIDE, 2 * _SIDE), Image.Resampling.BICUBIC)
                canvas.paste(large, (x + place * 2 * _SIDE, y + _TEXT))
        canvas.save(folder / f"look-{start // of + 1}.png")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--split", default="phrasings")
    parser.add_argument("--renders", type=Path, help="of `adaptedit data render`, instead of sprites")
    parser.add_argument("--count", type=int, default=240)
    parser.add_argument("--shown", type=int, default=24)
    options = parser.parse_args()
    torch.set_num_threads(1)
    pipe = AdaptEditPipeline.from_pretrained("tiny")
    pairs = RenderedPairs(options.renders) if options.renders else SyntheticPairs(options.split)
    rows = []
    for number in range(options.count):
        sample = pairs.draw(np.random.default_rng([3, number]))
        rows.append((sample, *edited(pipe, sample)))
    options.folder.mkdir(parents=True, exist_ok=True)
    sheet(rows[: options.shown]).save(options.folder / "first.png")
    look(options.folder, rows[:50])
    worst = sorted(rows, key=lambda row: -left(row[0], row[2]))
    sheet(worst[: options.shown]).save(options.folder / "failures.png")
    print(f"{np.mean([left(s, r) < 0.5 for s, _, r in rows]):.1%} of {options.count} leave less than half")


if __name__ == "__main__":
    main()
