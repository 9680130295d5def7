"""The first measurement: held-out synthetic pairs, the frozen backbone against AdaptEdit.

adaptedit evaluate synthetic --out DIR
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from adaptedit.data.schema import EditSample
from adaptedit.data.synthetic import SyntheticPairs
from adaptedit.editing.pipeline import AdaptEditPipeline, RegionNotFound
from adaptedit.editing.sheet import sheet
from adaptedit.errors import AdaptEditError
from adaptedit.region import Region

EDITORS = (
    "frozen backbone",
    "AdaptEdit, predicted region, soft",
    "AdaptEdit, predicted region, exact",
    "AdaptEdit, oracle region, soft",
    "AdaptEdit, oracle region, exact",
)
DO_NOTHING = "do nothing"
_SHEETS = 24  # pictures kept to look at

Row = dict[str, object]
Pixels = npt.NDArray[np.uint8]


def evaluate(
    pipe: AdaptEditPipeline,
    pairs: SyntheticPairs,
    out: Path,
    *,
    count: int,
    seed: int = 0,
    steps: int = 1,
    weights: str = "tiny",
    on_sample: Callable[[int, int], None] | None = None,
) -> list[Row]:
    """Score `count` samples; one JSON row per sample and editor in out/samples.jsonl, resumed if it is there.

    Sample n depends on (seed, n) alone and is edited with seed n. A failure counts as a failed edit and is
    recorded with its message. Also writes the first samples' sheets to out/pictures.

    weights: the editor's name. Raises AdaptEditError if `out` holds results of another editor, split, seed or
    number of steps.
    """
    (out / "pictures").mkdir(parents=True, exist_ok=True)
    path = out / "samples.jsonl"
    rows: list[Row] = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    settings = {"weights": weights, "split": asdict(pairs.split), "seed": seed, "steps": steps}
    if any(row["settings"] != settings for row in rows):
        raise AdaptEditError(f"{path} holds results of other settings: give another --out or remove it")
    done = {row["sample"] for row in rows}
    for index in range(count):
        if index not in done:
            sample = pairs.draw(np.random.default_rng([seed, index]))
            new = _score(pipe, sample, index, steps, out / "pictures" if index < _SHEETS else None)
            new = [{"sample": index, "settings": settings, **row} for row in new]
            with path.open("a") as file:  # all rows of a sample in one write: a kill loses one sample at most
                file.write("".join(json.dumps(row) + "\n" for row in new))
            rows += new
        if on_sample:
            on_sample(index + 1, count)
    return [row for row in rows if int(str(row["sample"])) < count]


def _score(
    pipe: AdaptEditPipeline, sample: EditSample, index: int, steps: int, pictures: Path | None
) -> list[Row]:
    source = Image.fromarray(sample.source)
    oracle = Region.from_array(sample.mask.astype(np.float32) / 255)
    everywhere = Region.full(source.size)
    failure = None
    predicted: Region | None = None
    try:
        predicted = pipe.predict_region(source, sample.instruction)
    except RegionNotFound as error:
        failure = str(error)
    common: Row = {"kind": sample.kind, "instruction": sample.instruction}
    rows = [common | {"editor": DO_NOTHING, **_errors(sample, sample.source)}]
    for editor in EDITORS:
        region = oracle if "oracle" in editor else everywhere if editor == EDITORS[0] else predicted
        row = common | {"editor": editor}
        if region is None:
            rows.append(row | {"failure": failure, **_errors(sample, sample.source), "iou": 0.0})
            continue
        preserve = "exact" if editor.endswith("exact") else "soft"

        def edit(region: Region = region, preserve: str = preserve) -> Image.Image:
            output = pipe(
                source,
                sample.instruction,
                region,
                preserve=preserve,  # type: ignore[arg-type]
                num_inference_steps=steps,
                seed=index,
            )
            return output.images[0]

        if editor == EDITORS[0]:
            with pipe.adapter.disabled():
                result = edit()
        else:
            result = edit()
        row |= _errors(sample, np.asarray(result))
        if "predicted" in editor:
            row["iou"] = _iou(region.mask, sample.mask)
        rows.append(row)
        if pictures:
            name = editor.replace(",", "").replace(" ", "-")
            sheet(source, region, result).save(pictures / f"{index:03d}-{sample.kind}-{name}.png")
    return rows


def _errors(sample: EditSample, result: Pixels) -> Row:
    """Mean absolute errors in [0, 1]: to the target inside the true region, to the source outside it."""
    inside, outside = sample.mask >= 128, sample.mask == 0
    picture = result.astype(np.float32) / 255
    target, source = sample.target.astype(np.float32) / 255, sample.source.astype(np.float32) / 255
    nothing = float(np.abs(source - target)[inside].mean()) if inside.any() else 0.0
    error = float(np.abs(picture - target)[inside].mean()) if inside.any() else 0.0
    return {
        "inside": round(error, 5),
        "outside": round(float(np.abs(picture - source)[outside].mean()), 5),
        "success": error < nothing / 2,
    }


def _iou(mask: npt.NDArray[np.float32], truth: Pixels) -> float:
    a, b = mask >= 0.5, truth >= 128
    return round(float((a & b).sum() / max(1, (a | b).sum())), 4)


def table(rows: list[Row]) -> str:
    """Markdown: one line per kind and editor, means over the samples."""
    kinds = [*sorted({str(row["kind"]) for row in rows}), "all"]
    lines = [
        "| kind | editor | samples | region IoU | L1 inside, to target | L1 outside, to source | success |",
        "|---|---|---|---|---|---|---|",
    ]
    for kind in kinds:
        for editor in (DO_NOTHING, *EDITORS):
            chosen = [r for r in rows if r["editor"] == editor and kind in (r["kind"], "all")]
            if not chosen:
                continue
            ious = [float(str(r["iou"])) for r in chosen if "iou" in r]
            iou = f"{np.mean(ious):.3f}" if ious else "–"
            inside, outside = (np.mean([float(str(r[key])) for r in chosen]) for key in ("inside", "outside"))
            success = np.mean([bool(r["success"]) for r in chosen])
            cells = (kind, editor, len(chosen), iou, f"{inside:.4f}", f"{outside:.4f}", f"{success:.1%}")
            lines.append(f"| {' | '.join(map(str, cells))} |")
    failures = sum("failure" in r for r in rows if r["editor"] == EDITORS[1])
    return (
        "\n".join(lines) + f"\n\nNo region found: {failures} of {len({r['sample'] for r in rows})} samples.\n"
    )
