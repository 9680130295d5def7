"""Every size of an adapter, and the rule that derives them from a backbone's."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from math import gcd
from typing import Any

from adaptedit.errors import AdaptEditError

PRESETS = ("paper", "base", "small")


@dataclass(frozen=True)
class AdapterConfig:
    """Sizes of an `AdaptEditAdapter`. Every field is an int except the backbone's class and name.

    backbone: class name of the DiT it is made for; backbone_name: which weights of that class.
    dim, text_dim, num_blocks: D, T and the number of transformer blocks of that DiT.
    feature_dim: width of the states that the MaskPredictor reads: T from a vision-language encoder, else D.
    rank: width inside a block adapter; equal to `dim` means no down-projection.
    block_ffn_ratio: hidden width of its feed-forward over `rank`.
    gate_dim: hidden width of the SpatialGate.
    cond_dim, num_semantic_tokens, resampler_layers: C, K and the depth of the Perceiver resampler.
    spatial_dim: S, width of a spatial token.
    head_dim: width of an attention head in resampler and block adapters; divides `rank` and `cond_dim`.
    predictor_dim: width of the MaskPredictor, a multiple of 64.
    """

    backbone: str
    backbone_name: str
    dim: int
    text_dim: int
    num_blocks: int
    feature_dim: int
    rank: int
    block_ffn_ratio: int
    gate_dim: int
    cond_dim: int
    num_semantic_tokens: int
    resampler_layers: int
    spatial_dim: int
    head_dim: int
    predictor_dim: int

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in ("backbone", "backbone_name"):
                if not isinstance(value, str) or not value:
                    raise AdaptEditError(f"adapter config: {field.name} must be text, got {value!r}")
            elif type(value) is not int or value < 1:
                raise AdaptEditError(f"adapter config: {field.name} must be an integer > 0, got {value!r}")
        if self.rank > self.dim:
            raise AdaptEditError(f"adapter config: rank {self.rank} exceeds the backbone's width {self.dim}")
        for name, divisor in (("rank", self.head_dim), ("cond_dim", self.head_dim), ("predictor_dim", 64)):
            if getattr(self, name) % divisor:
                raise AdaptEditError(f"adapter config: {name} must be a multiple of {divisor}")

    @classmethod
    def preset(
        cls,
        name: str,
        *,
        backbone: str,
        backbone_name: str,
        dim: int,
        text_dim: int,
        num_blocks: int,
        feature_dim: int | None = None,
    ) -> AdapterConfig:
        """Sizes for a backbone of width `dim`, text width `text_dim` and `num_blocks` blocks.

        feature_dim: by default `text_dim`, which is right for a backbone with a vision-language encoder.

        "paper": full width, the layout inferred from the paper's parameter counts (4.67 B + 351 M + 7.8 M on
        Qwen-Image-Edit). "base": at most 1 % of that backbone. "small": at most 0.3 %. (Not in the paper.)

        The rule: the rank is a quarter (small: a twelfth) of the backbone's width, kept within 32..256
        (16..64); gate, semantic tokens and heads follow from the rank. AdaptEditError if `name` is unknown.
        """
        if name == "paper":
            rank = cond_dim = dim
            tokens, layers, head_dim = 64, 3, gcd(dim, 128)
        elif name == "base":
            rank = _clamp(dim // 4, 32, 256)
            cond_dim, tokens, layers, head_dim = 2 * rank, 32, 2, gcd(rank, 32)
        elif name == "small":
            rank = _clamp(dim // 12, 16, 64)
            cond_dim, tokens, layers, head_dim = 2 * rank, 16, 1, gcd(rank, 32)
        else:
            raise AdaptEditError(f"unknown preset {name!r}; choose one of {', '.join(PRESETS)}")
        return cls(
            backbone=backbone,
            backbone_name=backbone_name,
            dim=dim,
            text_dim=text_dim,
            num_blocks=num_blocks,
            feature_dim=text_dim if feature_dim is None else feature_dim,
            rank=rank,
            block_ffn_ratio=2,
            gate_dim=max(16, rank // 4),
            cond_dim=cond_dim,
            num_semantic_tokens=tokens,
            resampler_layers=layers,
            spatial_dim=64,
            head_dim=head_dim,
            predictor_dim=_clamp(dim // 6 // 64 * 64, 128, 256 if name == "small" else 512),
        )

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> AdapterConfig:
        """Inverse of `to_dict`. AdaptEditError on a missing or an unknown entry."""
        expected = {field.name for field in fields(cls)}
        if missing := sorted(expected - values.keys()):
            raise AdaptEditError(f"adapter config lacks {', '.join(missing)}")
        if unknown := sorted(values.keys() - expected):
            raise AdaptEditError(f"adapter config has unknown entries: {', '.join(unknown)}")
        return cls(**values)


def _clamp(value: int, low: int, high: int) -> int:
    return max(low, min(value, high))
