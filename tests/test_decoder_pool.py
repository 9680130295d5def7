"""Decoding in processes that can be killed: the same pictures, limits of time and memory, nothing left."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from concurrent import futures
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from adaptedit.errors import AdaptEditError
from adaptedit.pictures import pool as pools
from adaptedit.pictures.image16 import Image16
from adaptedit.pictures.picture import Picture
from adaptedit.pictures.pool import DecoderPool, wait
from adaptedit.pictures.read import TooManyPixels
from adaptedit.pictures.save import encode
from test_bad_pictures import noise
from test_structure import REFUSED, encoded, with_scans

LONG = 60.0


@pytest.fixture(scope="module")
def pool() -> Iterator[DecoderPool]:
    one = DecoderPool(2, max_pixels=2_000_000, seconds=LONG)
    one.start()
    yield one
    one.close()


def same(one: Picture, other: Picture) -> None:
    assert (one.mode, one.size) == (other.mode, other.size)
    assert one.rgb.tobytes() == other.rgb.tobytes()
    assert np.array_equal(np.asarray(one.original), np.asarray(other.original))
    assert one.original.info == other.original.info


PICTURES = {
    "JPEG": encoded("JPEG", progressive=True, dpi=(300, 300), icc_profile=bytes(500)),
    "PNG": encoded("PNG"),
    "WebP": encoded("WEBP", lossless=True),
    "RGBA": encode(Image.fromarray(noise(9, 8, 4)), ".png"),
    "LA": encode(Image.fromarray(noise(9, 8, 2)), ".png"),
    "16 bits": encode(Image16(noise(9, 8, 3).astype(np.uint16) * 257), ".png"),
    "16 bits grey": encode(Image16(noise(9, 8).astype(np.uint16) * 257), ".tif"),
    "turned": encoded(
        "JPEG", exif=bytes.fromhex("4578696600004d4d002a00000008000101120003000000010006000000000000")
    ),
}


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_are_the_same_as_decoded_here(name: str, pool: DecoderPool, tmp_path: Path) -> None:
    expected = Picture.read(PICTURES[name])
    same(pool.picture(PICTURES[name], name="x").future.result(LONG), expected)
    (tmp_path / "a").write_bytes(PICTURES[name])
    same(pool.picture(tmp_path / "a", name="x").future.result(LONG), expected)


def test_a_mask_keeps_its_alpha(pool: DecoderPool) -> None:
    image = Image.fromarray(noise(9, 8, 4))
    found = pool.image(encode(image, ".png"), name="x", formats=("PNG",)).future.result(LONG)
    assert type(found) is Image.Image and found.mode == "RGBA" and found.tobytes() == image.tobytes()


def test_errors_come_back_with_their_class_and_name(pool: DecoderPool) -> None:
    for data, message in ((b"x", "not a known kind"), (b"", "empty"), (encoded("PNG")[:200], "damaged")):
        with pytest.raises(AdaptEditError, match=f"the image: .*{message}"):
            pool.picture(data, name="the image").future.result(LONG)
    with pytest.raises(TooManyPixels, match="2 megapixels"):
        pool.picture(encoded("PNG", (2000, 1001)), name="x").future.result(LONG)
    with pytest.raises(AdaptEditError, match="give a PNG"):
        pool.image(encoded("JPEG"), name="x", formats=("PNG",)).future.result(LONG)
    for data in REFUSED.values():
        with pytest.raises(AdaptEditError, match="over|lossless|known kind"):
            pool.picture(data, name="x").future.result(LONG)


def test_a_picture_that_takes_too_long_costs_its_process_and_nothing_else() -> None:
    pool = DecoderPool(1, max_pixels=20_000_000, seconds=0.05)
    pool.start()
    try:
        slow = with_scans(5, (5000, 4000))
        with pytest.raises(AdaptEditError, match=r"the image: takes over 0.05 seconds to decode"):
            pool.picture(slow, name="the image").future.result(LONG)
        pool.seconds = LONG
        same(pool.picture(PICTURES["PNG"], name="x").future.result(LONG), Picture.read(PICTURES["PNG"]))
    finally:
        pool.close()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux limits the address space")
def test_a_picture_that_takes_too_much_memory_is_refused() -> None:
    pool = DecoderPool(1, max_pixels=20_000_000, seconds=LONG, memory=40_000_000)
    pool.start()
    try:
        for _ in range(2):
            with pytest.raises(AdaptEditError, match="more memory|MB of memory"):
                pool.picture(encoded("JPEG", (5000, 4000)), name="x").future.result(LONG)
        assert pool.picture(PICTURES["PNG"], name="x").future.result(LONG).mode == "RGB"
    finally:
        pool.close()


@pytest.mark.skipif(os.name == "nt", reason="no such signals")
def test_a_process_that_dies_is_replaced(pool: DecoderPool) -> None:
    for process in list(pool._all):
        os.kill(process._popen.pid, signal.SIGKILL)
        process._popen.wait()
    ended = 0
    for _ in range(4):
        try:
            assert pool.picture(PICTURES["PNG"], name="x").future.result(LONG).mode == "RGB"
        except (AdaptEditError, OSError):
            ended += 1
    assert ended <= 2 and len(pool._all) == 2


def test_who_leaves_the_queue_is_not_decoded_and_who_leaves_later_ends_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    begun, go = threading.Event(), threading.Event()
    ask = pools._Process.ask

    def held(self: Any, request: Any, seconds: float) -> Any:
        asked.append(request.name)
        begun.set()
        assert go.wait(LONG)
        return ask(self, request, seconds)

    monkeypatch.setattr(pools._Process, "ask", held)
    monkeypatch.setattr(pools, "GRACE", 0.0)
    pool = DecoderPool(1, max_pixels=2_000_000, seconds=LONG)
    pool.start()
    try:
        first, second, third = (pool.picture(PICTURES["PNG"], name=name) for name in ("1", "2", "3"))
        assert begun.wait(LONG)
        second.stop()
        assert second.future.cancelled()
        (process,) = pool._all
        first.stop()
        process._popen.wait(LONG)  # it is killed though it has not ended by itself
        go.set()
        with pytest.raises(AdaptEditError):
            first.future.result(LONG)
        assert third.future.result(LONG).mode == "RGB" and asked == ["1", "3"]
    finally:
        pool.close()


def test_who_leaves_while_a_process_starts_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    starting, go = threading.Event(), threading.Event()
    asked: list[str] = []
    start, ask = pools._Process.wait_until_ready, pools._Process.ask

    def held(self: Any) -> None:
        starting.set()
        assert go.wait(LONG)
        start(self)

    def noted(self: Any, request: Any, seconds: float) -> Any:
        asked.append(request.name)
        return ask(self, request, seconds)

    monkeypatch.setattr(pools._Process, "wait_until_ready", held)
    monkeypatch.setattr(pools._Process, "ask", noted)
    pool = DecoderPool(1, max_pixels=2_000_000, seconds=LONG)
    pool.start()
    try:
        first, second = (pool.picture(PICTURES["PNG"], name=name) for name in ("1", "2"))
        assert starting.wait(LONG)
        first.stop()
        go.set()
        with pytest.raises(CancelledError):
            first.future.result(LONG)
        assert second.future.result(LONG).mode == "RGB" and asked == ["2"]
    finally:
        pool.close()


def test_waiting_ends_when_the_caller_has_gone(pool: DecoderPool) -> None:
    assert wait(pool.picture(PICTURES["PNG"], name="x")).mode == "RGB"
    never: Any = pools.Decoding(futures.Future())
    with pytest.raises(CancelledError):
        wait(never, lambda: True, every=0.01)
    assert never.future.cancelled()


def test_a_picture_leaves_the_memory_at_once(pool: DecoderPool) -> None:
    """Not only when Python looks for circles."""
    gc.disable()
    try:
        decoding = pool.picture(PICTURES["PNG"], name="x")
        trace = weakref.ref(decoding.future.result(LONG))
        while pool.waiting:
            time.sleep(0.001)
        assert trace() is not None
        del decoding
        end = time.monotonic() + LONG  # the thread that made it forgets it a moment later
        while trace() is not None and time.monotonic() < end:
            time.sleep(0.01)
        assert trace() is None
    finally:
        gc.enable()


def test_a_closed_pool_leaves_no_process_and_no_thread_that_waits() -> None:
    pool = DecoderPool(2, max_pixels=2_000_000)
    pool.start()
    processes = [process._popen for process in pool._all]
    pool.picture(PICTURES["PNG"], name="x").future.result(LONG)
    pool.close()
    assert pool.picture(PICTURES["PNG"], name="late").future.cancelled()
    assert [process.wait(LONG) for process in processes] and not pool._all
    for thread in pool._threads._threads:
        thread.join(LONG)
        assert not thread.is_alive()


def test_a_decoder_imports_no_torch(pool: DecoderPool) -> None:
    code = "import sys, adaptedit.pictures.decoder; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
