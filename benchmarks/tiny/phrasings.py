"""Success by held-out phrasing, out of the scores of `predicted` that are kept here.

python benchmarks/tiny/phrasings.py
"""

from __future__ import annotations

import gzip
import json
import re
from collections import defaultdict
from pathlib import Path

from adaptedit.data.sprites.phrases import HELD_OUT

SCORES = Path(__file__).with_name("predicted.jsonl.gz")


def fits(template: str, instruction: str) -> bool:
    words = (part.strip(" ,") for part in re.split(r"{\w}", template))
    return all(part in instruction for part in words)


def main() -> None:
    scores = defaultdict(list)
    for line in gzip.decompress(SCORES.read_bytes()).splitlines():
        row = json.loads(line)
        kind = row["category"]
        if kind in ("add", "remove", "replace", "recolour"):
            template = next(t for t in HELD_OUT[kind] if fits(t, row["instruction"]))
            scores[kind, template].append((row["success"], row["IoU"]))
    print("| kind | phrasing | pairs | region IoU | success |\n| --- | --- | ---: | ---: | ---: |")
    for (kind, template), found in sorted(scores.items()):
        success, iou = (sum(column) / len(found) for column in zip(*found, strict=True))
        print(f"| {kind} | {template} | {len(found)} | {iou:.3f} | {success:.1%} |")


if __name__ == "__main__":
    main()
