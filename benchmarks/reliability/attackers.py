"""Callers who mean harm, in a process of their own: `attackers.py URL ATTACK SECONDS`.

Prints a line when its requests are made and the attack begins, and at the end, as JSON, how often each thing
came back. After the seconds nothing new is begun, and answers are waited for `TAIL` seconds more.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Callable

import bombs

SENDERS = 4
DEAF = 6
HALF_OPEN = 64  # of each of two kinds
TAIL = 20.0
LATE = "no answer in time"
PIECE = 2**16

REQUESTS: dict[str, Callable[[], list[bytes]]] = {
    "scan bombs": bombs.scan_bombs,
    "as many scans as pass": bombs.most_scans,
    "arithmetic scans": bombs.arithmetic_scans,
    "chunk, text and profile bombs": bombs.chunk_bombs,
    "work that no count shows": bombs.hidden_work,
    "answers that nobody reads": bombs.large_answers,
    "16 megapixels of one colour": bombs.one_colour,
    "half-open": bombs.scan_bombs,
    "checkerboard and dots as masks": bombs.hard_masks,
    "callers who leave while it is decoded": bombs.large_pictures,
    "odd hosts and charsets": bombs.odd_requests,
    "ten candidates of 16 megapixels": bombs.ten_candidates,
}


class Attack:
    """came: what came back, and how often. end: when nothing new is begun any more."""

    def __init__(self, url: str, seconds: float) -> None:
        host, port = url.removeprefix("http://").split(":")
        self.address = host, int(port)
        self.end = time.monotonic() + seconds
        self.came: Counter[str] = Counter()

    async def run(self, name: str, requests: list[bytes]) -> None:
        if name == "half-open":
            whole = requests[0]
            body = whole.index(b"\r\n\r\n") + 4
            one, many = self.half_open, [(whole[: body + 150],), (whole[: body // 2],)] * HALF_OPEN
        elif name == "answers that nobody reads":
            one, many = self.deaf, [(requests[0],)] * DEAF
        elif name.startswith("callers who leave"):
            one, many = self.leaver, [(requests, number) for number in range(SENDERS)]
        else:
            one, many = self.sender, [(requests, number) for number in range(SENDERS)]
        await asyncio.gather(*(one(*arguments) for arguments in many))

    async def sender(self, requests: list[bytes], first: int) -> None:
        """One request after the other, each answer waited for."""
        for request in itertools.islice(itertools.cycle(requests), first, None):
            if time.monotonic() >= self.end:
                return
            await self._counted(request)

    async def half_open(self, start: bytes) -> None:
        """Sends the start of a request, waits until the server ends that, and does it again."""
        while time.monotonic() < self.end:
            await self._counted(start)

    async def deaf(self, request: bytes) -> None:
        """Sends a request, and reads nothing until the end."""
        _, writer = await asyncio.open_connection(*self.address, limit=1)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(request)
        await asyncio.sleep(max(self.end - time.monotonic(), 0))
        writer.transport.abort()
        self.came["not read"] += 1

    async def leaver(self, requests: list[bytes], first: int) -> None:
        """Closes the connection a while after the whole request was sent."""
        rng = random.Random(first)
        for request in itertools.islice(itertools.cycle(requests), first, None):
            if time.monotonic() >= self.end:
                return
            _, writer = await asyncio.open_connection(*self.address)
            writer.write(request)
            await writer.drain()
            await asyncio.sleep(rng.uniform(0.05, 0.5))
            writer.transport.abort() if rng.random() < 0.5 else writer.close()
            self.came["left"] += 1

    async def _counted(self, request: bytes) -> None:
        left = self.end + TAIL - time.monotonic()
        try:
            outcome = await asyncio.wait_for(self._exchange(request), left)
        except asyncio.TimeoutError:
            outcome = LATE
        except OSError as error:
            outcome = f"connection: {type(error).__name__}"
            await asyncio.sleep(0.1)
        self.came[outcome] += 1

    async def _exchange(self, request: bytes) -> str:
        """The status of the answer, with its code for a 5xx; "closed" where there is none."""
        reader, writer = await asyncio.open_connection(*self.address)
        try:
            writer.write(request)
            start = b""
            while piece := await reader.read(PIECE):
                start += piece if len(start) < PIECE else b""
        finally:
            writer.transport.abort()
        if not start:
            return "closed"
        status = start.split(b" ", 2)[1].decode()
        code = start.partition(b'"code":"')[2].partition(b'"')[0].decode()
        return f"{status} {code}" if status >= "500" else status


def main(url: str, name: str, seconds: str) -> None:
    requests = REQUESTS[name]()
    print("begins", flush=True)
    attack = Attack(url, float(seconds))
    asyncio.run(attack.run(name, requests))
    print(json.dumps(attack.came))


if __name__ == "__main__":
    main(*sys.argv[1:])
