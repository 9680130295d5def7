"""One adapter preset on one published editor, in numbers: from the shipped table, without torch."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from typing import Any

INFERENCE_BYTES = 2  # a parameter in bfloat16
TRAINING_BYTES = 16  # a parameter, its gradient and Adam's two moments, each in float32
SIZE = 1024  # of the picture that the shipped table is for


@dataclass(frozen=True)
class AdapterCost:
    """One preset on one editor: parameters, and FLOPs of one forward for one picture.

    backbone_flops: of the frozen DiT's forward. flops: what an active region adds to it, the condition
    encoder once and every block adapter on the target tokens; the mask predictor runs once per picture,
    not once per step.
    """

    editor: str
    preset: str
    target_tokens: int
    source_tokens: int
    text_tokens: int
    backbone_parameters: int
    block_adapters: int
    condition_encoder: int
    mask_predictor: int
    backbone_flops: int
    flops: int

    @property
    def parameters(self) -> int:
        return self.block_adapters + self.condition_encoder + self.mask_predictor

    @property
    def inference_bytes(self) -> int:
        return INFERENCE_BYTES * self.parameters

    @property
    def training_bytes(self) -> int:
        return TRAINING_BYTES * self.parameters

    def to_dict(self) -> dict[str, Any]:
        """The fields, and what follows from them."""
        return asdict(self) | {
            "parameters": self.parameters,
            "parameter_share": self.parameters / self.backbone_parameters,
            "flops_share": self.flops / self.backbone_flops,
            "inference_bytes": self.inference_bytes,
            "training_bytes": self.training_bytes,
        }


@cache
def table() -> tuple[AdapterCost, ...]:
    """Every preset on every published editor at `SIZE`, from counts.json (see benchmarks/memory/run.py)."""
    text = files("adaptedit.costs").joinpath("counts.json").read_text("utf-8")
    return tuple(AdapterCost(**one) for one in json.loads(text))
