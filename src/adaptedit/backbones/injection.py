"""How the adapter gets into a frozen DiT, and out again, without touching a weight or a class.

A torch pre-hook on the root forward turns its arguments and the active region into the call's state; a hook
on each block (diffusers' kind, where the block is of diffusers) adds the block adapter's output to the target
tokens. The backbone owns nothing of the adapter. Attach before `enable_cache()`. While attached, the backbone
cannot be copied (the copy would run the original's blocks), and checkpointing is turned on through the
adapter (the usual function recomputes with the latest call's state).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from adaptedit.backbones.layouts import Layout
from adaptedit.backbones.patterns import Stream, blocks_of, spec_of
from adaptedit.errors import AdaptEditError

HOOK_NAME = "adaptedit"
NO_COPY = "a DiT with an adapter attached cannot be copied or pickled; detach() the adapter first"


class Condition(Protocol):
    """What the adapter of each block is given. The hooks only know how to cut it."""

    def part(self, start: int, stop: int) -> Condition:
        """Only the target tokens start..stop."""
        ...


# (layout, text states (B, M, T), their mask (B, M) or None) -> condition of this call
Encode = Callable[[Layout, Tensor, "Tensor | None"], Condition]


@dataclass(frozen=True)
class CallState:
    """What the blocks need during one backbone call. Replaced at every call, never changed.

    start, length: where the target's `grid` (h, w) is in the image tokens. num_text: length of the text
    prefix in a joint stream.
    gates: filled only while gates are recorded, (B, N) by block index.
    """

    start: int
    length: int
    grid: tuple[int, int]
    num_text: int
    condition: Condition
    scale: float
    gates: dict[int, Tensor] = field(default_factory=dict)

    def shard(self, rank: int, ranks: int, num_tokens: int) -> CallState:
        """What one rank of a context-parallel group sees: its share of `num_tokens` and of the text."""
        first, last = _share(num_tokens, rank, ranks)
        start, stop = (min(max(end, first), last) for end in (self.start, self.start + self.length))
        text_first, text_last = _share(self.num_text, rank, ranks)
        return replace(
            self,
            start=start - first,
            length=stop - start,
            num_text=text_last - text_first,
            condition=self.condition.part(start - self.start, stop - self.start),
        )


class Injection:
    """An adapter's hooks on one backbone. If `begin_call` returns None, the call is untouched."""

    def __init__(
        self,
        backbone: nn.Module,
        block_adapters: nn.ModuleList,
        begin_call: Callable[[], tuple[Encode, float] | None],
    ) -> None:
        """AdaptEditError, with nothing changed, if an adapter or a cache is on the backbone already."""
        blocks = blocks_of(backbone)
        for _, block in blocks:
            _check_free(block)
        self.backbone: Any = backbone
        self.state: CallState | None = None
        self._begin_call = begin_call
        self._spec = spec_of(backbone)
        self._signature = inspect.signature(type(backbone).forward)
        self._root_hook = backbone.register_forward_pre_hook(self._begin, with_kwargs=True)
        self._block_hooks: list[Callable[[], None]] = []  # each takes its hook off
        for (stream, block), adapter in zip(blocks, block_adapters, strict=True):
            self._block_hooks.append(self._hook(block, _BlockHook(self, adapter, stream)))
        self._checkpointing_before = self.backbone.is_gradient_checkpointing
        if self._checkpointing_before:
            self.enable_gradient_checkpointing()

    def __deepcopy__(self, memo: object) -> Injection:
        raise AdaptEditError(NO_COPY)

    def __reduce__(self) -> Any:
        raise AdaptEditError(NO_COPY)

    def remove(self) -> None:
        """Leave the backbone as it was before, but frozen."""
        self.state = None
        self._root_hook.remove()
        for take_off in self._block_hooks:
            take_off()
        if self._checkpointing_before:
            self.backbone.enable_gradient_checkpointing()
        elif self.backbone.is_gradient_checkpointing:
            self.backbone.disable_gradient_checkpointing()

    def enable_gradient_checkpointing(self) -> None:
        """Checkpoint every block, recomputing it under the state of its own call, not of the latest one."""

        def checkpoint_block(block: nn.Module, *args: Any) -> Any:
            state = self.state

            def run(*args: Any) -> Any:
                self.state, latest = state, self.state
                try:
                    return block(*args)
                finally:
                    self.state = latest

            return checkpoint(run, *args, use_reentrant=False)

        self.backbone.enable_gradient_checkpointing(checkpoint_block)

    def _hook(self, block: nn.Module, hook: _BlockHook) -> Callable[[], None]:
        if not any(base.__module__.startswith("diffusers.") for base in type(self.backbone).__mro__):
            return block.register_forward_hook(hook).remove
        from adaptedit.backbones.diffusers.hooks import add_hook  # takes longer to import than torch

        return add_hook(block, HOOK_NAME, hook)

    def _begin(self, _module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.state = None  # whatever happens next, no block sees an earlier call's condition
        call = self._begin_call()
        if call is None:
            return
        encode, scale = call
        arguments = self._signature.bind_partial(self.backbone, *args, **kwargs).arguments
        layout = self._spec.layout(self.backbone, arguments)
        condition = encode(layout, *self._spec.text(arguments))
        state = CallState(layout.start, layout.length, layout.grid, layout.num_text, condition, scale)
        parallel = getattr(self.backbone, "_parallel_config", None)
        if parallel is not None and parallel.context_parallel_config is not None:
            ranks = parallel.context_parallel_config._flattened_mesh
            state = state.shard(ranks.get_local_rank(), ranks.size(), arguments["hidden_states"].shape[1])
        self.state = state


class _BlockHook:
    """Adds one block adapter's output. Only its module differs between blocks: one compiled graph."""

    def __init__(self, injection: Injection, adapter: nn.Module, stream: Stream) -> None:
        self.injection = injection
        self.adapter = adapter
        self.index = stream.output_index
        self.text_first = stream.text_first

    def __call__(self, _module: nn.Module, _args: Any, output: Any) -> Any:
        state = self.injection.state
        if state is None or state.length == 0:
            return output
        hidden_states = output if self.index is None else output[self.index]
        start = state.start + (state.num_text if self.text_first else 0)
        stop = start + state.length
        target = hidden_states[:, start:stop]
        target = target + state.scale * self.adapter(target, state.condition)
        adapted = torch.cat([hidden_states[:, :start], target, hidden_states[:, stop:]], dim=1)
        if self.index is None:
            return adapted
        return (*output[: self.index], adapted, *output[self.index + 1 :])


def _share(count: int, rank: int, ranks: int) -> tuple[int, int]:
    """[first, last) of one rank's share, as torch.tensor_split cuts."""
    each, more = divmod(count, ranks)
    first = rank * each + min(rank, more)
    return first, first + each + (rank < more)


def _check_free(block: nn.Module) -> None:
    registry = getattr(block, "_diffusers_hook", None)
    hooks: dict[str, Any] = registry.hooks if registry is not None else {}
    if HOOK_NAME in hooks or any(isinstance(one, _BlockHook) for one in block._forward_hooks.values()):
        raise AdaptEditError("another adapter is attached to this backbone; detach() it first")
    for name, hook in hooks.items():
        if hasattr(hook, "new_forward"):  # a cache hook: it may skip the block
            raise AdaptEditError(f"{name} is on a block already; disable the cache and attach first")
