"""The routes. What they do to pictures is in `forms`, who may wait and who runs in `worker`.

A request comes in whole, takes a place, is decoded in a process of its own, edited in the model's thread
together with others, and encoded in a thread.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from typing import Any, TypeVar

from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from adaptedit import __version__
from adaptedit.editing.job import EditJob
from adaptedit.errors import AdaptEditError, quoted
from adaptedit.interfaces.hosts import AllowedHosts
from adaptedit.interfaces.serve import forms, keys, pictures, upload
from adaptedit.interfaces.serve.answers import EditAnswer, Model, Models, RegionAnswer, State
from adaptedit.interfaces.serve.forms import F
from adaptedit.interfaces.serve.memory import Lane, Traffic
from adaptedit.interfaces.serve.observe import CLIENT_GONE, Metrics, Observed, release
from adaptedit.interfaces.serve.problems import ErrorBody, Problem
from adaptedit.interfaces.serve.settings import Settings
from adaptedit.interfaces.serve.worker import ClientGone, Worker, give_way, stopping, timed_out
from adaptedit.pictures.pool import Decoding
from adaptedit.pictures.structure import declared_pixels

ALL_CANDIDATES = 4  # times the largest picture; each takes its pixels again, and its share of the answer
SMALL = 2_000_000  # pixels
PIECE = 256 * 1024  # bytes of an answer that are given to the socket at once
STATUSES = (400, 401, 404, 408, 413, 415, 422, 429, 500, 503)

T = TypeVar("T")


def create_app(settings: Settings, worker: Worker) -> FastAPI:
    """The ASGI application. It starts the worker, and closes it."""
    encoders = ThreadPoolExecutor(settings.places, "encoder", initializer=give_way)  # nobody waits for one
    small_pixels = min(SMALL, settings.max_pixels)
    for_small = settings.max_decoded // 8
    small = Lane(1, small_pixels, settings.decode, for_small)
    large = Lane(settings.decoders, settings.max_pixels, settings.decode, settings.max_decoded - for_small)
    uploads = Traffic(settings.places * settings.max_bytes, "uploaded")
    answers = Traffic(settings.places * settings.max_bytes, "downloaded")
    metrics = Metrics(worker)
    started = int(time.time())

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        for lane in (small, large):
            lane.pool.start()
        worker.start()
        yield
        worker.close()
        for lane in (small, large):
            lane.pool.close()
        encoders.shutdown(wait=False, cancel_futures=True)

    app = FastAPI(
        title="AdaptEdit",
        version=__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.decoders = [lane.pool for lane in (small, large)]

    async def allowed(request: Request) -> None:
        keys.check(settings.keys, request.headers.get("authorization"))

    async def place(request: Request) -> AsyncIterator[None]:  # FastAPI ends it when the answer is sent
        worker.check_room()  # now, lest the upload is for nothing
        with ExitStack() as request.state.sent, ExitStack() as request.state.place:
            yield

    async def served(request: Request, kind: type[forms.Form]) -> Response:
        facts: dict[str, Any] = request.state.facts
        form = await received(request, kind)
        facts |= {"image_bytes": len(form.image[0]), "prompt_length": len(form.prompt)}
        if settings.log_prompts:
            facts["prompt"] = form.prompt
        forms.check_model(form, settings.model)
        form.check()
        lane = lane_of(form)
        request.state.place.enter_context(worker.place())
        gone = asyncio.ensure_future(_disconnected(request))
        ends = time.monotonic() + settings.work
        try:
            job, held = await _unless(gone, settings.work, decoded(form, lane))
            try:
                facts["size"] = job.image.size
                done = await worker.run(
                    lambda pipe, on_step: form.work(pipe, job, on_step),
                    gone=gone,
                    seconds=ends - time.monotonic(),
                )
                facts |= {"queued": round(done.queued, 4), "worked": round(done.worked, 4)}
                loop = asyncio.get_running_loop()
                body = await loop.run_in_executor(encoders, form.answer, job, done.result)
            finally:
                lane.memory.remove(held)
        finally:
            gone.cancel()
        request.state.place.close()  # who reads slowly keeps no place, and no other caller out
        answers.add(len(body))
        request.state.sent.callback(answers.remove, len(body))
        return _Pieces(body, settings.transfer)

    def lane_of(form: forms.Form) -> Lane:
        """By what the files declare. Raises Problem for too many pictures or candidates."""
        files = form.image if form.mask_file is None else [*form.image, form.mask_file]
        pixels = [declared_pixels(file) or settings.max_pixels for file in files]
        form.check_amount(pixels[: len(form.image)], ALL_CANDIDATES * settings.max_pixels)
        return small if max(pixels) <= small_pixels else large

    async def received(request: Request, kind: type[F]) -> F:
        parts = await upload.read(
            request, uploads, max_bytes=settings.max_bytes, idle=settings.idle, seconds=settings.transfer
        )
        return forms.parse(kind, parts)

    async def decoded(form: forms.Form, lane: Lane) -> tuple[EditJob, int]:
        """The edit, and the bytes that it holds in the lane's memory from now on."""
        async with lane.memory.turn():
            images = [await _decoded(pictures.begin_picture(lane.pool, file), "image") for file in form.image]
            mask = None
            if form.mask_file is not None:
                mask = await _decoded(pictures.begin_mask(lane.pool, form.mask_file), "mask")
            job = form.job(images, mask)
            held = pictures.bytes_of(job)
            lane.memory.add(held)
        return job, held

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

    def misdirected(host: str) -> Any:
        message = f"requests to {quoted(host)} are not answered here; its operator can give --allowed-host"
        problem = Problem(400, "host_not_allowed", message)

        async def answer(scope: Any, receive: Any, send: Any) -> None:
            await refused(Request(scope), problem)(scope, receive, send)

        return answer

    app.add_middleware(AllowedHosts, hosts=settings.hosts, refuse=misdirected)
    app.add_middleware(Observed, metrics=metrics)  # around all

    @app.exception_handler(Problem)
    async def of_problem(request: Request, error: Problem) -> Response:
        release(error)
        return refused(request, error)

    @app.exception_handler(AdaptEditError)
    async def of_adaptedit(request: Request, error: AdaptEditError) -> Response:
        release(error)
        return refused(request, Problem.of(error))

    @app.exception_handler(HTTPException)
    async def of_http(request: Request, error: HTTPException) -> Response:
        code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "invalid_request")
        message = f"{request.method} {request.url.path[:100]}: {error.detail.lower()}"
        return refused(request, Problem(error.status_code, code, message, headers=error.headers))

    @app.exception_handler(ClientDisconnect)
    @app.exception_handler(ClientGone)
    async def of_gone(request: Request, error: Exception) -> Response:
        release(error)
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


async def _decoded(decoding: Decoding[T], field: str) -> T:
    try:
        return await asyncio.wrap_future(decoding.future)
    except AdaptEditError as error:
        problem = pictures.problem(error, field)
    finally:
        decoding.stop()  # if the caller has left
    raise problem


async def _unless(gone: asyncio.Future[None], seconds: float, work: Coroutine[Any, Any, T]) -> T:
    """What `work` returns. Raises ClientGone, and Problem 503 if it takes longer."""
    task = asyncio.ensure_future(work)
    waited: set[asyncio.Future[Any]] = {task, gone}
    try:
        done, _ = await asyncio.wait(waited, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if task in done:
            if task.cancelled():  # the decoders are closed
                raise stopping()
            return task.result()
        raise ClientGone if gone in done else timed_out(seconds)
    finally:
        task.cancel()


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
