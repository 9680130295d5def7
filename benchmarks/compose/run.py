"""What a full-size picture loses on its way through an editor that works at 128 pixels, three ways.

    python benchmarks/compose/run.py              # results.md, samples.jsonl; some ten minutes on one core
    python benchmarks/compose/run.py --sizes 128 256 512 1024    # without the large ones: three minutes
    python benchmarks/compose/run.py --quick      # two scenes of each size; prints the tables only
    python benchmarks/compose/run.py --data DIR   # rendered scenes of `adaptedit data render`; rendered.md
    python benchmarks/compose/run.py --sheet FILE # the first four scenes of 512 pixels, to look at

stretch: the whole picture is squeezed to the working size, edited, enlarged. resize: the same with its aspect
kept, bars around it. crop-and-stitch: `AdaptEditPipeline`, preserve="exact". All with the true region, and
crop-and-stitch with the predicted one too.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image
from scenes import scenes

from adaptedit.data.sample import EditSample
from adaptedit.editing.compose import exact_alpha, resize, without_drift
from adaptedit.editing.pipeline import AdaptEditPipeline, feather_of
from adaptedit.errors import NoLocalRegion
from adaptedit.evaluation.benchmarks import benchmark
from adaptedit.region import Region

HERE = Path(__file__).parent
COUNTS = {128: 24, 256: 24, 512: 24, 1024: 24, 2048: 12, 4096: 6}
Editor = Callable[[AdaptEditPipeline, EditSample], Image.Image]


def through(pipe: AdaptEditPipeline, sample: EditSample, small: Image.Image, region: Region) -> Image.Image:
    """The working-size picture, edited as it is."""
    with pipe.adapter.region(region):
        generators = [torch.Generator().manual_seed(0)]
        edited = pipe.backbone.edit([small], [sample.instruction], [region], generators=generators)
        return edited[0].image


def stretch(pipe: AdaptEditPipeline, sample: EditSample) -> Image.Image:
    size = pipe.backbone.working_size(sample.source.size)
    edited = through(pipe, sample, resize(sample.source, size), sample.region.resize(size))
    return edited.resize(sample.source.size, Image.Resampling.BICUBIC)


def letterbox(pipe: AdaptEditPipeline, sample: EditSample) -> Image.Image:
    (width, height), side = sample.source.size, pipe.backbone.working_size(sample.source.size)[0]
    inner = round(width * side / max(width, height)), round(height * side / max(width, height))
    left, top = (side - inner[0]) // 2, (side - inner[1]) // 2
    box = (left, top, left + inner[0], top + inner[1])
    small, mask = Image.new("RGB", (side, side)), np.zeros((side, side), np.float32)
    small.paste(resize(sample.source, inner), box)
    mask[box[1] : box[3], box[0] : box[2]] = sample.region.resize(inner).mask
    edited = through(pipe, sample, small, Region.from_array(mask)).crop(box)
    return edited.resize(sample.source.size, Image.Resampling.BICUBIC)


def stitched(pipe: AdaptEditPipeline, sample: EditSample) -> Image.Image:
    return pipe(sample.source, sample.instruction, sample.region, seed=0).images[0]


def predicted(pipe: AdaptEditPipeline, sample: EditSample) -> Image.Image:
    return pipe(sample.source, sample.instruction, seed=0).images[0]


WAYS: dict[str, Editor] = {
    "stretch": stretch,
    "resize": letterbox,
    "crop-and-stitch": stitched,
    "crop-and-stitch, predicted region": predicted,
}


def edit_by(pipe: AdaptEditPipeline, sample: EditSample, way: str) -> Image.Image:
    """The source where no region is found."""
    try:
        return WAYS[way](pipe, sample)
    except NoLocalRegion:
        return sample.source


def measure(sample: EditSample, result: Image.Image) -> dict[str, float]:
    """PSNR in dB up to 100; levels are of 255."""
    before, after, target = (np.asarray(one, np.float32) for one in (sample.source, result, sample.target))
    outside = sample.region.mask == 0
    feather = feather_of(sample.region)
    reach = sample.region.dilate(2 * feather + 3).mask > 0
    seam = outside & reach
    far = ~reach
    inside = sample.region.mask >= 0.5
    gradients = [_gradient(one)[seam].mean() for one in (after, target)]
    return {
        "dB outside and seam": _psnr((after - target)[outside]),
        "dB seam": _psnr((after - target)[seam]),
        "bit-equal outside": float((after == before).all(axis=2)[far].mean()) if far.any() else 1.0,
        "seam gradient over target's": float(gradients[0] / max(gradients[1], 1e-6)),
        "drift": float(np.abs((after - before)[far].mean(axis=0)).max()) if far.any() else 0.0,
        "L1 inside": float(np.abs(after - target)[inside].mean()) / 255,
    }


def _gradient(pixels: np.ndarray) -> np.ndarray:
    """Of the luminance without grain, levels a pixel; the blur is a 256th of the picture."""
    grey = pixels @ np.float32([0.299, 0.587, 0.114])
    grey = cv2.GaussianBlur(grey, (0, 0), max(max(grey.shape) / 256, 0.8))
    return np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0) / 8, cv2.Sobel(grey, cv2.CV_32F, 0, 1) / 8)


def _psnr(error: np.ndarray) -> float:
    mse = float((error.astype(np.float64) ** 2).mean()) / 255**2 if error.size else 0.0
    return min(100.0, -10 * np.log10(mse)) if mse > 0 else 100.0


# -- how the edit is put back


def _poisson(source: Image.Image, edited: Image.Image, alpha: Region) -> Image.Image:
    """OpenCV's seamless clone of the whole edited picture where alpha is above 0."""
    mask = ((alpha.mask > 0) * 255).astype(np.uint8)
    mask[[0, -1]] = 0
    mask[:, [0, -1]] = 0
    x, y, width, height = cv2.boundingRect(mask)
    centre = (x + width // 2, y + height // 2)
    return Image.fromarray(
        cv2.seamlessClone(np.asarray(edited), np.asarray(source), mask, centre, cv2.NORMAL_CLONE)
    )


def put_back(sample: EditSample, edited: Image.Image, reference: Image.Image) -> dict[str, Image.Image]:
    """At working size: three ways to put one edit back."""
    alpha = exact_alpha(sample.region, feather_of(sample.region))

    def feathered(image: Image.Image) -> Image.Image:
        kept, change = np.asarray(sample.source, np.float32), np.asarray(image, np.float32)
        change = change - np.asarray(reference, np.float32)
        return Image.fromarray((kept + alpha.mask[..., None] * change + 0.5).clip(0, 255).astype(np.uint8))

    return {
        "feathered": feathered(edited),
        "feathered, drift taken off": feathered(without_drift(edited, reference, alpha)),
        "Poisson": _poisson(sample.source, edited, alpha),
    }


def drifted(image: Image.Image) -> Image.Image:
    """A warm cast with a slope, as large editors have it: +12 to +4 red, -2 to -6 blue."""
    pixels = np.asarray(image, np.float32).copy()
    slope = np.linspace(0, 1, pixels.shape[1])[None]
    pixels[..., 0] += 12 - 8 * slope
    pixels[..., 2] -= 2 + 4 * slope
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def blends(pipe: AdaptEditPipeline, count: int) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for sample in scenes(128, count):
        with pipe.adapter.region(sample.region):
            (out,) = pipe.backbone.edit(
                [sample.source],
                [sample.instruction],
                [sample.region],
                generators=[torch.Generator().manual_seed(0)],
            )
        for cast, edited in (("none", out.image), ("warm", drifted(out.image))):
            for way, result in put_back(sample, edited, out.reconstruction).items():
                rows.append({"id": sample.id, "cast": cast, "way": way, **measure(sample, result)})
    return rows


# -- the whole


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--sizes", type=int, nargs="+", choices=COUNTS, default=list(COUNTS))
    parser.add_argument("--data", type=Path)
    parser.add_argument("--sheet", type=Path)
    options = parser.parse_args()
    quick: bool = options.quick
    torch.set_num_threads(1)
    pipe = AdaptEditPipeline.from_pretrained("tiny")
    if options.sheet:
        _sheet(pipe, scenes(512, 4)).save(options.sheet)
        return
    rows: list[dict[str, object]] = []
    for name, samples in sources(quick, options.data, options.sizes):
        for sample in samples:
            for way in WAYS:
                numbers = measure(sample, edit_by(pipe, sample, way))
                rows.append(
                    {"id": sample.id, "size": name, "way": way}
                    | {key: round(value, 5) for key, value in numbers.items()}
                )
        print(name, "done", flush=True)
    name = "rendered" if options.data else "results"
    mixed = [] if options.data else blends(pipe, 8 if quick else 96)
    text = tables(rows, mixed)
    if not quick:
        lines = [json.dumps(row) for row in [*rows, *mixed]]
        (HERE / f"{name.replace('results', 'samples')}.jsonl").write_text("\n".join(lines) + "\n")
        (HERE / f"{name}.md").write_text(text)
    print(text)


def sources(quick: bool, data: Path | None, sizes: list[int]) -> Iterator[tuple[str, list[EditSample]]]:
    if data is not None:
        rendered = benchmark("magicbrush-dev-inde", path=data)
        loaded = [rendered.load(one) for session in rendered.sessions for one in session]
        local = [sample for sample in loaded if sample.region and sample.region.coverage() < 0.5]
        yield f"rendered, {local[0].source.width}", local[:48]
        return
    for longest in sizes:
        yield str(longest), scenes(longest, 2 if quick else COUNTS[longest])


def tables(rows: list[dict[str, object]], mixed: list[dict[str, object]]) -> str:
    parts = [__doc__ or "", "## The way of the picture\n", _table(rows, ("size", "way"))]
    parts += ["\n## Where resize falls under 30 dB outside and at the seam\n", _hard(rows)]
    if mixed:
        parts += ["\n## The way the edit is put back\n", "96 scenes of 128 pixels, true region; cast: a tone"]
        parts += ["that the editor adds to all it makes.\n", _table(mixed, ("cast", "way"))]
    return "\n".join(parts) + "\n"


def _hard(rows: list[dict[str, object]]) -> str:
    """Their own numbers, of the scenes that resize does badly."""
    key = "dB outside and seam"
    by_way = {way: {row["id"]: float(row[key]) for row in rows if row["way"] == way} for way in WAYS}  # type: ignore[arg-type]
    hard = [one for one, value in by_way["resize"].items() if value < 30]
    lines = [
        f"{len(hard)} of {len(by_way['resize'])} scenes.\n",
        "| way | mean dB | worst | share of 40 dB or more |",
    ]
    lines.append("|---|---|---|---|")
    for way, found in by_way.items():
        values = [found[one] for one in hard] or [float("nan")]
        share = np.mean([value >= 40 for value in values])
        lines.append(f"| {way} | {np.mean(values):.1f} | {min(values):.1f} | {share:.0%} |")
    return "\n".join(lines)


def _table(rows: list[dict[str, object]], by: tuple[str, str]) -> str:
    columns = [key for key in rows[0] if key not in ("id", *by)]
    lines = [f"| {' | '.join([*by, 'n', *columns])} |", f"|{'---|' * (len(columns) + 3)}"]
    for first, second in dict.fromkeys((row[by[0]], row[by[1]]) for row in rows):
        chosen = [row for row in rows if (row[by[0]], row[by[1]]) == (first, second)]
        cells = [f"{np.mean([float(row[c]) for row in chosen]):.4g}" for c in columns]  # type: ignore[arg-type]
        lines.append(f"| {' | '.join([str(first), str(second), str(len(chosen)), *cells])} |")
    return "\n".join(lines)


def _sheet(pipe: AdaptEditPipeline, samples: list[EditSample]) -> Image.Image:
    """A row for each scene: source | stretch | resize | crop-and-stitch | the same, predicted | target."""
    size = (256, 192)
    sheet = Image.new("RGB", (size[0] * (len(WAYS) + 2), size[1] * len(samples)))
    for row, sample in enumerate(samples):
        pictures = [sample.source, *(edit_by(pipe, sample, way) for way in WAYS), sample.target]
        for column, picture in enumerate(pictures):
            small = picture.resize(size, Image.Resampling.LANCZOS)
            sheet.paste(small, (column * size[0], row * size[1]))
    return sheet


if __name__ == "__main__":
    main()
