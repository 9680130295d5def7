"""What the operator sees: a line of JSON a request, and Prometheus' metrics. Never a picture; an instruction
only where the settings say so."""

from __future__ import annotations

import json
import logging
import secrets
import time
import traceback
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from adaptedit.interfaces.serve.problems import Problem
from adaptedit.interfaces.serve.worker import Worker

log = logging.getLogger("adaptedit.serve")

SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300)
SIZES = (1, 2, 4, 8, 16, 32, 64)
PROBES = ("/healthz", "/readyz", "/metrics")  # asked every few seconds: counted, not logged
CLIENT_GONE = 499  # nginx's status for it; in the log and the metrics only


class JsonLines(logging.Formatter):
    """One JSON object a record; `extra={"facts": {...}}` adds to it."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": round(record.created, 3),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        if record.exc_info and record.exc_info[1]:
            line |= where(record.exc_info[1])
        return json.dumps(line | getattr(record, "facts", {}), ensure_ascii=True)


def where(error: BaseException) -> dict[str, Any]:
    """The kind of an exception and the places that it came through, without its words, which may quote."""
    frames = traceback.extract_tb(error.__traceback__)
    return {"error": type(error).__name__, "trace": [f"{f.filename}:{f.lineno} {f.name}" for f in frames]}


def release(error: BaseException) -> None:
    """Empties the frames that an error came through: with it they form circles that keep whole uploads."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        traceback.clear_frames(cause.__traceback__)
        cause.__traceback__ = None
        cause = cause.__context__


class Metrics:
    """A registry of its own, so that two servers in one process do not share their counts."""

    def __init__(self, worker: Worker) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "adaptedit_requests", "Answered requests", ["route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "adaptedit_request_seconds",
            "From the request's head to the end of its answer",
            ["route"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.rejected = Counter(
            "adaptedit_rejected", "Requests that were not served", ["code"], registry=self.registry
        )
        batches = Histogram(
            "adaptedit_batch_size",
            "Pictures in a call of the model",
            buckets=SIZES,
            registry=self.registry,
        )
        worker.on_batch = batches.observe
        for name, what, value in (
            ("adaptedit_queue_depth", "Jobs that wait for the model", lambda: worker.waiting),
            ("adaptedit_in_flight", "Requests that hold a place", lambda: worker.taken),
            ("adaptedit_places", "Places there are", lambda: worker.places),
        ):
            Gauge(name, what, registry=self.registry).set_function(value)


class Observed:
    """ASGI middleware: an id for every request, its line and its counts, and 500 for what nobody foresaw."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, identity = time.monotonic(), secrets.token_hex(8)
        facts: dict[str, Any] = {}
        scope.setdefault("state", {})["facts"] = facts
        status = CLIENT_GONE  # if no answer starts

        async def counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", identity.encode())]
            await send(message)

        try:
            await self.app(scope, receive, counted)
        except Exception as error:
            log.error("unforeseen", extra={"facts": {"id": identity, **where(error)}})
            release(error)
            facts["code"] = "internal_error"
            self.metrics.rejected.labels("internal_error").inc()
            if status == CLIENT_GONE:
                message = f"something went wrong here; the log has it as {identity}"
                problem = Problem(500, "internal_error", message)
                answer = JSONResponse(problem.body().model_dump(), problem.status)
                await answer(scope, receive, counted)
        finally:
            self._end(scope, status, identity, time.monotonic() - started)

    def _end(self, scope: Scope, status: int, identity: str, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "other")
        self.metrics.requests.labels(route, str(status)).inc()
        self.metrics.seconds.labels(route).observe(seconds)
        if route not in PROBES:
            line = {"id": identity, "method": scope["method"], "route": route, "status": status}
            facts = scope["state"]["facts"]
            log.info("request", extra={"facts": line | {"seconds": round(seconds, 4)} | facts})
