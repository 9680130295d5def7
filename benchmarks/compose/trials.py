"""The trials behind two choices of LOG.md, "Any size", on the development split; prints their tables.

    python benchmarks/compose/trials.py     # ten minutes on one core

refine: radius and smoothness of the guided filter, by the region's IoU. crop: where the crop lies around the
region, and how wide it is, by the error of the edit.
"""

from __future__ import annotations

from unittest import mock

import numpy as np
import scenes
import torch

from adaptedit.data.sprites.synthetic import SyntheticPairs
from adaptedit.editing import crops, pipeline, refine
from adaptedit.editing.pipeline import AdaptEditPipeline
from adaptedit.errors import NoLocalRegion
from adaptedit.evaluation.metrics.local import Local

SPLIT = "backgrounds"


def edges(pipe: AdaptEditPipeline) -> None:
    print(
        "| side | n | none | " + " | ".join(f"{r}, {s}" for r in (2.0, 3.0, 4.0) for s in (0.01, 0.04)) + " |"
    )
    for scale, draws in ((4, 80), (12, 25)):
        pairs, rng = SyntheticPairs(SPLIT, scale=scale, pool=24), np.random.default_rng(5)
        found = []
        for _ in range(draws):
            pair = pairs.draw(rng, rng.choice(["remove", "replace", "recolour"]))
            picture, truth = pair.source, pair.region.mask >= 0.5
            try:
                with mock.patch.object(pipeline, "refine", lambda region, image, working: region):
                    found.append((pipe.predict_region(picture, pair.instruction), picture, truth))
            except NoLocalRegion:
                continue
        cells = [np.mean([_iou(region.mask >= 0.5, truth) for region, _, truth in found])]
        for reach in (2.0, 3.0, 4.0):
            for smoothness in (0.01, 0.04):
                with mock.patch.multiple(refine, REACH=reach, SMOOTHNESS=smoothness):
                    refined = [(refine.refine(r, image, (128, 128)), truth) for r, image, truth in found]
                cells.append(np.mean([_iou(region.mask >= 0.5, truth) for region, truth in refined]))
        print(f"| {128 * scale} | {len(found)} | {' | '.join(f'{cell:.4f}' for cell in cells)} |", flush=True)


def _iou(found: np.ndarray, truth: np.ndarray) -> float:
    return float((found & truth).sum() / max((found | truth).sum(), 1))


def places(pipe: AdaptEditPipeline) -> None:
    print("| context | the crop lies | L1 inside | success |")
    with mock.patch.object(scenes, "SPLIT", SPLIT):
        samples = scenes.scenes(512, 64, seed=9)
    for context in (1.5, 2.0, 2.5, 3.0):
        for name, interval in (("centred", _centred), ("as the picture does", crops._interval)):
            with mock.patch.object(crops, "_interval", interval):
                rows = [
                    Local()(
                        one,
                        pipe(one.source, one.instruction, one.region, seed=0, context=context).images[0],
                        None,
                    )
                    for one in samples
                ]
            error, success = (np.mean([row[key] for row in rows]) for key in ("L1-inside", "success"))
            print(f"| {context} | {name} | {error:.4f} | {success:.3f} |", flush=True)


def _centred(low: int, high: int, side: int, limit: int) -> tuple[int, int]:
    start = max(min((low + high - side) // 2, limit - side), 0)
    return start, min(start + side, limit)


if __name__ == "__main__":
    torch.set_num_threads(1)
    editor = AdaptEditPipeline.from_pretrained("tiny")
    edges(editor)
    places(editor)
