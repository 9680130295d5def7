"""The process: uvicorn, with a SIGTERM that lets what was taken be finished."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import socket
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from adaptedit.interfaces.serve.app import create_app
from adaptedit.interfaces.serve.connections import limited
from adaptedit.interfaces.serve.observe import JsonLines, log
from adaptedit.interfaces.serve.settings import Settings
from adaptedit.interfaces.serve.worker import Worker

if TYPE_CHECKING:
    from adaptedit.editing.pipeline import AdaptEditPipeline

M_MMAP_THRESHOLD, LARGE = -3, 4 * 2**20  # glibc's mallopt, and bytes
CONNECTIONS = 1000  # open at once; uvicorn answers 503 above it
LAST_ANSWERS = 10  # seconds for answers on their way when the deadline has passed


class DrainingServer(uvicorn.Server):
    """The first SIGTERM or SIGINT: no new edits, /readyz says 503, and the end comes when all places are free
    or `drain` seconds have passed. The second: the end comes now."""

    def __init__(self, config: uvicorn.Config, worker: Worker, drain: float) -> None:
        super().__init__(config)
        self.worker, self.drain = worker, drain
        self.deadline: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.worker.draining:
            super().handle_exit(sig, frame)
        self.worker.draining = True

    async def on_tick(self, counter: int) -> bool:
        if self.worker.draining and self.deadline is None:
            self.deadline = time.monotonic() + self.drain
            log.info("draining", extra={"facts": {"in_flight": self.worker.taken}})
        ended = self.deadline is not None and (not self.worker.taken or time.monotonic() >= self.deadline)
        return await super().on_tick(counter) or ended or self.worker.failure is not None

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        log.info("stopping", extra={"facts": {"in_flight": self.worker.taken}})
        self.worker.abandon()
        for pool in getattr(getattr(self.config.app, "state", None), "decoders", ()):
            pool.close()
        for connection in list(self.server_state.connections):
            if isinstance(connection, H11Protocol) and connection.conn.their_state is h11.SEND_BODY:
                connection.transport.close()  # its upload would be refused
        await super().shutdown(sockets)


def configuration(settings: Settings, worker: Worker) -> uvicorn.Config:
    """The application and how uvicorn runs it."""
    return uvicorn.Config(
        create_app(settings, worker),
        log_config=None,
        access_log=False,
        http=limited(idle=settings.idle, per_peer=settings.per_peer),
        limit_concurrency=CONNECTIONS,
        timeout_graceful_shutdown=LAST_ANSWERS,
        server_header=False,
    )


def serve(
    settings: Settings, load: Callable[[], AdaptEditPipeline], listener: socket.socket, *, drain: float
) -> None:
    """Runs until a signal ends it. Raises what `load` raised.

    The log is JSON lines on stderr. Where the model's thread is stuck in a job that nobody wants any more,
    the process ends here, with status 1.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    logging.captureWarnings(True)
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # a line for every damaged form

    import torch  # whose logger has a handler of its own, that writes no JSON

    torch_log = logging.getLogger(torch.__name__)
    torch_log.handlers.clear()
    torch_log.propagate = True

    _return_large_memory()
    worker = Worker(load, settings.places, settings.max_batch)
    DrainingServer(configuration(settings, worker), worker, drain).run([listener])
    if worker.failure is not None:
        raise worker.failure
    if worker.working:
        log.error("the model did not stop")
        handler.flush()
        os._exit(1)


def _return_large_memory() -> None:
    """What a large picture took goes back to the system when it is freed, where the C library is glibc."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").mallopt(M_MMAP_THRESHOLD, LARGE)
