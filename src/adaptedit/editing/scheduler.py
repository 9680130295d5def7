"""A cooperative scheduler of edits: one call of the models answers several.

An `EditTask` is a generator: it yields requests to the models, some `RegionRequest`s or some
`CropRequest`s, and receives the answers. So one edit and many at once run the same code.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

import torch
from PIL import Image

from adaptedit.adapter.model import AdaptEditAdapter
from adaptedit.backbones.base import Backbone, Edited, OnStep
from adaptedit.pictures.tensors import to_tensor
from adaptedit.region import Region

MOMENT = 0.02  # seconds; small pictures need less between two calls of the models, large ones far more


@dataclass(frozen=True, eq=False)
class RegionRequest:
    """Where would `prompt` edit `image`, RGB of its working size?

    The answer: the probability of each pixel, a tensor (H, W), float32 on the CPU.
    """

    image: Image.Image
    prompt: str


@dataclass(frozen=True, eq=False)
class CropRequest:
    """A picture to be edited in `region`, both of its working size. The answer: an `Edited`.

    generator: draws the noise. settings: further arguments of `Backbone.edit`, the same in one call.
    adapter_scale: strength of the adapter's signal; None: as it is set. Also the same in one call.
    on_step: called after each step; an exception from it ends this edit, and no other.
    """

    image: Image.Image
    prompt: str
    region: Region
    generator: torch.Generator
    settings: Mapping[str, Any]
    adapter_scale: float | None = None
    on_step: OnStep | None = None


T = TypeVar("T")
# All requests that are made at once are of one kind.
EditTask: TypeAlias = Generator["Sequence[RegionRequest] | Sequence[CropRequest]", Any, T]


class Scheduler:
    """Runs edits; one call of the models answers several.

    max_batch: most pictures in a call, and most edits; 1 where the backbone takes no batches.
    on_batch: called with the number of pictures in each call.
    background: runs what an edit does between two calls of the models (masks, stitching), which takes seconds
    for a large picture, so that the others' calls go on; by default it runs here.
    """

    def __init__(
        self,
        backbone: Backbone,
        adapter: AdaptEditAdapter | None,
        max_batch: int,
        on_batch: Callable[[int], object] = lambda size: None,
        background: Executor | None = None,
    ) -> None:
        self.backbone, self.adapter = backbone, adapter
        self.max_batch = max_batch if backbone.batched else 1
        self.on_batch = on_batch
        self._background = background
        self._edits: list[_RunningTask] = []
        self._news = threading.Event()

    def __len__(self) -> int:
        """Edits that are under way."""
        return len(self._edits)

    @property
    def full(self) -> bool:
        return len(self) >= self.max_batch

    @property
    def idle(self) -> bool:
        """All edits are in the background: `wait` until that changes."""
        return bool(self._edits) and all(one.away for one in self._edits)

    def add(self, edit: EditTask[T], future: Future[T]) -> None:
        """Runs the edit up to its first request. The future gets what it returns or raises.

        An edit whose future is cancelled is closed before the next batch.
        """
        one = _RunningTask(edit, future)
        self._edits.append(one)
        self._go_on(one)
        self._forget_ended()

    @torch.no_grad()
    def run_batch(self) -> None:
        """Answers the first edit's requests, and as many like requests of others as fit in the call.

        Edits that have all their answers go on, to their next request or to their end.
        """
        self._gather()
        self._forget_ended()
        here = [one for one in self._edits if not one.away]
        waiting = [(one, ask) for one in here for ask in one.waiting]
        if waiting:
            alike = [each for each in waiting if _alike(each[1], waiting[0][1])]
            self._answer(alike[: self.max_batch])
        for one in here:
            if not one.future.done() and (one.error is not None or not one.waiting):
                self._go_on(one)
        self._forget_ended()

    def _gather(self) -> None:
        """Waits for edits that come back soon: one call for several is quicker than several calls."""
        end = time.monotonic() + MOMENT
        while any(one.away for one in self._edits) and (left := end - time.monotonic()) > 0:
            self._news.clear()
            if any(one.away for one in self._edits):
                self._news.wait(left)
        self._news.clear()

    def wait(self) -> None:
        """Until an edit comes back from the background, or `wake` is called."""
        self._news.wait()

    def wake(self) -> None:
        """For another thread: wakes the thread that waits."""
        self._news.set()

    def _go_on(self, one: _RunningTask) -> None:
        if self._background is None:
            one.go_on()
        else:
            one.away = True
            self._background.submit(self._go_on_in_background, one)

    @torch.no_grad()
    def _go_on_in_background(self, one: _RunningTask) -> None:
        try:
            one.go_on()
        finally:
            one.away = False
            self._news.set()

    def _answer(self, batch: Sequence[tuple[_RunningTask, RegionRequest | CropRequest]]) -> None:
        """Requests that fail together are tried one by one, so that no edit fails because of another."""

        def on_step(step: int, steps: int) -> None:
            for one, ask in batch:
                one.tell(ask, step, steps)
            if not any(one.wanted for one, _ in batch):
                raise _NobodyWantsIt

        try:
            answers = self._computed([ask for _, ask in batch], on_step)
        except Exception as error:
            if len(batch) == 1:
                batch[0][0].fail(error)
            else:
                for each in batch:
                    if each[0].wanted:
                        self._answer([each])
            return
        for (one, _), answer in zip(batch, answers, strict=True):
            one.answers.append(answer)

    def _computed(self, asks: Sequence[Any], on_step: OnStep) -> Sequence[Any]:
        """All `RegionRequest`s or all `CropRequest`s, with the same settings."""
        self.on_batch(len(asks))
        adapter = self.adapter
        if adapter is not None and any(p.device != self.backbone.device for p in adapter.parameters()):
            adapter.to(self.backbone.device)
        return self._seen(asks) if isinstance(asks[0], RegionRequest) else self._edited(asks, on_step)

    def _seen(self, looks: Sequence[RegionRequest]) -> Sequence[torch.Tensor]:
        assert self.adapter is not None  # `AdaptEditPipeline.find_task` asks for a region without one
        images = [look.image for look in looks]
        states = self.backbone.features(images, [look.prompt for look in looks])
        guide = torch.cat([to_tensor(image) for image in images])
        return self.adapter.predict_region(states, guide).cpu().unbind()

    def _edited(self, crops: Sequence[CropRequest], on_step: OnStep) -> Sequence[Edited]:
        generators = [crop.generator for crop in crops]
        states = [generator.get_state() for generator in generators]
        regions = [crop.region for crop in crops]
        try:
            with self._adapted(regions, crops[0].adapter_scale):
                return self.backbone.edit(
                    [crop.image for crop in crops],
                    [crop.prompt for crop in crops],
                    regions,
                    generators=generators,
                    on_step=on_step if any(crop.on_step for crop in crops) else None,
                    **crops[0].settings,
                )
        except Exception:
            for generator, state in zip(generators, states, strict=True):
                generator.set_state(state)  # the next attempt has the same noise
            raise

    @contextmanager
    def _adapted(self, regions: Sequence[Region], scale: float | None) -> Iterator[None]:
        """The adapter, if there is one, acts in these regions, with this strength."""
        if self.adapter is None:
            yield
            return
        before = self.adapter.scale
        self.adapter.scale = before if scale is None else scale
        try:
            with self.adapter.region(regions):
                yield
        finally:
            self.adapter.scale = before

    def _forget_ended(self) -> None:
        ended = [one for one in self._edits if one.future.done() and not one.away]
        for one in ended:
            one.edit.close()
        self._edits = [one for one in self._edits if one not in ended]


def run(edits: Iterable[EditTask[T]], together: Scheduler) -> list[T]:
    """What the edits return, in their order. Raises what the first that fails raises."""
    queue, futures = deque(edits), list[Future[T]]()
    while queue or len(together):
        while queue and not together.full:
            futures.append(Future())
            together.add(queue.popleft(), futures[-1])
        together.run_batch()
        for future in futures:
            if future.done():
                future.result()
    return [future.result() for future in futures]


class _NobodyWantsIt(Exception):
    """Stops a call when nobody wants its answers any more."""


@dataclass(eq=False)
class _RunningTask:
    edit: EditTask[Any]
    future: Future[Any]
    asks: Sequence[RegionRequest] | Sequence[CropRequest] = ()
    answers: list[Any] = field(default_factory=list)  # to the first of them
    error: Exception | None = None
    away: bool = False  # in the background

    @property
    def waiting(self) -> Sequence[RegionRequest] | Sequence[CropRequest]:
        return self.asks[len(self.answers) :]

    @property
    def wanted(self) -> bool:
        return self.error is None and not self.future.cancelled()

    def tell(self, ask: RegionRequest | CropRequest, step: int, steps: int) -> None:
        if isinstance(ask, CropRequest) and ask.on_step is not None and self.wanted:
            try:
                ask.on_step(step, steps)
            except Exception as error:
                self.error = error

    def fail(self, error: Exception) -> None:
        self.error = self.error or error

    def go_on(self) -> None:
        """Gives the answers, or the error, to the edit."""
        error, self.error = self.error, None
        answers, self.answers = self.answers, []
        try:
            self.asks = self.edit.send(answers or None) if error is None else self.edit.throw(error)
        except StopIteration as end:
            if self.future.set_running_or_notify_cancel():
                self.future.set_result(end.value)
        except Exception as error:
            if self.future.set_running_or_notify_cancel():
                self.future.set_exception(error)


def _alike(one: RegionRequest | CropRequest, other: RegionRequest | CropRequest) -> bool:
    if isinstance(one, RegionRequest) or isinstance(other, RegionRequest):
        return type(one) is type(other)
    return one.settings == other.settings and one.adapter_scale == other.adapter_scale
