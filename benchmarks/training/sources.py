"""From sprites to renders and back: the first stage from fresh weights on one source, measured on both.

    python benchmarks/training/sources.py benchmarks/training/sources.jsonl sprites renders \
        --renders RENDERS --held-out HELD_OUT [--pairs 19200]

RENDERS, HELD_OUT: of `adaptedit data render --split train` and `--split phrasings`. Writes the mean region
IoU on 256 held-out pairs of each source.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from adaptedit.adapter.mask_predictor import MaskPredictor
from adaptedit.adapter.model import AdaptEditAdapter
from adaptedit.data.render.pairs import RenderedPairs
from adaptedit.data.sprites.mixed import MixedPairs
from adaptedit.data.sprites.synthetic import SyntheticPairs
from adaptedit.tiny.encoder import VLEncoder
from adaptedit.tiny.text import TextEncoder
from adaptedit.tiny.training.batches import collate
from adaptedit.tiny.training.configs import CROWDS, recipe
from adaptedit.tiny.training.encoder import train_encoder
from adaptedit.tiny.training.run import fresh_backbone
from adaptedit.training.losses import iou

MEASURED, BATCH = 256, 32


@torch.no_grad()
def region_iou(
    encoder: VLEncoder, predictor: MaskPredictor, pairs: SyntheticPairs | RenderedPairs, text: TextEncoder
) -> float:
    rng, scores = np.random.default_rng(5), []
    for _ in range(MEASURED // BATCH):
        data = collate([pairs.draw(rng) for _ in range(BATCH)], torch.Generator())
        states, mask = encoder(data.source, *text(data.instructions))
        logits = predictor(states, mask, encoder.config.grid**2, data.source)
        scores.append(iou(logits.sigmoid(), data.mask))
    return torch.cat(scores).mean().item()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("sources", nargs="+", choices=("sprites", "renders"))
    parser.add_argument("--renders", type=Path, required=True)
    parser.add_argument("--held-out", type=Path, required=True)
    parser.add_argument("--pairs", type=int, default=19200)
    options = parser.parse_args()
    torch.set_num_threads(1)
    chosen, text = recipe("tiny"), TextEncoder()
    config = replace(chosen.encoder, steps=options.pairs // BATCH, save_every=options.pairs)
    sprites = SyntheticPairs("train", crowds=CROWDS)
    shares = {"sprites": 0.0, "renders": 1.0}
    for source in options.sources:
        torch.manual_seed(0)
        backbone = fresh_backbone(chosen)
        encoder = backbone.encoder.train()
        predictor = AdaptEditAdapter.for_backbone(
            backbone, chosen.preset, backbone_name="tiny"
        ).mask_predictor
        pairs = MixedPairs(sprites, RenderedPairs(options.renders), shares[source])
        start = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            train_encoder(config, Path(folder), pairs, encoder, predictor)
        row = {
            "trained on": source,
            "pairs": options.pairs,
            "sprites": round(region_iou(encoder.eval(), predictor, SyntheticPairs("phrasings"), text), 4),
            "renders": round(region_iou(encoder, predictor, RenderedPairs(options.held_out), text), 4),
            "seconds": round(time.perf_counter() - start),
        }
        with options.out.open("a") as file:
            print(json.dumps(row), file=file)
        print(row, flush=True)


if __name__ == "__main__":
    main()
