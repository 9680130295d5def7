"""Held-out edits to look at: the first ones, not selected, and those with the largest error left.

    python benchmarks/tiny/gallery.py FOLDER [--split phrasings | --renders DIR] [--count 240] [--shown 24]

FOLDER/first.png and FOLDER/failures.png: source, predicted region, result (exact), target. FOLDER/look-1.png
and so on: the first 50, numbered, source and result alone, twice as large, for a judge who knows no more.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageDraw

from adaptedit import AdaptEditPipeline, NoLocalRegion
from adaptedit.data.render.pairs import RenderedPairs
from adaptedit.data.schema import EditSample
from adaptedit.data.sprites.synthetic import SyntheticPairs
from adaptedit.errors import GlobalEdit
from adaptedit.region import Region

Pixels = npt.NDArray[np.uint8]
_SIDE, _GAP, _TEXT = 128, 6, 14


def edited(pipe: AdaptEditPipeline, sample: EditSample) -> tuple[Pixels, Pixels]:
    """Region in white and result, both (128, 128, 3); black and the source where it found nothing."""
    source = Image.fromarray(sample.source)
    try:
        region = pipe.predict_region(source, sample.instruction)
    except GlobalEdit:
        region = Region.full(source.size)
    except NoLocalRegion:
        return np.zeros_like(sample.source), sample.source
    result = pipe(source, sample.instruction, region, seed=0).images[0]
    white = np.asarray(np.round(region.mask * 255), np.uint8)
    return np.repeat(white[..., None], 3, 2), np.asarray(result)


def left(sample: EditSample, result: Pixels) -> float:
    """The share of the difference inside the true region that the edit leaves."""
    inside = sample.mask > 127
    before, after = (np.abs(p.astype(int) - sample.target)[inside].mean() for p in (sample.source, result))
    return float(after / max(before, 1e-3))


def sheet(rows: list[tuple[EditSample, Pixels, Pixels]], columns: int = 3) -> Image.Image:
    width, height = 4 * _SIDE + _GAP, _SIDE + _TEXT + _GAP
    canvas = Image.new("RGB", (columns * width, -(-len(rows) // columns) * height), "white")
    draw = ImageDraw.Draw(canvas)
    for index, (sample, region, result) in enumerate(rows):
        x, y = index % columns * width, index // columns * height
        draw.text((x, y), f"{sample.kind}: {sample.instruction}"[:84], fill="black")
        parts = [sample.source, region, result, sample.target]
        canvas.paste(Image.fromarray(np.concatenate(parts, 1)), (x, y + _TEXT))
    return canvas


def look(folder: Path, rows: list[tuple[EditSample, Pixels, Pixels]], of: int = 10) -> None:
    for start in range(0, len(rows), of):
        canvas = Image.new("RGB", (2 * (4 * _SIDE + 3 * _GAP), of // 2 * (2 * _SIDE + _TEXT + _GAP)), "white")
        draw = ImageDraw.Draw(canvas)
        for index, (sample, _, result) in enumerate(rows[start : start + of]):
            x, y = index % 2 * (4 * _SIDE + 3 * _GAP), index // 2 * (2 * _SIDE + _TEXT + _GAP)
            draw.text((x, y), f"{start + index + 1}. {sample.instruction}", fill="black")
            pair = Image.fromarray(np.concatenate([sample.source, result], 1))
            canvas.paste(pair.resize((4 * _SIDE, 2 * _SIDE), Image.Resampling.BICUBIC), (x, y + _TEXT))
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
