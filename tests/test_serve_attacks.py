"""What was tried against the server from outside: it costs who sends it, and nobody else."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import socket
import tempfile
import threading
import tracemalloc
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from adaptedit.editing.pipeline import AdaptEditPipeline
from adaptedit.errors import AdaptEditError
from adaptedit.interfaces.hosts import ANY, allowed
from adaptedit.interfaces.serve import keys
from adaptedit.interfaces.serve.memory import Decoded, Traffic
from adaptedit.interfaces.serve.problems import Problem
from adaptedit.pictures.pool import DecoderPool
from serving import LONG, GatedBackbone, Served, alpha_mask, gated, leaving, log, noise, png, serving, until
from test_structure import REFUSED, with_scans

__all__ = ["gated", "log"]

PICTURE = png(noise())


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


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


# -- files that take long to decode


@pytest.mark.parametrize("what", REFUSED)
def test_bombs_are_refused_as_image_and_as_mask(what: str, gated: AdaptEditPipeline) -> None:
    assert isinstance(gated.backbone, GatedBackbone)
    with serving(gated) as served:
        assert code(served.post(image=REFUSED[what], prompt="x")) == (400, "invalid_image")
        assert code(served.post(image=PICTURE, mask=REFUSED[what], prompt="x")) == (400, "invalid_mask")
    assert gated.backbone.edits == []


def test_a_picture_that_takes_too_long_is_the_callers_fault(pipe: AdaptEditPipeline) -> None:
    with serving(pipe, decode=0.05, max_pixels=20_000_000) as served:
        answer = served.post(image=with_scans(5, (5000, 4000)), prompt="x")
        assert code(answer) == (400, "invalid_image")
        assert "takes over 0.05 seconds" in answer.json()["error"]["message"]


def test_nothing_is_decoded_in_the_servers_own_process_and_each_file_once(
    pipe: AdaptEditPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adaptedit.pictures.picture.opened", lambda *_, **__: pytest.fail("decoded here"))
    monkeypatch.setattr("adaptedit.pictures.read.opened", lambda *_, **__: pytest.fail("decoded here"))
    asked: list[str] = []
    decode = DecoderPool._decode

    def counted(self: Any, request: Any, decoding: Any) -> Any:
        asked.append(request.name)
        return decode(self, request, decoding)

    monkeypatch.setattr(DecoderPool, "_decode", counted)
    with serving(pipe) as served:
        assert served.post(image=PICTURE, mask=alpha_mask((9, 9, 60, 60)), prompt="x").status_code == 200
        assert served.post("/v1/regions", image=PICTURE, prompt="x").status_code == 200
    assert asked == ["the image", "the mask", "the image"]


def test_who_leaves_ends_the_decoding(pipe: AdaptEditPipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, stopped = threading.Event(), threading.Event()
    decode = DecoderPool._decode

    def held(self: Any, request: Any, decoding: Any) -> Any:
        begun.set()
        stop = decoding.stop
        decoding.stop = lambda: (stopped.set(), stop())
        assert stopped.wait(LONG)
        return decode(self, request, decoding)

    monkeypatch.setattr(DecoderPool, "_decode", held)
    with serving(pipe, places=1) as served:
        one = leaving(served, "x", PICTURE)
        assert begun.wait(LONG)
        one.close()
        assert stopped.wait(LONG)
        until(lambda: served.worker.taken == 0)
        assert served.post(image=PICTURE, prompt="x").status_code == 200


def test_pictures_wait_while_too_much_is_held() -> None:
    async def scenario() -> None:
        memory, order = Decoded(100, 2), list[str]()

        async def decoded(name: str, size: int) -> None:
            async with memory.turn():
                order.append(name)
                memory.add(size)

        await asyncio.gather(decoded("a", 60), decoded("b", 60))
        waiting = [asyncio.create_task(decoded(name, 60)) for name in "cde"]
        await asyncio.sleep(0)
        assert order == ["a", "b"]
        waiting[1].cancel()  # its caller has left
        memory.remove(60)
        await asyncio.gather(waiting[0])
        memory.remove(60)
        await asyncio.gather(waiting[2])
        assert order == ["a", "b", "c", "e"] and memory.held == 120

    asyncio.run(scenario())


# -- masks and points


def specks(size: tuple[int, int]) -> bytes:
    alpha = np.full(size[::-1], 255, np.uint8)
    alpha[::2, ::2] = 0
    mask = Image.new("RGBA", size)
    mask.putalpha(Image.fromarray(alpha))
    return png(mask)


def test_masks_of_specks_are_edited_like_any_other(pipe: AdaptEditPipeline) -> None:
    """What they cost is bounded in tests/test_region_costs.py."""
    with serving(pipe) as served:
        points = ["0,0", "2,2", "4,4", "6,6"]
        picture = png(noise((400, 300)))
        for options in ({}, {"include": points}, {"exclude": points}, {"grow": "256"}, {"feather": "0"}):
            answer = served.post(image=picture, mask=specks((400, 300)), prompt="x", **options)
            assert answer.status_code == 200, answer.text
        many = ["0,0"] * 33
        assert code(served.post(image=picture, prompt="x", include=many)) == (400, "invalid_value")


def test_many_candidates_of_a_large_picture_are_refused(gated: AdaptEditPipeline) -> None:
    assert isinstance(gated.backbone, GatedBackbone)
    gated.backbone.go.set()
    with serving(gated, max_pixels=20_000) as served:
        answer = served.post(image=PICTURE, prompt="x", n="8")
        assert code(answer) == (400, "invalid_value") and "ask for 7" in answer.json()["error"]["message"]
        assert gated.backbone.calls == []
        assert served.post(image=PICTURE, prompt="x", n="7").status_code == 200


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


# -- formats, the disk, messages


@pytest.mark.parametrize(("kind", "size"), [("webp", (16_384, 1)), ("jpeg", (1, 65_501))])
def test_sides_that_a_format_cannot_hold_are_refused_before_the_edit(
    kind: str, size: tuple[int, int], gated: AdaptEditPipeline
) -> None:
    assert isinstance(gated.backbone, GatedBackbone)
    with serving(gated) as served:
        answer = served.post(image=png(Image.new("RGB", size)), prompt="x", output_format=kind)
        assert code(answer) == (400, "invalid_value")
        assert (
            "pixels a side" in answer.json()["error"]["message"]
            and "png" in answer.json()["error"]["message"]
        )
    assert gated.backbone.calls == []


def test_a_disk_that_is_full_is_not_noticed(pipe: AdaptEditPipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of a request is written to it."""
    with serving(pipe) as served:
        for name in ("mkstemp", "mkdtemp", "TemporaryFile", "SpooledTemporaryFile"):
            monkeypatch.setattr(tempfile, name, lambda *_, **__: pytest.fail("a file"))
        monkeypatch.setattr(Path, "write_bytes", lambda *_: pytest.fail("a file"))
        for kind in ("png", "jpeg", "webp"):
            assert served.post(image=PICTURE, prompt="x", output_format=kind).status_code == 200


