"""How much the server holds at once, in bytes, so that its memory has a bound whatever comes in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from adaptedit.interfaces.serve.problems import busy
from adaptedit.pictures.pool import DecoderPool


class Traffic:
    """Bytes of bodies that are on their way. what: for the error, "uploaded" or "downloaded".

    Raises Problem 503 where they would be more than `most`.
    """

    def __init__(self, most: int, what: str) -> None:
        self.most, self.what, self.held = most, what, 0

    def add(self, count: int) -> None:
        if self.held + count > self.most:
            raise busy(503, "busy", f"too much is being {self.what} at the moment; try again later", 5)
        self.held += count

    def remove(self, count: int) -> None:
        self.held -= count


class Decoded:
    """Bytes of decoded pictures, known only afterwards: `at_once` pictures can go beyond `most`."""

    def __init__(self, most: int, at_once: int) -> None:
        self.most, self.held = most, 0
        self._turns = asyncio.Semaphore(at_once)
        self._freed = asyncio.Event()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Waits for a turn to decode, first come, first served, and until there is memory."""
        async with self._turns:
            while self.held >= self.most:
                self._freed.clear()
                await self._freed.wait()
            yield

    def add(self, count: int) -> None:
        self.held += count

    def remove(self, count: int) -> None:
        self.held -= count
        self._freed.set()


class Lane:
    """Where pictures up to `max_pixels` are decoded, and the memory that they share.

    Small pictures have a lane of their own, so that they never wait for large ones.
    """

    def __init__(self, processes: int, max_pixels: int, seconds: float, most: int) -> None:
        self.pool = DecoderPool(processes, max_pixels=max_pixels, seconds=seconds)
        self.memory = Decoded(most, processes)
