"""What an adapter costs on a published editor, computed from the configs alone: no weights, no memory.

The real classes are built on `meta`, where a forward computes shapes; FLOPs are those of its matrix products,
attention and convolutions (two for each multiply-add), as torch counts them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from adaptedit.adapter.condition import CELLS
from adaptedit.adapter.model import AdaptEditAdapter
from adaptedit.backbones.patterns import spec_of
from adaptedit.costs.counts import AdapterCost
from adaptedit.costs.editors import EditShape, Published
from adaptedit.costs.inputs import edit_arguments


def adapter_costs(name: str, editor: Published, presets: tuple[str, ...], size: int) -> list[AdapterCost]:
    """One cost per preset, for a square picture `size` pixels wide. AdaptEditError for an impossible size."""
    shape = editor.shape(size)
    backbone = editor.build()
    arguments = edit_arguments(backbone, shape)
    text = spec_of(backbone).text(arguments)[0]
    frozen = forward_flops(backbone, arguments)
    costs = []
    for preset in presets:
        with torch.device("meta"):
            adapter = AdaptEditAdapter.for_backbone(backbone, preset, backbone_name=name)
        costs.append(
            AdapterCost(
                editor=name,
                preset=preset,
                target_tokens=shape.target,
                source_tokens=shape.sources * shape.target,
                text_tokens=shape.text,
                backbone_parameters=count(backbone),
                block_adapters=count(adapter.blocks),
                condition_encoder=count(adapter.condition),
                mask_predictor=count(adapter.mask_predictor),
                backbone_flops=frozen,
                flops=adapter_flops(adapter, text, shape),
            )
        )
    return costs


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def adapter_flops(adapter: AdaptEditAdapter, text: Tensor, shape: EditShape) -> int:
    """FLOPs of the condition encoder on text states (1, M, T) and of all block adapters on the target.

    `adapter` lies on `meta` and is frozen afterwards: the counter fails on a view of what gets a gradient.
    """
    cells = CELLS * shape.side
    hidden_states = torch.empty(1, shape.target, adapter.config.dim, device="meta")
    adapter.requires_grad_(False)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        condition = adapter.condition(text, None, torch.empty(1, cells, cells, device="meta"))
        once: int = counter.get_total_flops()
        adapter.blocks[0](hidden_states, condition)
        a_block: int = counter.get_total_flops() - once
    return once + len(adapter.blocks) * a_block


def forward_flops(model: nn.Module, arguments: Mapping[str, Any]) -> int:
    """FLOPs of one forward on `meta`. `model` is spent afterwards: its blocks no longer compute.

    Blocks of one stream whose parameters have the same shapes cost the same: one of them runs, the others
    answer with its output.
    """
    _without_values(model)
    repeated = 0

    def once(forward: Callable[..., Any], kind: object, done: dict[object, tuple[Any, int]]) -> Any:
        def run(*args: Any, **kwargs: Any) -> Any:
            nonlocal repeated
            if kind in done:
                repeated += done[kind][1]
            else:
                before = counter.get_total_flops()
                output = forward(*args, **kwargs)
                done[kind] = output, counter.get_total_flops() - before
            return done[kind][0]

        return run

    for stream in spec_of(model).streams:
        done: dict[object, tuple[Any, int]] = {}
        for block in model.get_submodule(stream.blocks).children():
            kind = tuple(parameter.shape for parameter in block.parameters())
            block.forward = once(block.forward, kind, done)
    with torch.no_grad(), _MasksJoinMeta(), FlopCounterMode(display=False) as counter:
        model(**arguments)
    run_once: int = counter.get_total_flops()
    return run_once + repeated


def _without_values(model: nn.Module) -> None:
    """HiDream routes tokens to experts and cuts pictures by values, which `meta` lacks: every token goes to
    as many experts, all of one size, and the output stays patches."""
    for part in model.modules():
        if hasattr(part, "moe_infer"):
            expert, copies = part.experts[0], part.num_activated_experts  # type: ignore[index]

            def routed(x: Tensor, *_: Tensor, expert: Any = expert, copies: Any = copies) -> Tensor:
                return expert(x.repeat(copies, 1))[: len(x)]  # type: ignore[no-any-return]

            part.moe_infer = routed  # type: ignore[assignment]
            model.unpatchify = lambda x, *_: x  # type: ignore[assignment]


class _MasksJoinMeta(TorchFunctionMode):
    """Qwen-Image 2.1 selects by a picture mask that must be real; `where` wants it on the other operands'
    device."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is torch.where and any(isinstance(arg, Tensor) and arg.is_meta for arg in args):
            args = tuple(arg.to("meta") if isinstance(arg, Tensor) else arg for arg in args)
        return func(*args, **(kwargs or {}))
