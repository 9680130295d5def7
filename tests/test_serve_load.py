"""The server when much or odd things come in: limits, the queue, callers who leave, signals."""

from __future__ import annotations

import asyncio
import gc
import http.client
import io
import json
import signal
import struct
import threading
import weakref
import zlib
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from starlette.requests import Request

from adaptedit.editing.pipeline import AdaptEditPipeline
from adaptedit.editing.scheduler import EditTask
from adaptedit.interfaces.serve import upload
from adaptedit.interfaces.serve.memory import Traffic
from adaptedit.interfaces.serve.problems import Problem
from adaptedit.interfaces.serve.worker import ClientGone, Worker
from serving import GatedBackbone, Served, gated, leaving, log, noise, png, serving, until

__all__ = ["gated", "log"]

PICTURE = png(noise())


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as one:
        yield one


def edits(pipe: AdaptEditPipeline) -> GatedBackbone:
    assert isinstance(pipe.backbone, GatedBackbone)
    return pipe.backbone


def ask(pool: ThreadPoolExecutor, served: Served, prompt: str) -> Future[httpx.Response]:
    return pool.submit(served.post, image=PICTURE, prompt=prompt)


def test_a_full_queue_says_when_to_come_again(gated: AdaptEditPipeline, pool: ThreadPoolExecutor) -> None:
    with serving(gated, places=3, max_batch=1) as served:
        taken = [ask(pool, served, f"taken {number}") for number in range(3)]
        until(lambda: edits(gated).edits and served.worker.waiting == 2)
        metrics = served.get("/metrics").text
        assert "adaptedit_queue_depth 2.0" in metrics and "adaptedit_in_flight 3.0" in metrics
        refused = served.post(image=PICTURE, prompt="one too many")
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "queue_full")
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert served.get("/readyz").status_code == 200
        edits(gated).go.set()
        assert [one.result().status_code for one in taken] == [200] * 3
        until(lambda: served.worker.taken == 0)
        assert served.post(image=PICTURE, prompt="now").status_code == 200
        assert 'adaptedit_rejected_total{code="queue_full"} 1.0' in served.get("/metrics").text
    assert "one too many" not in edits(gated).edits


def test_who_leaves_the_queue_is_not_edited(gated: AdaptEditPipeline, pool: ThreadPoolExecutor) -> None:
    with serving(gated) as served:
        first = ask(pool, served, "first")
        until(lambda: edits(gated).edits == ["first"])
        gone = leaving(served, "gone", PICTURE)
        until(lambda: served.worker.waiting == 1)
        last = ask(pool, served, "last")
        until(lambda: served.worker.waiting == 2)
        gone.close()
        until(lambda: served.worker.taken == 2)
        edits(gated).go.set()
        assert first.result().status_code == last.result().status_code == 200
        assert edits(gated).edits == ["first", "last"]
        assert 'route="/v1/images/edits",status="499"} 1.0' in served.get("/metrics").text


def test_who_leaves_while_it_is_edited_stops_it_at_the_next_step(
    gated: AdaptEditPipeline, pool: ThreadPoolExecutor
) -> None:
    with serving(gated) as served:
        gone = leaving(served, "gone", PICTURE)
        until(lambda: edits(gated).edits == ["gone"])
        gone.close()
        until(lambda: served.worker.taken == 0)
        edits(gated).go.set()
        assert ask(pool, served, "next").result().status_code == 200
    assert edits(gated).ended == ["next"]


def test_what_nobody_wants_any_more_leaves_the_memory(pipe: AdaptEditPipeline) -> None:
    """While the job before it still runs: else callers that come and go would fill the memory."""

    class Upload:
        def __call__(self, *_: object) -> EditTask[bytes]:
            yield from ()
            return b""

    async def scenario() -> None:
        worker = Worker(lambda: pipe, 9, 1)
        worker.start()
        go, gone = threading.Event(), asyncio.get_running_loop().create_future()

        def waiting(*_: object) -> EditTask[bytes]:
            yield from ()
            return b"%d" % go.wait(30)

        first = asyncio.ensure_future(worker.run(waiting, gone=asyncio.Future(), seconds=30))
        upload = Upload()
        trace = weakref.ref(upload)
        second = asyncio.ensure_future(worker.run(upload, gone=gone, seconds=30))
        del upload
        await asyncio.sleep(0)
        assert trace() is not None
        gone.set_result(None)
        assert isinstance((await asyncio.gather(second, return_exceptions=True))[0], ClientGone)
        del second  # whose traceback has it too, as has what woke this task
        await asyncio.sleep(0)
        gc.collect()
        assert trace() is None and not first.done()
        go.set()
        assert (await first).result == b"1"
        worker.close()

    asyncio.run(scenario())


