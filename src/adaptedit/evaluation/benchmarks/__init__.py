"""Benchmarks by name: splits and protocols over the readers of `adaptedit.data.readers`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

from adaptedit.errors import AdaptEditError
from adaptedit.evaluation.benchmarks import emu_edit, magicbrush, pairs, sets
from adaptedit.evaluation.benchmarks.base import Benchmark

BENCHMARKS: dict[str, Callable[..., Benchmark]] = {
    "synthetic": pairs.load_synthetic,
    "rendered": pairs.load_rendered,
    "folder": sets.load_folder,
    "magicbrush-dev-inde": partial(magicbrush.load, "dev", "inde"),
    "magicbrush-dev-iter": partial(magicbrush.load, "dev", "iter"),
    "magicbrush-test-inde": partial(magicbrush.load, "test", "inde"),
    "magicbrush-test-iter": partial(magicbrush.load, "test", "iter"),
    "emu-edit-test": partial(emu_edit.load, "test", filtered=False),
    "emu-edit-test-filtered": partial(emu_edit.load, "test", filtered=True),
    "emu-edit-validation": partial(emu_edit.load, "validation", filtered=False),
    "emu-edit-validation-filtered": partial(emu_edit.load, "validation", filtered=True),
    "pie-bench": sets.load_pie_bench,
    "gedit-en": partial(sets.load_gedit, "en"),
    "gedit-cn": partial(sets.load_gedit, "cn"),
    "imgedit": sets.load_imgedit,
}


def options(name: str) -> list[str]:
    """What `benchmark(name, ...)` takes. AdaptEditError for an unknown name."""
    if name not in BENCHMARKS:
        raise AdaptEditError(f"unknown benchmark {name!r}; choose one of {', '.join(BENCHMARKS)}")
    loader = BENCHMARKS[name]
    settled = getattr(loader, "keywords", {})
    return [option for option in inspect.signature(loader).parameters if option not in settled]


def benchmark(name: str, **chosen: Any) -> Benchmark:
    """The benchmark of that name; what it takes (path, token, ...) is said where it is loaded.

    AdaptEditError for an unknown name or option, and whatever is wrong with the data set.
    """
    taken = options(name)
    unknown = [option for option in chosen if option not in taken]
    if unknown:
        raise AdaptEditError(f"{name} takes {', '.join(taken)}, not {', '.join(unknown)}")
    return BENCHMARKS[name](**chosen)
