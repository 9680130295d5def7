"""Where the target tokens lie in a root forward's image stream: one function for each kind of arguments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from adaptedit.errors import AdaptEditError

Arguments: TypeAlias = Mapping[str, Any]  # of one root forward, bound to their names
Text: TypeAlias = "tuple[Tensor, Tensor | None]"  # states (B, M, T), their mask (B, M)


@dataclass(frozen=True)
class Layout:
    """The target tokens in the image stream: `length` tokens from `start`, row by row on a `grid` (h, w).

    source: the first input picture's tokens, None where the stream holds none.
    num_text: text tokens in a stream of text and image tokens (see `Stream.text_first`).
    """

    start: int
    length: int
    grid: tuple[int, int]
    source: slice | None = None
    num_text: int = 0


def target_shape_first(model: Any, arguments: Arguments) -> Layout:
    """Qwen-Image and JoyImage-Edit-Plus: [target, source, ...], as (frames, h, w) in one list per sample."""
    target, *sources = _shapes(arguments)
    h, w = _picture(target)
    source = slice(h * w, h * w + prod(sources[0])) if sources else None
    return Layout(0, h * w, (h, w), source)


def target_shape_last(model: Any, arguments: Arguments) -> Layout:
    """Qwen-Image 2.1: text and sources interleaved, the target last; alone once the prefix is cached."""
    *sources, target = _shapes(arguments)
    h, w = _picture(target)
    if arguments.get("kv_cache_mode") == "cached":
        return Layout(0, h * w, (h, w))
    slots = arguments["img_mask"][0]
    num_text = int((~slots).sum())
    source = None
    if sources:
        first = int(slots.nonzero()[0])
        source = slice(first, first + prod(sources[0]))
    return Layout(num_text + sum(prod(one) for one in sources), h * w, (h, w), source)


def by_ids(model: Any, arguments: Arguments) -> Layout:
    """FLUX and its relatives: column 0 of img_ids tells the pictures apart; the target's is the smallest."""
    ids = arguments["img_ids"]
    ids = (ids[0] if ids.ndim == 3 else ids).long()
    picture, row = ids[:, 0].tolist(), ids[:, 1].tolist()
    kinds = sorted(set(picture))
    start, length = picture.index(kinds[0]), picture.count(kinds[0])
    rows = row[start : start + length]
    h = max(rows) - min(rows) + 1
    source = None
    if len(kinds) > 1:
        first = picture.index(kinds[1])
        source = slice(first, first + picture.count(kinds[1]))
    num_text = arguments["encoder_hidden_states"].shape[1]
    return Layout(start, length, (h, length // h), source, num_text)


def whole_latents(model: Any, arguments: Arguments) -> Layout:
    """SD3 and HiDream: latents (B, C, H, W), the source, if any, in the channels."""
    h, w = (side // model.config.patch_size for side in arguments["hidden_states"].shape[-2:])
    return Layout(0, h * w, (h, w))


def target_moved_first(model: Any, arguments: Arguments) -> Layout:
    """JoyImage-Edit: (B, pictures, C, F, H, W), the target last; the forward moves it first."""
    latents = arguments["hidden_states"]
    _, patch_h, patch_w = model.config.patch_size
    h, w = latents.shape[-2] // patch_h, latents.shape[-1] // patch_w
    return Layout(
        0, h * w, (h, w), slice(h * w, 2 * h * w) if latents.ndim == 6 and latents.shape[1] > 1 else None
    )


def listed_latents(model: Any, arguments: Arguments) -> Layout:
    """Z-Image, basic mode: a list of latents (C, F, H, W); each sample's padded picture before its text."""
    latents = arguments["x"]
    if not isinstance(latents[0], Tensor):
        raise AdaptEditError(
            "Z-Image's omni mode (nested lists of pictures) is not supported; use its basic mode"
        )
    if len({one.shape for one in latents}) > 1:
        raise AdaptEditError("targets of several sizes in a batch; use one batch per size")
    patch = arguments.get("patch_size", 2)
    h, w = (side // patch for side in latents[0].shape[-2:])
    return Layout(0, h * w, (h, w))


def encoder_hidden_states(arguments: Arguments) -> Text:
    return arguments["encoder_hidden_states"], arguments.get("encoder_hidden_states_mask")


def t5_states(arguments: Arguments) -> Text:
    return arguments["encoder_hidden_states_t5"], None


def listed_captions(arguments: Arguments) -> Text:
    captions = list(arguments["cap_feats"])
    mask = pad_sequence([one.new_ones(len(one), dtype=torch.bool) for one in captions], batch_first=True)
    return pad_sequence(captions, batch_first=True), mask


def _shapes(arguments: Arguments) -> list[tuple[int, int, int]]:
    """One sample's (frames, h, w), the same for all samples."""
    shapes = arguments.get("img_shapes") or arguments.get("shape_list")
    if not shapes:
        raise AdaptEditError("the backbone was called without img_shapes; an active region needs them")
    samples = {
        tuple(map(tuple, sample)) if isinstance(sample, list) else (tuple(sample),) for sample in shapes
    }
    if len(samples) > 1:
        raise AdaptEditError(
            f"pictures of several sizes in a batch: {sorted(samples)}; use one batch per size"
        )
    return list(samples.pop())


def _picture(shape: tuple[int, int, int]) -> tuple[int, int]:
    frames, h, w = shape
    if frames != 1:
        raise AdaptEditError(f"the target has {frames} frames; only single pictures can be edited")
    return h, w
