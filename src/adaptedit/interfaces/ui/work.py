"""A long call in a thread of its own: it tells its progress and can be stopped between two steps."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


class Cancelled(Exception):
    """Raised inside the work when it is told to stop."""


@dataclass(frozen=True)
class Progress:
    """What is being done, and how many of how many steps; no number is known where total is 0."""

    text: str
    done: int = 0
    total: int = 0


@dataclass(frozen=True)
class Done(Generic[T]):
    """The end of the work."""

    result: T


Tell = Callable[[Progress], None]


def watch(run: Callable[[Tell], T], stop: threading.Event) -> Generator[Progress | Done[T], None, None]:
    """Yields the newest progress that `run` tells, then its result; raises what it raises.

    `tell` raises Cancelled in `run` once `stop` is set. Closing the iterator sets it.
    """
    news: queue.SimpleQueue[Progress | Done[T] | BaseException] = queue.SimpleQueue()

    def tell(progress: Progress) -> None:
        if stop.is_set():
            raise Cancelled
        news.put(progress)

    def work() -> None:
        try:
            news.put(Done(run(tell)))
        except BaseException as error:
            news.put(error)

    threading.Thread(target=work, daemon=True).start()
    try:
        while True:
            item = news.get()
            while isinstance(item, Progress) and not news.empty():
                item = news.get()
            if isinstance(item, BaseException):
                raise item
            yield item
            if isinstance(item, Done):
                return
    finally:
        stop.set()
