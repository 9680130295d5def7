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


# What all recipes have in common.
START_SEED = 0  # of new weights
IDLE_SHARE = 0.06  # of the samples have nothing to edit; from them an empty region is learnt
CROWDS = 0.5  # see `SyntheticPairs`
RENDERED_SHARE = 0.25  # share of rendered pairs, if there are any
BACKBONE_KINDS = {  # share of each kind of edit; kinds that are learnt slowly come more often
    "add": 0.25,
    "remove": 0.14,
    "replace": 0.25,
    "recolour": 0.06,
    "material": 0.11,
    "text": 0.1,
    "background": 0.04,
    "style": 0.03,
    "global": 0.02,
}
# For the backbone an instruction has one right place. The adapter learns that the region gives the place.
ADAPTER_JITTER = 0.06  # see `SyntheticPairs`
CODE_NOISE = 0.25  # standard deviation; a code's own is 1. So similar codes come to mean similar pictures
TIMESTEP_SHIFT = 6.0  # see `sample_timesteps`
VOTE_WEIGHT = 0.1  # of the votes' error; the pixels' error has weight 1
REGION_WEIGHT = 2.0  # lambda of the Region-Aware Loss; the paper gives no value


def recipe(name: str) -> Recipe:
    """The recipe with this name. Raises AdaptEditError if there is none."""
    if name not in RECIPES:
        raise AdaptEditError(f"unknown training config {name!r}: choose one of {', '.join(RECIPES)}")
    return RECIPES[name]
