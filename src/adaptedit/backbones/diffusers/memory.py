"""Out of memory, with the advice of whoever loaded the editor."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from adaptedit.errors import NotEnoughMemory, out_of_memory


@contextmanager
def enough_memory(advice: str) -> Iterator[None]:
    """NotEnoughMemory, one line with the advice, where torch or Python run out of memory."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        raise NotEnoughMemory(f"there is not enough memory for this editor; {advice}") from error
