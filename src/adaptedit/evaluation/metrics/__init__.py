"""The metrics of results: `METRICS` sample by sample, `SET_METRICS` over all of them at once."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from PIL import Image

from adaptedit.data.sample import EditSample
from adaptedit.errors import AdaptEditError
from adaptedit.evaluation.metrics.clip import Clip, PieClip
from adaptedit.evaluation.metrics.dino import Dino
from adaptedit.evaluation.metrics.fid import Fid
from adaptedit.evaluation.metrics.fidelity import Fidelity
from adaptedit.evaluation.metrics.local import Local
from adaptedit.evaluation.metrics.lpips import Lpips
from adaptedit.evaluation.metrics.pixels import Pixels
from adaptedit.evaluation.metrics.region_scores import RegionScores
from adaptedit.evaluation.metrics.shift import Shift
from adaptedit.evaluation.metrics.structure import Structure
from adaptedit.region import Region


class Metric(Protocol):
    """Made once, called for every sample. Its constructor raises AdaptEditError if it is not available."""

    columns: tuple[str, ...]

    def __call__(self, sample: EditSample, result: Image.Image, found: Region | None) -> dict[str, float]:
        """result: RGB of any size. found: by the editor; None if it looks for no region.

        Finite numbers, of the columns that apply to the sample only.
        """
        ...


class SetMetric(Protocol):
    """Numbers for all samples at once; constructed as a `Metric` is."""

    columns: tuple[str, ...]

    def __call__(self, pairs: Iterable[tuple[EditSample, Image.Image]]) -> dict[str, float]:
        """pairs: samples and results. Finite numbers, of the columns that apply."""
        ...


# Keyword arguments, beside the device of those that compute on one:
# Clip, PieClip, Dino, Structure: model. RegionScores: threshold. Fid: weights.
METRICS: dict[str, type[Metric]] = {
    "pixels": Pixels,
    "local": Local,
    "clip": Clip,
    "pie-clip": PieClip,
    "dino": Dino,
    "fidelity": Fidelity,
    "lpips": Lpips,
    "structure": Structure,
    "shift": Shift,
    "region": RegionScores,
}
SET_METRICS: dict[str, type[SetMetric]] = {"fid": Fid}
ALL = (*METRICS, *SET_METRICS)


@dataclass(frozen=True)
class Scoring:
    """What results are scored with. unavailable: the columns that are not available, with the reason.

    options: what the metrics were made with, by name; other options give other numbers.
    """

    metrics: list[Metric] = field(default_factory=list)
    set_metrics: list[SetMetric] = field(default_factory=list)
    unavailable: dict[str, str] = field(default_factory=dict)
    options: dict[str, dict[str, Any]] = field(default_factory=dict)


def scoring(
    names: Sequence[str] = ALL,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    device: str = "cpu",
) -> Scoring:
    """Those of `METRICS` and `SET_METRICS` that are available, and why the others are not.

    options: keyword arguments by name, such as {"clip": {"model": "folder"}}.
    Raises AdaptEditError for an unknown name.
    """
    known: dict[str, type[Metric] | type[SetMetric]] = {**METRICS, **SET_METRICS}
    if unknown := [name for name in (*names, *(options or {})) if name not in known]:
        raise AdaptEditError(f"there is no metric {unknown[0]!r}; choose among {', '.join(known)}")
    made = Scoring(options={name: dict(chosen) for name, chosen in (options or {}).items()})
    for name in names:
        arguments = dict(made.options.get(name, {}))
        if "device" in inspect.signature(known[name]).parameters:
            arguments["device"] = device
        try:
            if name in METRICS:
                made.metrics.append(METRICS[name](**arguments))
            else:
                made.set_metrics.append(SET_METRICS[name](**arguments))
        except AdaptEditError as error:
            made.unavailable.update(dict.fromkeys(known[name].columns, str(error)))
    return made