def test_too_long_is_said_and_the_place_is_free(gated: AdaptEditPipeline, pool: ThreadPoolExecutor) -> None:
    with serving(gated, work=0.2) as served:
        late = served.post(image=PICTURE, prompt="late")
        assert (late.status_code, late.json()["error"]["code"]) == (503, "timeout")
        until(lambda: served.worker.taken == 0)
        edits(gated).go.set()
        until(lambda: not served.worker.working)
    assert edits(gated).ended == []


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_what_was_taken_be_finished(
    gated: AdaptEditPipeline, pool: ThreadPoolExecutor, sig: int
) -> None:
    with serving(gated, max_batch=1) as served:
        taken = [ask(pool, served, f"taken {number}") for number in range(3)]
        until(lambda: edits(gated).edits and served.worker.waiting == 2)
        served.server.handle_exit(sig, None)
        refused = served.post(image=PICTURE, prompt="late")
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "not_ready")
        assert "retry-after" in refused.headers
        assert served.get("/readyz").json() == {"status": "draining"}
        assert served.get("/healthz").status_code == 200
        edits(gated).go.set()
        assert [one.result().status_code for one in taken] == [200] * 3
        served.thread.join(30)
        assert not served.thread.is_alive()


@pytest.mark.parametrize("signals", [1, 2])
def test_the_end_comes_when_the_time_is_over_or_at_the_second_signal(
    gated: AdaptEditPipeline, pool: ThreadPoolExecutor, signals: int
) -> None:
    with serving(gated, max_batch=1, drain=0.0 if signals == 1 else 1000.0) as served:
        taken = [ask(pool, served, f"taken {number}") for number in range(3)]
        until(lambda: edits(gated).edits and served.worker.waiting == 2)
        for _ in range(signals):
            served.server.handle_exit(signal.SIGTERM, None)
        assert {one.result().json()["error"]["code"] for one in taken} == {"not_ready"}
        served.server._captured_signals.clear()  # which would end the tests too
        edits(gated).go.set()
    assert len(edits(gated).edits) == 1


def test_who_comes_to_the_queue_after_the_end_is_told(pipe: AdaptEditPipeline) -> None:
    """An upload that was still being read when the time was over."""

    async def late() -> None:
        worker = Worker(lambda: pipe, 9, 1)
        worker.start()
        worker.abandon()
        with pytest.raises(Problem) as caught:
            await worker.run(lambda *_: iter(()), gone=asyncio.Future(), seconds=30)
        assert (caught.value.status, caught.value.code) == (503, "not_ready")
        worker.close()

    asyncio.run(late())


def test_not_ready_until_the_model_is_there(pipe: AdaptEditPipeline) -> None:
    there = threading.Event()
    started = threading.Event()

    def load() -> AdaptEditPipeline:
        started.set()
        assert there.wait(30)
        return pipe

    worker = Worker(load, 1, 1)
    worker.start()
    assert started.wait(30) and worker.state == "loading"
    with pytest.raises(Problem) as caught, worker.place():
        pass
    assert caught.value.status == 503
    there.set()
    until(lambda: worker.state == "ready")
    worker.close()


