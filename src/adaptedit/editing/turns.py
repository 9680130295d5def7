"""Threads take turns on a DiT: its scheduler, its hooks and its adapter have one state each."""

from __future__ import annotations

import threading
from weakref import WeakKeyDictionary

from torch import nn

_guard = threading.Lock()
_turns: WeakKeyDictionary[nn.Module, threading.RLock] = WeakKeyDictionary()


def turn_on(transformer: nn.Module) -> threading.RLock:
    """The lock of this DiT, the same for all pipelines that have it."""
    with _guard:
        return _turns.setdefault(transformer, threading.RLock())
