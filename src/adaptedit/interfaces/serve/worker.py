"""The one thread that runs the model, and the bounded number of places in front of it."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event
from typing import TYPE_CHECKING, Any

from adaptedit.interfaces.serve.problems import Problem, busy

if TYPE_CHECKING:
    from adaptedit.backbones.base import OnStep
    from adaptedit.editing.pipeline import AdaptEditPipeline

Work = Callable[["AdaptEditPipeline", "OnStep"], bytes]


class ClientGone(Exception):
    """Nobody is there to answer."""


class Stopped(Exception):
    """Raised in the model's thread, between two steps, when nobody wants the result any more."""


@dataclass(frozen=True)
class Done:
    """What a job returned, and the seconds that it waited and ran."""

    body: bytes
    queued: float
    worked: float


@dataclass(eq=False)
class _Order:
    work: Work | None  # None once it is not wanted, so that the queue does not keep its upload
    made: float = field(default_factory=time.monotonic)
    started: float | None = None
    stop: Event = field(default_factory=Event)
    future: asyncio.Future[Done] | None = None


class Worker:
    """Jobs run one after another, in the order in which they came: the pipeline edits one picture at a time,
    and an attached adapter holds the region of the edit that runs.

    Only the model itself runs in another thread; everything else belongs to the event loop.
    load: makes the pipeline, in the model's thread. places: requests inside the server at once.
    """

    def __init__(self, load: Callable[[], AdaptEditPipeline], places: int) -> None:
        self.places = places
        self.taken = 0
        self.draining = False
        self.working = False
        self.ended = False
        self.failure: Exception | None = None
        self._load = load
        self._pipe: AdaptEditPipeline | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._orders: set[_Order] = set()
        self._pace = 1.0  # seconds a job, a running mean

    def start(self) -> None:
        self._thread.submit(self._start)

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    @property
    def state(self) -> str:
        """loading, ready, draining or failed."""
        if self.failure is not None:
            return "failed"
        if self.draining:
            return "draining"
        return "loading" if self._pipe is None else "ready"

    @property
    def waiting(self) -> int:
        """How many jobs have not started."""
        return sum(order.started is None for order in self._orders)

    @contextmanager
    def place(self) -> Iterator[None]:
        """Holds one of the places. Raises Problem 429 if all are taken, 503 if the server is not ready."""
        if self.state != "ready":
            raise busy(503, "not_ready", f"the server is {self.state}; try again later", 5)
        if self.taken >= self.places:
            seconds = min(max(math.ceil(self._pace * self.taken), 1), 60)
            raise busy(429, "queue_full", f"all {self.places} places are taken; try again later", seconds)
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1

    async def run(self, work: Work, *, gone: asyncio.Future[None], seconds: float) -> Done:
        """What `work` returns or raises. gone: done when nobody waits for it any more.

        Raises ClientGone; Problem 503 if it takes too long or the server has to stop. A job that nobody
        wants any more never starts, or stops after the step that runs.
        """
        if self.ended:
            raise _stopping()
        order = _Order(work)
        order.future = asyncio.wrap_future(self._thread.submit(self._run, order))
        self._orders.add(order)
        try:
            waited: set[asyncio.Future[Any]] = {order.future, gone}
            done, _ = await asyncio.wait(waited, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                raise busy(503, "timeout", f"not finished within {seconds:g} seconds; try again later", 30)
            if order.future not in done:
                raise ClientGone
            if order.future.cancelled():
                raise _stopping()
            return order.future.result()
        finally:
            self._drop(order)

    def abandon(self) -> None:
        """Nothing is waited for any longer, queued, running or still to come."""
        self.ended = True
        for order in list(self._orders):
            self._drop(order)

    def _drop(self, order: _Order) -> None:
        order.stop.set()
        order.work = None
        if order.future is not None and not order.future.cancel() and not order.future.cancelled():
            order.future.exception()  # seen, even if it came too late for anybody
        self._orders.discard(order)

    # -- in the model's thread

    def _start(self) -> None:
        self.working = True
        try:
            self._pipe = self._load()
        except Exception as error:
            self.failure = error
        finally:
            self.working = False

    def _run(self, order: _Order) -> Done:
        work = order.work
        if work is None or self._pipe is None:
            raise Stopped
        order.started = time.monotonic()
        self.working = True
        try:
            body = work(self._pipe, lambda *_: _check(order))
        finally:
            self.working = False
            worked = time.monotonic() - order.started
            self._pace += 0.2 * (worked - self._pace)
        return Done(body, order.started - order.made, worked)


def _stopping() -> Problem:
    return busy(503, "not_ready", "the server had to stop before this was done", 5)


def _check(order: _Order) -> None:
    if order.stop.is_set():
        raise Stopped