def header(width: int, height: int) -> bytes:
    """A PNG that says that it is so large, and has less than a row."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    start = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + start + chunk(b"IDAT", zlib.compress(b"\0" * min(3 * width + 1, 1000)))


def test_too_many_pixels_are_refused_before_they_are_decoded(pipe: AdaptEditPipeline) -> None:
    with serving(pipe, max_pixels=120 * 90) as served:
        assert served.post(image=PICTURE, prompt="x").status_code == 200
        for size in ((121, 90), (9000, 9000), (60_000, 60_000), (2**31 - 1, 2**31 - 1)):
            answer = served.post(image=header(*size), prompt="x").json()["error"]
            assert answer["code"] in ("image_too_large", "invalid_image"), answer
        assert served.post(image=header(121, 90), prompt="x").json()["error"]["code"] == "image_too_large"
        large = png(noise((121, 90)).convert("RGBA"))
        answer = served.post(image=PICTURE, mask=large, prompt="x").json()["error"]
        assert (answer["code"], answer["param"]) == ("mask_too_large", "mask")


def test_a_long_upload_is_refused_declared_or_not(pipe: AdaptEditPipeline) -> None:
    with serving(pipe, max_bytes=100_000) as served:
        declared = served.post(image=PICTURE + bytes(5_000_000), prompt="x")
        assert (declared.status_code, declared.json()["error"]["code"]) == (413, "request_too_large")
        given = 0

        def endless() -> Iterator[bytes]:
            nonlocal given
            yield b'--b\r\nContent-Disposition: form-data; name="image"; filename="x"\r\n\r\n'
            while given < 5_000_000:
                given += 10_000
                yield bytes(10_000)

        kind = {"content-type": "multipart/form-data; boundary=b"}
        chunked = httpx.post(f"{served.url}/v1/images/edits", content=endless(), headers=kind, timeout=30)
        assert chunked.status_code == 413
        assert served.post(image=PICTURE, prompt="x").status_code == 200


def test_reading_stops_at_the_limit() -> None:
    """Not one more piece is taken than the limit has room for."""
    taken = 0

    async def receive() -> dict[str, Any]:
        nonlocal taken
        taken += 1
        body = b'--b\r\nContent-Disposition: form-data; name="image"; filename="x"\r\n\r\n'
        return {"type": "http.request", "body": body if taken == 1 else bytes(1000), "more_body": True}

    kind = (b"content-type", b"multipart/form-data; boundary=b")
    for declared, pieces in (([], 11), ([(b"content-length", b"10001")], 0)):
        taken = 0
        scope = {"type": "http", "headers": [kind, *declared]}
        with pytest.raises(Problem) as caught:
            asyncio.run(
                upload.read(Request(scope, receive), Traffic(10**6, ""), max_bytes=10_000, idle=9, seconds=9)
            )
        assert (caught.value.status, taken) == (413, pieces)


def test_an_upload_that_stalls_gives_its_place_back(pipe: AdaptEditPipeline) -> None:
    with serving(pipe, transfer=0.2, places=1) as served:
        slow = leaving_half(served)
        assert slow.status == 408 and json.loads(slow.read())["error"]["code"] == "upload_timeout"
        until(lambda: served.worker.taken == 0)
        assert served.post(image=PICTURE, prompt="x").status_code == 200


def leaving_half(served: Served) -> http.client.HTTPResponse:
    host, port = served.url.removeprefix("http://").split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=30)
    connection.putrequest("POST", "/v1/images/edits")
    connection.putheader("content-type", "multipart/form-data; boundary=b")
    connection.putheader("content-length", "1000")
    connection.endheaders(b"--b\r\n")
    return connection.getresponse()


@pytest.mark.parametrize(
    ("kind", "body", "status", "code"),
    [
        ("application/json", b"{}", 415, "unsupported_media_type"),
        ("multipart/form-data", b"--b\r\n", 400, "invalid_multipart"),
        ("multipart/form-data; boundary=b", b"no parts at all", 400, "invalid_multipart"),
        ("multipart/form-data; boundary=b", b"", 400, "missing_required_parameter"),
        ("multipart/form-data; boundary=b", b"--b\r\nX: y\r\n\r\nz\r\n--b--", 400, "invalid_multipart"),
    ],
)
def test_bodies_that_are_no_form(
    pipe: AdaptEditPipeline, kind: str, body: bytes, status: int, code: str
) -> None:
    with serving(pipe) as served:
        answer = httpx.post(f"{served.url}/v1/regions", content=body, headers={"content-type": kind})
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_who_does_not_read_the_answer_keeps_the_place_for_a_while_only(
    pipe: AdaptEditPipeline, log: io.StringIO
) -> None:
    """10 MB, which no socket buffers."""
    with serving(pipe, transfer=1.0, max_bytes=10**8, places=1) as served:
        one = leaving(served, "x", png(noise((1800, 1800))))
        until(lambda: served.worker.taken == 1)
        until(lambda: '"request"' in log.getvalue())
        assert served.worker.taken == 0
        (line,) = [json.loads(line) for line in log.getvalue().splitlines() if '"request"' in line]
        assert (line["status"], line["code"]) == (200, "download_timeout")
        assert line["seconds"] > line["worked"] + 0.9
        response = http.client.HTTPResponse(one)
        response.begin()
        with pytest.raises(http.client.IncompleteRead):
            response.read()
        one.close()
