"""diffusers' hooks on its own blocks: caches and offloading, enabled later, then act around them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from diffusers.hooks.hooks import HookRegistry, ModelHook
from torch import nn

AfterForward = Callable[[nn.Module, Any, Any], Any]  # a torch forward hook: (block, (), output) -> output


def add_hook(block: nn.Module, name: str, after: AfterForward) -> Callable[[], None]:
    """Puts `after` on a block of a diffusers model; the result takes it off."""
    registry = HookRegistry.check_if_exists_or_initialize(block)
    registry.register_hook(_Hook(after), name)
    return lambda: registry.remove_hook(name, recurse=False)


class _Hook(ModelHook):
    def __init__(self, after: AfterForward) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.after = after

    def post_forward(self, module: nn.Module, output: Any) -> Any:
        return self.after(module, (), output)
