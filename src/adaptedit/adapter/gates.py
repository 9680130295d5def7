"""Records the gates, to see whether they tell inside from outside."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from adaptedit.backbones.injection import CallState


class GateRecord(Sequence[Tensor]):
    """One (num_blocks, B, N) tensor of gate values in (0, 1) for each adapted backbone call, in order.

    grids: each call's token grid (h, w), with h * w = N, row by row.
    """

    def __init__(self) -> None:
        self.grids: list[tuple[int, int]] = []
        self._calls: list[dict[int, Tensor]] = []

    def add(self, call: dict[int, Tensor], block: int, gate: Tensor, grid: tuple[int, int]) -> None:
        """`call` is one dict per backbone call; a block that is recomputed overwrites its own entry."""
        if not call:
            self._calls.append(call)
            self.grids.append(grid)
        call[block] = gate.detach().squeeze(-1)

    def __len__(self) -> int:
        return len(self._calls)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        call = self._calls[index]
        return torch.stack([call[block] for block in sorted(call)])


@contextmanager
def recording(blocks: nn.ModuleList, state: Callable[[], CallState | None]) -> Iterator[GateRecord]:
    """blocks: the block adapters. state: that of the running backbone call, None if it is not adapted."""
    record = GateRecord()

    def hook_of(index: int) -> Any:
        def hook(_module: nn.Module, _args: tuple[Tensor, ...], gate: Tensor) -> None:
            if (call := state()) is not None:
                record.add(call.gates, index, gate, call.grid)

        return hook

    handles = [block.gate.register_forward_hook(hook_of(i)) for i, block in enumerate(blocks)]  # type: ignore[union-attr]
    try:
        yield record
    finally:
        for handle in handles:
            handle.remove()