def test_what_the_system_refuses_is_our_fault_and_names_no_path(
    pipe: AdaptEditPipeline, log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device", "/tmp/secret/file")

    monkeypatch.setattr(pipe.backbone, "edit", full)
    with serving(pipe) as served:
        answer = served.post(image=PICTURE, prompt="x")
        assert code(answer) == (500, "internal_error") and "secret" not in answer.text
    lines = [json.loads(line) for line in log.getvalue().splitlines() if '"unforeseen"' in line]
    assert [line["level"] for line in lines] == ["error"]


def test_an_error_does_not_repeat_a_long_prompt(pipe: AdaptEditPipeline) -> None:
    pipe.adapter.certainty = 0.1  # type: ignore[union-attr, assignment]
    with serving(pipe) as served:
        answer = served.post(image=PICTURE, prompt="word " * 700)
        assert code(answer) == (422, "region_not_found") and len(answer.json()["error"]["message"]) < 300


# -- keys


def test_a_file_of_keys_as_people_write_them(tmp_path: Path) -> None:
    file = tmp_path / "keys.txt"
    file.write_bytes(b"\xef\xbb\xbffirst\r\n# all of it\n  second # of Eve\n\nthird#with-a-sign\n")
    found = keys.read(file, " fourth , ,fifth")
    for key in ("first", "second", "third#with-a-sign", "fourth", "fifth"):
        keys.check(found, f"Bearer {key}")
    for key in ("of", "Eve", "# all of it", "", "\ufefffirst", "second # of Eve"):
        with pytest.raises(Problem):
            keys.check(found, f"Bearer {key}")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "holds no key"),
        (b"# nothing\n \n", "holds no key"),
        ("schl\u00fcssel\n".encode(), "key 1 has .* not ASCII"),
        (b"good\ntwo words\n", "key 2 has a space"),
        (b"\xff\xfek\x00e\x00y\x00", "not UTF-8 text"),
        (b"nul\x00key", "key 1"),
    ],
)
def test_a_file_of_keys_that_cannot_be_used_stops_the_start(
    data: bytes, message: str, tmp_path: Path
) -> None:
    (tmp_path / "keys.txt").write_bytes(data)
    with pytest.raises(AdaptEditError, match=message):
        keys.read(tmp_path / "keys.txt", None)
    for file in (tmp_path, tmp_path / "none.txt"):
        with pytest.raises(AdaptEditError, match="cannot be read"):
            keys.read(file, None)
