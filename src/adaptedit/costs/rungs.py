"""Which way to save memory lets an editor run on what a machine has free.

The table (rungs.json) is written by `benchmarks/memory/run.py` from `costs/memory.py`: computed, unmeasured.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any

from adaptedit.costs.editors import PUBLISHED
from adaptedit.errors import AdaptEditError

# What decides a DiT's size; the rest of its config does not.
_SIZES = (
    "num_layers",
    "num_single_layers",
    "num_attention_heads",
    "attention_head_dim",
    "joint_attention_dim",
    "in_channels",
)


@dataclass(frozen=True)
class Rung:
    """quantize, offload: as in `LoadOptions`. gpu, host: GiB that it needs free, reserves included."""

    name: str
    quantize: str | None
    offload: str | None
    gpu: float
    host: float


@cache
def table() -> dict[str, tuple[Rung, ...]]:
    """The rungs of every published editor that edits, the fastest first."""
    text = files("adaptedit.costs").joinpath("rungs.json").read_text("utf-8")
    return {name: tuple(Rung(**one) for one in rungs) for name, rungs in json.loads(text).items()}


def row_of(name: str, transformer: str, config: Mapping[str, Any]) -> str | None:
    """The editor of the table that this is, by its hub id, else by the class and the sizes of its DiT."""
    if name in table():
        return name
    for row in table():
        published = PUBLISHED[row]
        if published.transformer == transformer:
            ours, theirs = _sizes(transformer, published.config), _sizes(transformer, config)
            if ours == theirs:
                return row
    return None


def choose(row: str, gpu: float, host: float, quantize: str | None = None) -> Rung:
    """The first rung that fits into so many free GiB. AdaptEditError with the nearest if none does.

    quantize: only rungs with weights kept so. Those on the GPU as a whole are taken where bf16 would fit.
    """
    rungs = table()[row] if quantize is None else _quantised(row, quantize)
    for rung in rungs:
        if rung.gpu <= gpu and rung.host <= host:
            return rung
    nearest = min(rungs, key=lambda rung: max(rung.gpu - gpu, 0) + max(rung.host - host, 0))
    raise AdaptEditError(
        f"{row} does not fit: the nearest way, {nearest.name}, needs {nearest.gpu:.1f} GiB on the GPU "
        f"({gpu:.1f} are free) and {nearest.host:.1f} GiB in main memory ({host:.1f} are free); free some, "
        f"take a smaller editor, or insist with {'--quantize or ' if quantize is None else ''}--offload"
    )


def _quantised(row: str, quantize: str) -> tuple[Rung, ...]:
    """int8 needs no more than fp8, which leaves the text encoders in bf16; nf4 loads straight to the GPU."""
    name = f"{quantize} weights"
    kept = "fp8" if quantize == "int8" else quantize
    waiting = next(rung for rung in table()[row] if rung.quantize == kept)
    whole = next(rung for rung in table()[row] if rung.offload is None)
    return (
        replace(whole, name=name, quantize=quantize, host=whole.host if kept == "nf4" else waiting.host),
        replace(waiting, name=f"{name}, {waiting.offload} offload", quantize=quantize),
    )


def next_option(quantize: str | None, offload: str | None) -> str | None:
    """What takes less GPU memory than this, as command-line options; None: nothing does."""
    if offload is None:
        return f"--quantize {quantize} --offload model" if quantize else "--offload model"
    if offload == "model" and quantize is None:
        return "--quantize fp8 --offload model"
    if offload == "model" and quantize in ("fp8", "int8"):
        return "--quantize nf4 --offload model"
    return {"model": "--offload group", "group": "--offload sequential"}.get(offload)


def _sizes(transformer: str, config: Mapping[str, Any]) -> tuple[Any, ...]:
    import diffusers

    defaults = inspect.signature(getattr(diffusers, transformer).__init__).parameters
    return tuple(config.get(size, defaults[size].default if size in defaults else None) for size in _SIZES)
