"""Connections that send nothing, half of it, or names of other sites: they cost nobody else anything."""

from __future__ import annotations

import gc
import socket
import tracemalloc

import httpx
import pytest

from adaptedit.editing.pipeline import AdaptEditPipeline
from adaptedit.interfaces.hosts import ANY, allowed
from adaptedit.interfaces.serve.memory import Traffic
from adaptedit.interfaces.serve.problems import Problem
from serving import (
    LONG,
    Served,
    code,
    gated,
    leaving,
    log,
    noise,
    png,
    serving,
    until,
)

__all__ = ["gated", "log"]

PICTURE = png(noise())


def connected(served: Served, *pieces: bytes) -> socket.socket:
    one = socket.create_connection(
        (httpx.URL(served.url).host, httpx.URL(served.url).port or 0), timeout=LONG
    )
    for piece in pieces:
        one.sendall(piece)
    return one


HEAD = (
    b"POST /v1/images/edits HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n"
    b"Content-Type: multipart/form-data; boundary=b\r\n\r\n"
)
HALF = HEAD + b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n' + bytes(80)


# -- connections


def test_half_open_uploads_take_no_place_and_are_ended(pipe: AdaptEditPipeline) -> None:
    with serving(pipe, places=1, idle=1.0) as served:
        half = [connected(served, HALF) for _ in range(40)]
        assert served.post(image=PICTURE, prompt="x").status_code == 200
        assert served.worker.taken == 0
        for one in half:
            answer = b""
            while piece := one.recv(1000):
                answer += piece
            assert b"408" in answer and b"upload_timeout" in answer
            one.close()


@pytest.mark.parametrize("piece", [b"", b"POST /v1/im", HEAD[:-2], b"GET /healthz HTTP/1.1\r\nHost: local"])
def test_heads_that_do_not_come_are_ended(piece: bytes, pipe: AdaptEditPipeline) -> None:
    with serving(pipe, idle=0.3) as served:
        with connected(served, piece) as one:
            assert one.recv(1000) == b""
        again = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
        with connected(served, again) as one:  # a connection that is kept has the same limit
            assert b"200 OK" in one.recv(1000)
            one.sendall(piece)
            while one.recv(1000):
                pass


def test_a_body_that_nobody_reads_does_not_keep_the_connection(pipe: AdaptEditPipeline) -> None:
    with serving(pipe, idle=0.3, keys=(b"x",)) as served, connected(served, HALF) as one:
        assert b"401" in one.recv(1000)
        while one.recv(1000):
            pass


def test_one_address_cannot_take_all_connections(pipe: AdaptEditPipeline) -> None:
    with serving(pipe, per_peer=3) as served:
        three = [connected(served) for _ in range(3)]
        until(lambda: len(served.server.server_state.connections) == 3)
        with connected(served) as one:
            assert b"503" in (answer := one.recv(2000)) and b"too_many_connections" in answer
        three.pop().close()
        until(lambda: len(served.server.server_state.connections) == 2)
        assert served.get("/healthz").status_code == 200
        for one in three:
            one.close()


def test_uploads_together_have_a_limit() -> None:
    uploads = Traffic(100, "uploaded")
    uploads.add(60)
    with pytest.raises(Problem) as refused:
        uploads.add(41)
    assert (refused.value.status, refused.value.code, uploads.held) == (503, "busy", 60)
    uploads.remove(60)
    uploads.add(100)


def test_an_upload_that_is_refused_gives_its_bytes_back(pipe: AdaptEditPipeline) -> None:
    """As many as fit at once, one after the other."""
    with serving(pipe, places=1, max_bytes=100_000) as served:
        for _ in range(3):
            assert code(served.post(image=PICTURE + bytes(50_000), prompt="x", colour="red"))[0] == 400
        assert served.post(image=PICTURE + bytes(60_000), prompt="x").status_code == 200


@pytest.mark.parametrize("wrong", ["picture", "field", "region", "left"])
def test_a_refused_upload_leaves_the_memory_at_once(wrong: str, pipe: AdaptEditPipeline) -> None:
    """Not only when Python looks for circles, which may be hundreds of uploads later."""
    if wrong == "region":
        pipe.adapter.certainty = 0.1  # type: ignore[union-attr, assignment]
    data = (b"x" if wrong == "picture" else PICTURE) + bytes(4_000_000)
    fields = {"colour": "red"} if wrong == "field" else {}
    with serving(pipe) as served:

        def ask() -> None:
            if wrong == "left":
                leaving(served, "x", data).close()
            else:
                assert served.post(image=data, prompt="x", **fields).status_code in (400, 422)
            until(lambda: served.worker.taken == 0 and not served.worker.working)

        ask()
        gc.collect()
        gc.disable()
        tracemalloc.start()
        try:
            for _ in range(6):
                ask()
            until(lambda: tracemalloc.get_traced_memory()[0] < 8_000_000)
        finally:
            tracemalloc.stop()
            gc.enable()


# -- heads


@pytest.mark.parametrize(
    "host", ["evil.com", "evil.com:8000", "localhost.evil.com", "192.0.2.1", "[::2]:1", ""]
)
def test_other_hosts_are_refused_and_nobody_is_sent_there(host: str, pipe: AdaptEditPipeline) -> None:
    with serving(pipe) as served:
        for path in ("/v1/models", "/v1/models/", "/docs", "/v1/images/edits/", "/nothing"):
            answer = httpx.get(served.url + path, headers={"Host": host})
            assert code(answer) == (400, "host_not_allowed") and "location" not in answer.headers
        assert httpx.get(f"{served.url}/healthz", headers={"Host": host}).status_code == 200
        assert served.get("/v1/models/").status_code == 404  # no redirect for our own names either


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:99", "[::1]:8000", "box.example"])
def test_own_hosts_are_answered(host: str, pipe: AdaptEditPipeline) -> None:
    with serving(pipe, hosts=allowed("127.0.0.1", ["Box.Example"])) as served:
        assert httpx.get(f"{served.url}/v1/models", headers={"Host": host}).status_code == 200


def test_hosts_that_are_allowed() -> None:
    assert allowed("10.0.0.5", ()) == {"127.0.0.1", "localhost", "::1", "10.0.0.5"}
    assert "an address" in allowed("0.0.0.0", ()) and ANY in allowed("::", ["*"])


@pytest.mark.parametrize(
    "charset", ["base64", "idna", "undefined", "rot13", "hex", "utf-7", "unicode_escape", "x" * 999, "\xe9"]
)
def test_odd_charsets_are_refused(charset: str, pipe: AdaptEditPipeline) -> None:
    body = b'--b\r\nContent-Disposition: form-data; name="prompt"\r\n\r\n\xff\xfe\r\n--b--'
    with serving(pipe) as served:
        kind = f"multipart/form-data; boundary=b; charset={charset}"
        answer = httpx.post(
            f"{served.url}/v1/regions", content=body, headers={"content-type": kind.encode("latin-1")}
        )
        assert code(answer) == (415, "unsupported_charset")
        assert len(answer.json()["error"]["message"]) < 200
