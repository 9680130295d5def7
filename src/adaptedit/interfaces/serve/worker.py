"""The one thread that runs the model, and the bounded number of places in front of it."""

from __future__ import annotations

import asyncio
import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from adaptedit.interfaces.serve.problems import Problem, busy

if TYPE_CHECKING:
    from adaptedit.backbones.base import OnStep
    from adaptedit.editing.pipeline import AdaptEditPipeline
    from adaptedit.editing.scheduler import EditTask, Scheduler


T = TypeVar("T")
Work = Callable[["AdaptEditPipeline", "OnStep"], "EditTask[T]"]


class ClientGone(Exception):
    """Nobody is there to answer."""


class Stopped(Exception):
    """Raised in the model's thread, between two steps, when nobody wants the result any more."""


@dataclass(frozen=True)
class Done(Generic[T]):
    """What a job returned, and the seconds that it waited and ran."""

    result: T
    queued: float
    worked: float


@dataclass(eq=False)
class _Order:
    work: Work[Any] | None  # None once it is not wanted, so that the queue does not keep its pictures
    made: float = field(default_factory=time.monotonic)
    started: float | None = None
    future: Future[Done[Any]] = field(default_factory=Future)  # for the model's thread
    answer: asyncio.Future[Done[Any]] | None = None  # the same for the event loop


class Worker:
    """Jobs start in the order in which they came, and what up to `max_batch` of them ask of the model at the
    same time is answered together. None waits for others to come.

    The model runs in one thread, what a job does between two calls of it in others; everything else belongs
    to the event loop.

    load: makes the pipeline, in the model's thread. places: requests inside the server at once.
    on_batch: may be set before the start; told the number of pictures in each call of the model.
    """

    def __init__(self, load: Callable[[], AdaptEditPipeline], places: int, max_batch: int) -> None:
        self.places = places
        self.max_batch = max_batch
        self.on_batch: Callable[[int], object] = lambda size: None
        self.taken = 0
        self.draining = False
        self.working = False
        self.ended = False
        self.failure: Exception | None = None
        self._load = load
        self._pipe: AdaptEditPipeline | None = None
        self._scheduler: Scheduler | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._background = ThreadPoolExecutor(max_batch, "edit", initializer=give_way)
        self._orders: set[_Order] = set()
        self._queue: deque[_Order] = deque()
        self._pace = 1.0  # seconds a job, a running mean

    def start(self) -> None:
        self._thread.submit(self._start)

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._background.shutdown(wait=False, cancel_futures=True)

    @property
    def state(self) -> str:
        """loading, ready, draining or failed."""
        if self.failure is not None:
            return "failed"
        if self.draining:
            return "draining"
        return "loading" if self._scheduler is None else "ready"

    @property
    def waiting(self) -> int:
        """How many jobs have not started."""
        return sum(order.started is None for order in self._orders)

    def check_room(self) -> None:
        """Raises Problem 429 if all places are taken, 503 if the server is not ready."""
        if self.state != "ready":
            raise busy(503, "not_ready", f"the server is {self.state}; try again later", 5)
        if self.taken >= self.places:
            seconds = min(max(math.ceil(self._pace * self.taken), 1), 60)
            raise busy(429, "queue_full", f"all {self.places} places are taken; try again later", seconds)

    @contextmanager
    def place(self) -> Iterator[None]:
        """Holds one of the places. Raises Problem as `check_room`."""
        self.check_room()
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1

    async def run(self, work: Work[T], *, gone: asyncio.Future[None], seconds: float) -> Done[T]:
        """What `work` returns or raises. gone: done when nobody waits for it any more.

        Raises ClientGone; Problem 503 if it takes too long or the server has to stop. A job that nobody
        wants any more never starts, or leaves the batch after the call that runs; a call that is left by all
        stops after its step.
        """
        if self.ended:
            raise stopping()
        order = _Order(work)
        answer = order.answer = asyncio.wrap_future(order.future)
        self._orders.add(order)
        self._queue.append(order)
        self._thread.submit(self._work)
        if self._scheduler is not None:
            self._scheduler.wake()
        try:
            waited: set[asyncio.Future[Any]] = {answer, gone}
            done, _ = await asyncio.wait(waited, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                raise timed_out(seconds)
            if answer not in done:
                raise ClientGone
            if answer.cancelled():
                raise stopping()
            return answer.result()
        finally:
            self._drop(order)

    def abandon(self) -> None:
        """Nothing is waited for any longer, queued, running or still to come."""
        self.ended = True
        for order in list(self._orders):
            self._drop(order)

    def _drop(self, order: _Order) -> None:
        order.work = None
        order.future.cancel()
        if order.answer is not None and not order.answer.cancel() and not order.answer.cancelled():
            order.answer.exception()  # seen, even if it came too late for anybody
        self._orders.discard(order)

    # -- in the model's thread

    def _start(self) -> None:
        self.working = True
        try:
            self._pipe = self._load()
            self._scheduler = self._pipe.scheduler(self.max_batch, self.on_batch, self._background)
        except Exception as error:
            self.failure = error
        finally:
            self.working = False

    def _work(self) -> None:
        """All that waits, and all that comes meanwhile; so most calls find nothing left to do."""
        if self._scheduler is None:  # it did not load
            while self._queue:
                self._queue.popleft().future.cancel()
            return
        self.working = True
        try:
            while self._queue or len(self._scheduler):
                while self._queue and not self._scheduler.full:
                    order = self._queue.popleft()
                    work = order.work
                    if work is not None:
                        self._scheduler.add(self._run(work, order), order.future)
                self._scheduler.run_batch()
                if self._scheduler.idle and (self._scheduler.full or not self._queue):
                    self._scheduler.wait()
        finally:
            self.working = False

    def _run(self, work: Work[T], order: _Order) -> EditTask[Done[T]]:
        assert self._pipe is not None and self._scheduler is not None
        order.started = time.monotonic()
        try:
            result = yield from work(self._pipe, lambda *_: _check(order))
        finally:
            worked = time.monotonic() - order.started
            self._pace += 0.2 * (worked / len(self._scheduler) - self._pace)
        return Done(result, order.started - order.made, worked)


def give_way() -> None:
    """Lets the model and the event loop go first on the cores, where threads have a priority each (Linux)."""
    with suppress(AttributeError, OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)


def timed_out(seconds: float) -> Problem:
    return busy(503, "timeout", f"not finished within {seconds:.0f} seconds; try again later", 30)


def stopping() -> Problem:
    return busy(503, "not_ready", "the server had to stop before this was done", 5)


def _check(order: _Order) -> None:
    if order.future.cancelled():
        raise Stopped
