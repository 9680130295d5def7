"""The pictures of a page: small, each only once, as data URIs, and no more of them than a page can hold."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np
from PIL import Image

from adaptedit.evaluation.report.columns import better
from adaptedit.evaluation.report.summary import Summary
from adaptedit.pictures.read import read_image
from adaptedit.region import TINT

LONGEST = 224  # pixels
QUALITY = 75  # of WebP
GOLDEN = 0.6180339887

Shown = dict[str, int]  # which picture of an editor -> its index in the album


class Album:
    """uris: data URIs of WebP pictures. size: their characters together."""

    def __init__(self) -> None:
        self.uris: list[str] = []
        self.size = 0
        self._seen: dict[str, int] = {}

    def add(self, image: Image.Image, *, lossless: bool = False) -> int:
        """Its index; the same as before for the same picture."""
        small = image.copy()
        small.thumbnail((LONGEST, LONGEST))
        buffer = io.BytesIO()
        small.save(buffer, "WEBP", quality=QUALITY, lossless=lossless)
        uri = f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"
        if uri not in self._seen:
            self._seen[uri] = len(self.uris)
            self.uris.append(uri)
            self.size += len(uri)
        return self._seen[uri]

    def sample(self, folder: Path, one: str) -> Shown:
        """What an editor's folder has of a sample: source, target, result, truth, region, gate."""
        shown: Shown = {}
        for kind, path in (
            ("source", folder / "sources" / f"{one}.jpg"),
            ("target", folder / "targets" / f"{one}.jpg"),
            ("result", folder / "pictures" / f"{one}.png"),
        ):
            if path.exists():
                shown[kind] = self.add(read_image(path).convert("RGB"))
        for kind, path in (
            ("truth", folder / "truths" / f"{one}.png"),
            ("region", folder / "regions" / f"{one}.png"),
        ):
            if path.exists():
                shown[kind] = self.add(_tint(read_image(path)), lossless=True)
        if (path := folder / "gates" / f"{one}.png").exists():
            shown["gate"] = self.add(read_image(path).convert("RGB"), lossless=True)
        return shown


def worth_showing(summary: Summary, ids: list[str]) -> Iterator[str]:
    """All ids, in turn a worst one, a best one and one of an even spread, each once.

    Worst and best by the first headline column (else the first of all), averaged over the editors other than
    the baseline.
    """
    spread = sorted(range(len(ids)), key=lambda i: (i + 1) * GOLDEN % 1)
    order: list[str] = []
    if ranking := summary.headline or summary.columns:
        values: dict[str, list[float]] = {one: [] for one in ids}
        others = [e for e in summary.editors if e.run.name != summary.baseline] or summary.editors
        for editor in others:
            for one, row in editor.run.scores.items():
                if row.get(ranking[0]) is not None:
                    values[one].append(row[ranking[0]])
        sign = better(ranking[0]) or 1
        found = [one for one in ids if values[one]]
        order = sorted(found, key=lambda one: sign * float(np.mean(values[one])))
    turns = zip(order, reversed(order), (ids[i] for i in spread), strict=False)
    yield from dict.fromkeys(chain(chain.from_iterable(turns), (ids[i] for i in spread)))


def _tint(region: Image.Image) -> Image.Image:
    """RGBA, to be laid over the source: the tint, half opaque where the region is."""
    alpha = region.convert("L").point(lambda value: value // 2)
    tinted = Image.new("RGBA", region.size, (*TINT, 0))
    tinted.putalpha(alpha)
    return tinted
