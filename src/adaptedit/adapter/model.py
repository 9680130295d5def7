"""AdaptEditAdapter: the trainable half of AdaptEdit, attached to a frozen DiT editor."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from math import isfinite
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from adaptedit.adapter.block import BlockAdapter
from adaptedit.adapter.checkpoint import (
    WEIGHTS_FILE,
    fetch_checkpoint,
    load_checkpoint,
    push_checkpoint,
    save_checkpoint,
)
from adaptedit.adapter.condition import Condition, ConditionEncoder, RegionLike, check_region, pool_region
from adaptedit.adapter.config import AdapterConfig
from adaptedit.adapter.gates import GateRecord, recording
from adaptedit.adapter.mask_predictor import MaskPredictor
from adaptedit.backbones.base import PromptStates
from adaptedit.backbones.injection import CallState, Encode, Injection
from adaptedit.backbones.layouts import Layout
from adaptedit.backbones.patterns import class_of, sizes_of, transformer_of
from adaptedit.errors import AdaptEditError, AdaptEditWarning


class AdaptEditAdapter(nn.Module):
    """Condition Encoder, a BlockAdapter x SpatialGate for each block, and MaskPredictor (after the paper).

    Attached, it changes what the backbone computes only inside `region(...)`; a fresh one, `scale = 0`,
    `disabled()`, no active region and `detach()` all give the frozen backbone's output bit for bit.
    """

    def __init__(self, config: AdapterConfig) -> None:
        super().__init__()
        self.config = config
        self.condition = ConditionEncoder(config)
        self.blocks = nn.ModuleList(BlockAdapter(config) for _ in range(config.num_blocks))
        self.mask_predictor = MaskPredictor(config)
        self._injection: Injection | None = None
        self._region: RegionLike | None = None
        self._enabled = True
        self._scale = 1.0

    @classmethod
    def for_backbone(cls, target: Any, preset: str, *, backbone_name: str) -> AdaptEditAdapter:
        """A fresh, unattached adapter with a preset's sizes for a DiT, or for the pipeline that holds one."""
        transformer = transformer_of(target)
        sizes = sizes_of(transformer)
        config = AdapterConfig.preset(
            preset,
            backbone=str(class_of(transformer)),
            backbone_name=backbone_name,
            dim=sizes.dim,
            text_dim=sizes.text_dim,
            num_blocks=sizes.num_blocks,
            feature_dim=sizes.feature_dim,
        )
        return cls(config)

    # -- attaching

    def attach(self, target: Any) -> AdaptEditAdapter:
        """Freeze `target` (a DiT, or anything with a `.transformer`) and put the hooks on it; returns self.

        AdaptEditError if its class or sizes are not those that this adapter was made for, if an adapter or a
        cache is on it already, or if this adapter is attached; a warning if its name is another. It is not
        moved: put it on the backbone's device.
        """
        if self._injection is not None:
            raise AdaptEditError("this adapter is attached already; detach() it first")
        transformer = transformer_of(target)
        self._check_backbone(transformer, getattr(target, "name", None))
        self._injection = Injection(transformer, self.blocks, self._begin_call)
        transformer.requires_grad_(False)
        return self

    def detach(self) -> None:
        """Take the hooks off; the backbone stays frozen. Without effect when not attached."""
        if self._injection is not None:
            self._injection.remove()
            self._injection = None

    @property
    def attached(self) -> bool:
        return self._injection is not None

    def is_attached_to(self, target: Any) -> bool:
        """Whether its hooks are on this DiT, or on the DiT of this pipeline or backbone."""
        return self._injection is not None and self._injection.backbone is transformer_of(target)

    def enable_gradient_checkpointing(self) -> None:
        """Recompute every block (and its adapter) in the backward pass; the gradients have the same bits."""
        if self._injection is None:
            raise AdaptEditError("attach() the adapter before enabling gradient checkpointing")
        self._injection.enable_gradient_checkpointing()

    # -- what the next backbone calls see

    @property
    def scale(self) -> float:
        """Strength of the injected signal, 1 as trained; 0 leaves the backbone untouched."""
        return self._scale

    @scale.setter
    def scale(self, value: float) -> None:
        if not isfinite(value):
            raise AdaptEditError(f"adapter scale must be a finite number, got {value}")
        self._scale = float(value)

    @contextmanager
    def disabled(self) -> Iterator[None]:
        """Inside, the adapter is off, whatever region is active."""
        enabled, self._enabled = self._enabled, False
        try:
            yield
        finally:
            self._enabled = enabled

    @contextmanager
    def region(self, region: RegionLike) -> Iterator[None]:
        """Make `region` the place to edit: a Region, one per sample, or (B, H, W) in [0, 1], 1 = edit.

        Any resolution: it is area-pooled to 4x4 cells per token. One region serves a whole batch.
        AdaptEditError for anything else, and when the adapter is not attached.
        """
        check_region(region)
        if self._injection is None:
            raise AdaptEditError("the region would be ignored: attach() the adapter first")
        outer, self._region = self._region, region
        try:
            yield
        finally:
            self._region = outer

    @contextmanager
    def record_gates(self) -> Iterator[GateRecord]:
        """Collect the gates of every adapted backbone call made inside."""
        with recording(self.blocks, self._call_state) as record:
            yield record

    # -- where to edit

    def predict_region_logits(self, states: PromptStates, guide: Tensor) -> Tensor:
        """Logits of the edit region (B, H, W) for training; the loss reaches the predictor only.

        guide: (B, 3, H, W) in [0, 1], the source picture that `states` describe. AdaptEditError if the states
        are not `feature_dim` wide.
        """
        width = states.hidden_states.shape[-1]
        if width != self.config.feature_dim:
            raise AdaptEditError(
                f"the adapter finds regions in states {self.config.feature_dim} wide, not {width}; "
                f"use an adapter made for this backbone"
            )
        return self.mask_predictor(  # type: ignore[no-any-return]
            states.hidden_states.detach(), states.attention_mask, states.num_image_tokens, guide
        )

    @torch.no_grad()
    def predict_region(self, states: PromptStates, guide: Tensor) -> Tensor:
        """Probability that a pixel is to be edited, (B, H, W) float32."""
        return self.predict_region_logits(states, guide).sigmoid()

    # -- files

    def save_pretrained(self, directory: str | Path, dtype: torch.dtype | None = None) -> None:
        """Write model.safetensors and config.json, each whole or not at all, and README.md, a model card, if
        there is none. dtype: cast the weights."""
        save_checkpoint(Path(directory), self.state_dict(), self.config, dtype)

    def push_to_hub(
        self,
        repo_id: str,
        *,
        dtype: torch.dtype | None = None,
        private: bool | None = None,
        token: str | None = None,
        commit_message: str = "Upload an AdaptEdit adapter",
    ) -> str:
        """Upload what `save_pretrained` writes, to a new or an existing repository; returns its address.

        AdaptEditError, one line, for what the hub refuses.
        """
        return push_checkpoint(
            self.save_pretrained, repo_id, dtype=dtype, private=private, token=token, message=commit_message
        )

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path,
        *,
        revision: str | None = None,
        subfolder: str | None = None,
        token: str | None = None,
    ) -> AdaptEditAdapter:
        """Read a saved adapter onto the CPU, in its saved dtype.

        name: a folder or a hub id; subfolder: where in it; revision, token: for the hub. AdaptEditError if
        there is none such, it cannot be fetched, or a file is wrong.
        """
        directory = fetch_checkpoint(name, revision=revision, subfolder=subfolder, token=token)
        config, weights = load_checkpoint(directory)
        with torch.device("meta"):
            adapter = cls(config)
        expected = adapter.state_dict()
        if wrong := sorted(expected.keys() ^ weights.keys()):
            kind = "lacks" if wrong[0] in expected else "has an unknown"
            raise AdaptEditError(f"{directory}: {WEIGHTS_FILE} {kind} {wrong[0]} ({len(wrong)} names differ)")
        for name, weight in weights.items():
            if weight.shape != expected[name].shape:
                shapes = f"{tuple(weight.shape)}, config.json says {tuple(expected[name].shape)}"
                raise AdaptEditError(f"{directory}: {name} has shape {shapes}")
        adapter.load_state_dict(weights, assign=True)
        return adapter

    # -- inside

    def _call_state(self) -> CallState | None:
        return None if self._injection is None else self._injection.state

    def _begin_call(self) -> tuple[Encode, float] | None:
        if self._region is None or not self._enabled or self._scale == 0:
            return None
        return self._encode, self._scale

    def _encode(self, layout: Layout, text: Tensor, text_mask: Tensor | None) -> Condition:
        assert self._region is not None
        mask = pool_region(self._region, layout.grid, batch=len(text))
        return self.condition(text, text_mask, mask)  # type: ignore[no-any-return]

    def _check_backbone(self, transformer: nn.Module, name: object) -> None:
        """By class and sizes: a fine-tune, a quantised copy or a folder has another name and fits."""
        config, sizes = self.config, sizes_of(transformer)
        made_for = f"{config.backbone} {config.backbone_name!r}"
        known_as = f" {name!r}" if isinstance(name, str) else ""
        if class_of(transformer) != config.backbone:
            raise AdaptEditError(
                f"the adapter was made for {made_for}, not for {type(transformer).__name__}{known_as}"
            )
        wanted = (config.dim, config.text_dim, config.num_blocks)
        found = (sizes.dim, sizes.text_dim, sizes.num_blocks)
        if wanted != found:
            raise AdaptEditError(
                f"the adapter was made for {made_for} (width, text width, blocks = {wanted}), "
                f"not for this {type(transformer).__name__}{known_as} ({found})"
            )
        if isinstance(name, str) and name != config.backbone_name:
            warnings.warn(
                f"the adapter was made for {config.backbone_name!r} and is used on {name!r}; its sizes fit, "
                "but if the weights differ much, expect worse edits",
                AdaptEditWarning,
                stacklevel=3,
            )
