"""The routes. What they do to pictures is in `forms`, who may wait and who runs in `worker`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from adaptedit import __version__
from adaptedit.errors import AdaptEditError
from adaptedit.interfaces.serve import forms, keys, upload
from adaptedit.interfaces.serve.answers import EditAnswer, Model, Models, RegionAnswer, State
from adaptedit.interfaces.serve.observe import CLIENT_GONE, Metrics, Observed
from adaptedit.interfaces.serve.problems import ErrorBody, Problem
from adaptedit.interfaces.serve.settings import Settings
from adaptedit.interfaces.serve.worker import ClientGone, Worker

READERS = 2  # uploads that are decoded at once to be checked; each takes the memory of its pixels
PIECE = 256 * 1024  # bytes of an answer that are given to the socket at once
STATUSES = (400, 401, 404, 408, 413, 415, 422, 429, 500, 503)


def create_app(settings: Settings, worker: Worker) -> FastAPI:
    """The ASGI application. It starts the worker, and closes it."""
    readers = ThreadPoolExecutor(READERS, thread_name_prefix="reader")
    metrics = Metrics(worker)
    started = int(time.time())

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        worker.start()
        yield
        worker.close()
        readers.shutdown(wait=False, cancel_futures=True)

    app = FastAPI(
        title="AdaptEdit", version=__version__, description=DESCRIPTION, lifespan=lifespan, redoc_url=None
    )
    app.add_middleware(Observed, metrics=metrics)

    async def allowed(request: Request) -> None:
        keys.check(settings.keys, request.headers.get("authorization"))

    async def place() -> AsyncIterator[None]:  # FastAPI gives it back when the answer is sent
        with worker.place():
            yield

    async def served(request: Request, kind: type[forms.Form]) -> Response:
        facts: dict[str, Any] = request.state.facts
        parts = await upload.read(request, max_bytes=settings.max_bytes, seconds=settings.transfer)
        form = forms.parse(kind, parts)
        facts |= {"image_bytes": len(form.image), "prompt_length": len(form.prompt)}
        if settings.log_prompts:
            facts["prompt"] = form.prompt
        forms.check_model(form, settings.model)
        loop = asyncio.get_running_loop()
        # Made here to refuse at once what is wrong, and again in its turn: decoded pictures do not queue up.
        facts["size"] = await loop.run_in_executor(readers, lambda: form.job(settings.max_pixels).image.size)
        gone = asyncio.ensure_future(_disconnected(request))
        try:
            done = await worker.run(
                lambda pipe, on_step: form.answer(pipe, on_step, settings.max_pixels),
                gone=gone,
                seconds=settings.work,
            )
        finally:
            gone.cancel()
        facts |= {"queued": round(done.queued, 4), "worked": round(done.worked, 4)}
        return _Pieces(done.body, settings.transfer)

    guarded = [Depends(allowed), Depends(place)]

    @app.post("/v1/images/edits", dependencies=guarded, **_route(forms.EditForm, EditAnswer))
    async def edits(request: Request) -> Response:
        """Edit a picture in the region that the prompt means, or that the mask gives."""
        return await served(request, forms.EditForm)

    @app.post("/v1/regions", dependencies=guarded, **_route(forms.RegionForm, RegionAnswer))
    async def regions(request: Request) -> Response:
        """Where the prompt would edit the picture."""
        return await served(request, forms.RegionForm)

    @app.get("/v1/models", dependencies=guarded[:1], responses={401: {"model": ErrorBody}})
    async def models() -> Models:
        """The one model there is."""
        return Models(data=[Model(id=settings.model, created=started)])

    @app.get("/healthz")
    async def healthz() -> State:
        """The process lives."""
        return State(status="ok")

    @app.get("/readyz", responses={503: {"model": State}})
    async def readyz(response: Response) -> State:
        """200 while edits are taken; 503 while the model loads and while the server drains."""
        response.status_code = 200 if worker.state == "ready" else 503
        return State(status=worker.state)

    @app.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def prometheus() -> Response:
        """In Prometheus' text format."""
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    def refused(request: Request, problem: Problem) -> Response:
        request.state.facts["code"] = problem.code
        if settings.log_prompts:
            request.state.facts["message"] = problem.message
        metrics.rejected.labels(problem.code).inc()
        return JSONResponse(problem.body().model_dump(), problem.status, problem.headers)

    @app.exception_handler(Problem)
    async def of_problem(request: Request, error: Problem) -> Response:
        return refused(request, error)

    @app.exception_handler(AdaptEditError)
    async def of_adaptedit(request: Request, error: AdaptEditError) -> Response:
        return refused(request, Problem.of(error))

    @app.exception_handler(HTTPException)
    async def of_http(request: Request, error: HTTPException) -> Response:
        code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "invalid_request")
        message = f"{request.method} {request.url.path[:100]}: {error.detail.lower()}"
        return refused(request, Problem(error.status_code, code, message, headers=error.headers))

    @app.exception_handler(ClientDisconnect)
    @app.exception_handler(ClientGone)
    async def of_gone(request: Request, _: Exception) -> Response:
        request.state.facts["code"] = "client_gone"
        return Response(status_code=CLIENT_GONE)  # for the log: nobody reads it

    return app


DESCRIPTION = """Say what to change in a picture; only that changes. `POST /v1/images/edits` is OpenAI's, with
fields of our own; an answer always has the picture's size. 422 with the code `region_not_found` or
`global_edit`: all is well, but there is no local region to edit."""


class _Pieces(Response):
    """JSON bytes, given out as fast as the client takes them, for so many seconds.

    So an answer has memory only while it has a place. A client that is slower is left: uvicorn closes a
    connection whose answer is not complete.
    """

    media_type = "application/json"

    def __init__(self, body: bytes, seconds: float) -> None:
        super().__init__(body)
        self.seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await asyncio.wait_for(self._send(send), self.seconds)
        except asyncio.TimeoutError:
            scope["state"]["facts"]["code"] = "download_timeout"

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        body = memoryview(self.body)
        for start in range(0, len(body), PIECE):
            more = start + PIECE < len(body)
            await send(
                {"type": "http.response.body", "body": bytes(body[start : start + PIECE]), "more_body": more}
            )


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _route(form: type[forms.Form], answer: type[Any]) -> dict[str, Any]:
    """The form is read by hand, within the limits, so OpenAPI has to be told of it."""
    content = {"multipart/form-data": {"schema": form.model_json_schema()}}
    return {
        "response_model": answer,
        "responses": {status: {"model": ErrorBody} for status in STATUSES},
        "openapi_extra": {"requestBody": {"required": True, "content": content}},
    }
