"""Pictures from strangers are decoded in processes that can be killed: `DecoderPool`.

A decoder cannot be stopped from within, and what it takes in time and memory follows what a file declares. So
servers decode here: a file that takes too long, or too much memory, costs its process and nothing else.
"""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent import futures
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Generic, TypeVar

from PIL import Image

from adaptedit.errors import AdaptEditError
from adaptedit.pictures import decoder
from adaptedit.pictures.formats import READABLE
from adaptedit.pictures.picture import Picture

GRACE = 1.0  # seconds that a decoding may still run when nobody wants it: a new process takes half of one
BYTES_PER_PIXEL, BYTES_BESIDE = 64, 2**28  # 16-bit RGBA takes 56 a pixel
START = 60.0  # seconds for a process to start, on a machine that is busy
_BOOT = (
    "import sys; sys.path[:] = sys.argv[2:]; "
    "from adaptedit.pictures.decoder import main; main(int(sys.argv[1]))"
)

T = TypeVar("T")


class Decoding(Generic[T]):
    """A picture that is decoded, or waits for its turn. `future` has it, or the error."""

    def __init__(self, future: Future[T]) -> None:
        self.future = future
        self._lock = threading.Lock()
        self._process: _Process | None = None
        self._started = 0.0
        self._wanted = True

    def stop(self) -> None:
        """Nobody wants the picture any more: it is not begun, or ended within a second."""
        self._wanted = False
        if not self.future.cancel() and not self.future.done():
            left = self._started + GRACE - time.monotonic()
            timer = threading.Timer(max(left, 0.0), self._kill)
            timer.daemon = True
            timer.start()

    def _kill(self) -> None:
        with self._lock:
            if self._process is not None:
                self._process.kill()

    def _begin(self, process: _Process) -> None:
        """Raises CancelledError if nobody wants the picture any more."""
        with self._lock:
            if not self._wanted:
                raise CancelledError
            self._process, self._started = process, time.monotonic()

    def _end(self) -> None:
        with self._lock:
            self._process = None


class DecoderPool:
    """processes: that decode at once; they start with `start`, and are replaced when they die.

    max_pixels: of a picture. seconds: that it may take. memory: bytes that it may take, where the system can
    limit them; by default enough for any picture of so many pixels.
    """

    def __init__(
        self, processes: int, *, max_pixels: int, seconds: float = 10.0, memory: int | None = None
    ) -> None:
        self.max_pixels, self.seconds = max_pixels, seconds
        self.memory = BYTES_BESIDE + BYTES_PER_PIXEL * max_pixels if memory is None else memory
        self._count = processes
        self._idle: queue.SimpleQueue[_Process | None] = queue.SimpleQueue()
        self._threads = ThreadPoolExecutor(processes, thread_name_prefix="decoder")
        self._all: set[_Process] = set()
        self._closed = False
        self._waiting: set[object] = set()

    @property
    def waiting(self) -> int:
        """Pictures that are decoded or wait for it."""
        return len(self._waiting)

    def start(self) -> None:
        """Does not wait until they are ready."""
        for _ in range(self._count):
            self._launch()

    def close(self) -> None:
        """Ends all that runs."""
        self._closed = True
        self._threads.shutdown(wait=False, cancel_futures=True)
        for process in list(self._all):
            process.kill()
            self._all.discard(process)
        for _ in range(self._count):
            self._idle.put(None)

    def picture(
        self,
        source: bytes | Path,
        *,
        name: str,
        formats: Sequence[str] = READABLE,
    ) -> Decoding[Picture]:
        """As `Picture.read`; also AdaptEditError for a picture that takes too much time or memory."""
        request = decoder.Request("picture", source, name, formats, self.max_pixels)
        return self._begin(request, Picture.with_original)

    def image(
        self,
        source: bytes | Path,
        *,
        name: str,
        formats: Sequence[str] = READABLE,
    ) -> Decoding[Image.Image]:
        """As `read_image`, and `picture`."""
        request = decoder.Request("image", source, name, formats, self.max_pixels)
        return self._begin(request, lambda image: image)

    def _begin(self, request: decoder.Request, convert: Callable[[Any], T]) -> Decoding[T]:
        future: Future[T] = Future()
        decoding = Decoding(future)
        ticket = object()  # not the decoding: its future would keep itself, and the picture
        self._waiting.add(ticket)
        future.add_done_callback(lambda _: self._waiting.discard(ticket))

        def run() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(convert(self._decode(request, decoding)))
            except BaseException as error:
                future.set_exception(error.with_traceback(None))  # which would keep the request

        try:
            self._threads.submit(run)
        except RuntimeError:  # the pool is closed
            future.cancel()
        return decoding

    def _decode(self, request: decoder.Request, decoding: Decoding[Any]) -> Any:
        process = self._idle.get()
        if process is None:
            raise CancelledError
        try:
            process.wait_until_ready()
            decoding._begin(process)
            answer = process.ask(request, self.seconds)
        finally:
            decoding._end()
            if process.ended:
                self._all.discard(process)
                process.kill()
                self._launch()
            else:
                self._idle.put(process)
        if self._closed:
            raise CancelledError
        if isinstance(answer, AdaptEditError):
            raise answer
        return answer

    def _launch(self) -> None:
        if not self._closed:
            process = _Process(self.memory)
            self._all.add(process)
            self._idle.put(process)
            if self._closed:
                process.kill()


class _Process:
    """ended: it can no longer be used."""

    def __init__(self, memory: int) -> None:
        self.ended = False
        self._ready = self._late = False
        self._memory = memory
        self._popen = subprocess.Popen(
            [sys.executable, "-c", _BOOT, str(memory), *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )

    def kill(self) -> None:
        with suppress(OSError):
            self._popen.kill()

    def wait_until_ready(self) -> None:
        if not self._ready:
            self._ready = self._within(START, lambda: decoder.receive(self._output)) == decoder.READY
            if not self._ready:
                raise OSError("a process that decodes pictures did not start")

    def ask(self, request: decoder.Request, seconds: float) -> Any:
        """The answer; an AdaptEditError, which is not raised, where there is none."""

        def converse() -> Any:
            decoder.send(self._input, request)
            return decoder.receive(self._output)

        answer = self._within(seconds, converse)
        if answer is not None:
            return answer
        if self._late:
            why = f"takes over {seconds:g} seconds to decode"
        else:
            why = f"cannot be decoded with {self._memory / 1e6:.0f} MB of memory"
        return AdaptEditError(f"{request.name}: {why}; save it anew, smaller, and give that")

    def _within(self, seconds: float, act: Callable[[], T]) -> T | None:
        """None if the process ended, or had to be ended, before the answer was there."""
        timer = threading.Timer(seconds, self._end_late)
        timer.daemon = True
        timer.start()
        try:
            return act()
        except (EOFError, OSError):
            self.ended = True
            self.kill()
            self._popen.wait()
            for stream in (self._popen.stdin, self._popen.stdout):
                with suppress(OSError):
                    assert stream is not None
                    stream.close()
            return None
        finally:
            timer.cancel()

    def _end_late(self) -> None:
        self._late = True
        self.kill()

    @property
    def _input(self) -> Any:
        return self._popen.stdin

    @property
    def _output(self) -> Any:
        return self._popen.stdout


def wait(decoding: Decoding[T], gone: Callable[[], bool] = lambda: False, every: float = 0.2) -> T:
    """The picture, for a caller in a thread; CancelledError once `gone()` is true."""
    while True:
        try:
            return decoding.future.result(every)
        except futures.TimeoutError:  # in Python 3.10 not the built-in one
            if gone():
                decoding.stop()
                raise CancelledError from None
