"""The region threshold of the `@dev` columns: the best on a finished run over other data."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from adaptedit.errors import AdaptEditError
from adaptedit.evaluation.metrics.region_scores import best_threshold
from adaptedit.pictures.read import read_image
from adaptedit.region import Region


def chosen_on(run: str | Path, scored: str) -> float:
    """`best_threshold` of the regions that an editor found in `run`, one editor's folder.

    scored: the benchmark whose results the threshold is for. AdaptEditError if `run` is of the same pictures,
    is not finished, or holds no found region with an annotated one beside it.
    """
    folder = Path(run)
    if not (folder / "run.json").exists():
        raise AdaptEditError(f"{folder}: holds no run; give one editor's folder, as DEV_OUT/predicted")
    if not (folder / "scores.jsonl").exists():
        raise AdaptEditError(f"{folder}: the run is not finished; run evaluate again to go on")
    benchmark = json.loads((folder / "run.json").read_text("utf-8"))["benchmark"]
    if _pictures(benchmark) == _pictures(scored):
        raise AdaptEditError(f"{folder} is a run of {benchmark}: a threshold must not be chosen on {scored}")
    if not any((folder / "regions").glob("*.png")) or not any((folder / "truths").glob("*.png")):
        raise AdaptEditError(f"{folder}: its editor found no regions, or {benchmark} has no masks")
    return best_threshold(_pairs(folder))


def _pairs(folder: Path) -> Iterator[tuple[Region, Region]]:
    """(found, truth)"""
    for path in sorted((folder / "regions").glob("*.png")):
        truth = folder / "truths" / path.name
        if truth.exists():
            yield Region.from_white_is_edit(read_image(path)), Region.from_white_is_edit(read_image(truth))


def _pictures(benchmark: str) -> str:
    """The benchmark's name without the part that says how its pictures are used."""
    return re.sub(r"-(inde|iter|filtered|en|cn)$", "", benchmark)
