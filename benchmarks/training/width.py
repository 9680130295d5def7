"""Quality against the DiT's width at an equal number of pairs: a fresh DiT, one core, the encoder and the
object decoder of finished weights.

python benchmarks/training/width.py benchmarks/training/width.jsonl 64 128 192

In each tenth of the training: `relative`, the error left, relative to that of doing nothing; `placing`, the
error of objects' frames; `naming`, that of their codes, whose own is 1.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from adaptedit.data.sprites.synthetic import SyntheticPairs
from adaptedit.tiny.backbone import WEIGHTS, load_encoder, load_objects
from adaptedit.tiny.training.backbone import train_backbone
from adaptedit.tiny.training.configs import BACKBONE_KINDS, CROWDS, recipe
from adaptedit.tiny.training.objects import load_codes
from adaptedit.tiny.training.run import fresh_backbone


def main(out: Path, widths: list[int], pairs: int, weights: Path) -> None:
    torch.set_num_threads(1)
    for width in widths:
        torch.manual_seed(0)
        chosen = replace(recipe("tiny"), width=width)
        steps = pairs // chosen.backbone.batch
        config = replace(chosen.backbone, steps=steps, warmup=20, save_every=steps, bf16=False)
        backbone = fresh_backbone(chosen)
        backbone.encoder = load_encoder(weights)
        synthetic = SyntheticPairs("train", crowds=CROWDS, kinds=BACKBONE_KINDS)
        backbone.objects = load_objects(weights)
        codes = load_codes(weights, len(synthetic.labels))
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            train_backbone(config, Path(folder), synthetic, backbone, codes)
            seconds = time.perf_counter() - start
            log = [json.loads(line) for line in (Path(folder) / "log.jsonl").read_text().splitlines()]
        tenths = [[x for x in log if i < 10 * x["samples"] / pairs <= i + 1] for i in range(10)]
        parameters = sum(p.numel() for p in backbone.transformer.parameters())
        row: dict[str, Any] = {
            "width": width,
            "parameters": parameters,
            "pairs": pairs,
            "seconds": round(seconds),
        }
        for name in ("relative", "placing", "naming"):
            row[name] = [round(sum(x[name] for x in tenth) / len(tenth), 4) for tenth in tenths]
        with out.open("a") as file:
            print(json.dumps(row), file=file)
        print(row, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("widths", type=int, nargs="+")
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    parser.add_argument("--pairs", type=int, default=12800)
    options = parser.parse_args()
    main(options.out, options.widths, options.pairs, options.weights)
