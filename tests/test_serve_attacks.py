"""What was tried against the server from outside: it costs who sends it, and nobody else."""

from __future__ import annotations

import asyncio
import io
import json
import tempfile
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from adaptedit.editing.pipeline import AdaptEditPipeline
from adaptedit.interfaces.serve.memory import Decoded
from adaptedit.pictures.pool import DecoderPool
from serving import (
    LONG,
    GatedBackbone,
    alpha_mask,
    code,
    gated,
    leaving,
    log,
    noise,
    png,
    serving,
    until,
)
from test_structure import REFUSED, with_scans

__all__ = ["gated", "log"]

PICTURE = png(noise())


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
