"""What is measured of a result: `METRICS` sample by sample, `SET_METRICS` over all of them at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from PIL import Image

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
from adaptedit.evaluation.sample import Sample
from adaptedit.region import Region


class Metric(Protocol):
    """Made once, called for every sample. Its constructor raises AdaptEditError for what cannot be had."""

    columns: tuple[str, ...]

    def __call__(self, sample: Sample, result: Image.Image, found: Region | None) -> dict[str, float]:
        """result: RGB of any size. found: by the editor; None if it looks for no region.

        Finite numbers, of the columns that apply to the sample only.
        """
        ...


class SetMetric(Protocol):
    """One number for all samples; constructed as a `Metric` is."""

    columns: tuple[str, ...]

    def add(self, sample: Sample, result: Image.Image) -> None: ...

    def value(self) -> dict[str, float]: ...


# Keyword arguments: Clip, PieClip, Dino, Structure: model, device. Lpips: device. RegionScores: threshold.
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
SET_METRICS: dict[str, type[SetMetric]] = {"fid": Fid}  # weights, device

Options = Mapping[str, Mapping[str, Any]]
M = TypeVar("M", Metric, SetMetric)


def available(names: Sequence[str], options: Options | None = None) -> tuple[list[Metric], dict[str, str]]:
    """Those of `METRICS` that can be had, and for the columns of the others: why not.

    options: keyword arguments by name, such as {"clip": {"model": "folder", "device": "cuda"}}.
    Raises AdaptEditError for a name that there is not.
    """
    return _available(METRICS, names, options or {})


def available_sets(
    names: Sequence[str], options: Options | None = None
) -> tuple[list[SetMetric], dict[str, str]]:
    """As `available`, of `SET_METRICS`."""
    return _available(SET_METRICS, names, options or {})


def _available(
    known: Mapping[str, Callable[..., M]], names: Sequence[str], options: Options
) -> tuple[list[M], dict[str, str]]:
    ready: list[M] = []
    reasons: dict[str, str] = {}
    for name in names:
        if name not in known:
            raise AdaptEditError(f"there is no metric {name!r}; choose among {', '.join(known)}")
        try:
            ready.append(known[name](**options.get(name, {})))
        except AdaptEditError as error:
            reasons |= dict.fromkeys(known[name].columns, str(error))  # type: ignore[attr-defined]
    return ready, reasons
