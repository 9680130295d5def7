"""The settings of a training run, by name: `tiny` is what ships; `debug` takes seconds and is for tests.

The shipped weights come from several runs, each of which started from the weights of the one before (LOG.md).
These are the settings of the last run.
"""

from __future__ import annotations

from dataclasses import dataclass

from adaptedit.errors import AdaptEditError
from adaptedit.tiny.encoder import EncoderConfig
from adaptedit.training.trainer import TrainConfig


@dataclass(frozen=True)
class Recipe:
    """The settings of all stages. `width` and `layers` belong to the DiT, `preset` to the adapter."""

    encoder_model: EncoderConfig
    width: int
    layers: int
    preset: str
    encoder: TrainConfig
    objects: TrainConfig
    backbone: TrainConfig
    adapter: TrainConfig


_DEBUG = TrainConfig(
    steps=10, batch=2, lr=1e-3, warmup=2, log_every=1, save_every=5, bf16=False, compile=False
)

RECIPES: dict[str, Recipe] = {
    "tiny": Recipe(
        encoder_model=EncoderConfig(),
        width=192,
        layers=6,
        preset="paper",
        encoder=TrainConfig(steps=1500, batch=32, lr=2e-3, decay=0.8, ema=0.99, save_every=100, seed=91),
        objects=TrainConfig(
            steps=3000, batch=64, lr=1e-2, warmup=20, decay=0.8, ema=0.99, save_every=250, seed=3
        ),
        backbone=TrainConfig(
            steps=1900, batch=32, lr=2e-3, warmup=40, decay=0.9, ema=0.99, save_every=100, seed=101
        ),
        adapter=TrainConfig(
            steps=500, batch=32, lr=3e-3, warmup=30, decay=0.8, ema=0.98, save_every=40, seed=5
        ),
    ),
    "debug": Recipe(
        encoder_model=EncoderConfig(width=32, layers=1, heads=1),
        width=64,
        layers=2,
        preset="small",
        encoder=_DEBUG,
        objects=_DEBUG,
        backbone=_DEBUG,
        adapter=_DEBUG,
    ),
}


def recipe(name: str) -> Recipe:
    """The recipe with this name. Raises AdaptEditError if there is none."""
    if name not in RECIPES:
        raise AdaptEditError(f"unknown training config {name!r}: choose one of {', '.join(RECIPES)}")
    return RECIPES[name]
