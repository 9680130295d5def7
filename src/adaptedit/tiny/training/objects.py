"""Stage 2: train the object decoder on single objects, together with a code for each thing.

In stage 3 the DiT learns to predict these codes.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save
from torch import Tensor, nn

from adaptedit.data.sprites.looks import LOOKS
from adaptedit.data.sprites.things import Thing, Things
from adaptedit.errors import AdaptEditError
from adaptedit.files import write_atomically
from adaptedit.tiny.objects import ObjectDecoder, Objects
from adaptedit.tiny.training.configs import CODE_NOISE
from adaptedit.training.losses import mean_error
from adaptedit.training.trainer import TrainConfig, Trainer


class Codes(nn.Module):
    """A code for every thing: each of `names` names in each of the looks."""

    def __init__(self, names: int, channels: int) -> None:
        super().__init__()
        self.names = nn.Embedding(names, channels)
        self.looks = nn.Embedding(len(LOOKS), channels)

    def forward(self, things: Tensor) -> Tensor:
        """things (..., 2) int64, as in `CellLabels` -> codes (..., C) with mean 0 and mean square 1."""
        code = self.names(things[..., 0]) + self.looks(things[..., 1])
        return F.layer_norm(code, code.shape[-1:])


def save_codes(codes: Codes, folder: Path) -> None:
    """Write codes.safetensors, in half precision."""
    tensors = {key: value.half() for key, value in codes.state_dict().items()}
    write_atomically(folder / "codes.safetensors", save(tensors))


def load_codes(folder: Path, names: int) -> Codes:
    """Load codes for `names` names, in float32.

    Raises AdaptEditError if the folder has none, or codes for another number of names.
    """
    if not (file := folder / "codes.safetensors").exists():
        raise AdaptEditError(f"no {file.name} in {folder}: train the objects first")
    tensors = {key: value.float() for key, value in load_file(file).items()}
    if len(tensors["names.weight"]) != names:
        raise AdaptEditError(f"{file} names {len(tensors['names.weight'])} things instead of {names}")
    codes = Codes(*tensors["names.weight"].shape)
    codes.load_state_dict(tensors)
    return codes


def add_code_noise(code: Tensor, generator: torch.Generator) -> Tensor:
    return code + CODE_NOISE * torch.randn(code.shape, generator=generator)


def train_objects(
    config: TrainConfig, folder: Path, things: Things, objects: ObjectDecoder, codes: Codes
) -> Trainer:
    """Train both for all of the config's steps. They then have the averaged weights."""
    dictionary = nn.ModuleDict({"objects": objects, "codes": codes}).requires_grad_(True).train()

    def loss(step: int) -> tuple[Tensor, dict[str, float]]:
        rng = np.random.default_rng([config.seed, step, trainer.rank])
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        samples = [things.draw(rng) for _ in range(config.batch)]
        source, target = (_pictures(samples, which) for which in ("source", "target"))
        labels = torch.tensor([[thing.name, thing.look] for thing in samples])
        frame = torch.from_numpy(np.stack([thing.frame for thing in samples]))
        code = add_code_noise(codes(labels), generator)
        one_each = Objects(torch.arange(config.batch), frame, code)
        result, _ = objects(one_each, source, source, torch.zeros_like(source[:, :1]))
        error, error_of_source = (
            mean_error((x - target).flatten(2).transpose(1, 2)) for x in (result, source)
        )
        return error, {"relative": (error / error_of_source).item()}

    trainer = Trainer(dictionary, loss, config, folder)
    trainer.run()
    trainer.use_ema()
    return trainer


def _pictures(things: list[Thing], which: str) -> Tensor:
    """(B, 3, H, W) in [0, 1]: each thing's "source" or "target"."""
    stacked = torch.from_numpy(np.stack([getattr(thing, which) for thing in things]))
    return stacked.permute(0, 3, 1, 2).float() / 255
