"""A server in a thread, on a real socket, with fakes for models: what its tests share."""

from __future__ import annotations

import base64
import io
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from adaptedit.backbones.base import Edited
from adaptedit.editing.pipeline import AdaptEditPipeline
from adaptedit.interfaces.serve.observe import JsonLines
from adaptedit.interfaces.serve.server import DrainingServer, configuration
from adaptedit.interfaces.serve.settings import Settings
from adaptedit.interfaces.serve.worker import Worker
from conftest import FakeAdapter, FakeBackbone

SIZE = (120, 90)
LONG = 30.0  # seconds; only a broken test waits as long


@dataclass
class Served:
    url: str
    worker: Worker
    server: DrainingServer
    thread: threading.Thread

    def post(self, route: str = "/v1/images/edits", **fields: Any) -> httpx.Response:
        """Fields as text, bytes and lists of bytes as uploads, other lists as repeated fields."""
        listed = {name: value if isinstance(value, list) else [value] for name, value in fields.items()}
        uploads = {name: values for name, values in listed.items() if isinstance(values[0], bytes)}
        files = [(name, ("x.png", value)) for name, values in uploads.items() for value in values]
        data = {name: value for name, value in fields.items() if name not in uploads}
        return httpx.post(self.url + route, data=data, files=files or [("no", ("", b""))], timeout=LONG)

    def get(self, route: str) -> httpx.Response:
        return httpx.get(self.url + route, timeout=LONG)


@contextmanager
def serving(
    pipe: AdaptEditPipeline | Callable[[], AdaptEditPipeline], drain: float = LONG, **settings: Any
) -> Iterator[Served]:
    load = pipe if not isinstance(pipe, AdaptEditPipeline) else lambda: pipe
    told = Settings(model="fake", **settings)
    worker = Worker(load, told.places, told.max_batch)
    config = configuration(told, worker)
    config.port, config.timeout_graceful_shutdown = 0, 5
    server = DrainingServer(config, worker, drain)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until(lambda: server.started and worker.state != "loading")
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield Served(f"http://127.0.0.1:{port}", worker, server, thread)
    finally:
        server.should_exit = True
        thread.join(LONG)
        assert not thread.is_alive()


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def leaving(served: Served, prompt: str, picture: bytes) -> socket.socket:
    """A whole request on a connection that can be closed before its answer."""
    request = httpx.Request(
        "POST", f"{served.url}/v1/images/edits", data={"prompt": prompt}, files={"image": picture}
    )
    head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    host, port = request.url.host, request.url.port
    one = socket.create_connection((host, port or 0))
    one.sendall(f"POST /v1/images/edits HTTP/1.1\r\n{head}\r\n".encode() + request.read())
    return one


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + LONG
    while not condition():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.005)


class GatedBackbone(FakeBackbone):
    """Each call waits for `go`. edits: the prompts of those that began; ended: of those that ended."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()
        self.calls: list[list[str]] = []
        self.ended: list[str] = []

    @property
    def edits(self) -> list[str]:
        return [prompt for call in self.calls for prompt in call]

    def edit(
        self, images: Sequence[Image.Image], prompts: Sequence[str], *args: Any, **options: Any
    ) -> list[Edited]:
        self.calls.append(list(prompts))
        assert self.go.wait(LONG)
        edited = super().edit(images, prompts, *args, **options)
        self.ended += prompts
        return edited


@pytest.fixture
def gated() -> AdaptEditPipeline:
    return AdaptEditPipeline(GatedBackbone(), FakeAdapter())  # type: ignore[arg-type]


def noise(size: tuple[int, int] = SIZE, seed: int = 0) -> Image.Image:
    values = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(values)


def png(image: Image.Image, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", **options)
    return buffer.getvalue()


def decoded(b64: str) -> Image.Image:
    image = Image.open(io.BytesIO(base64.b64decode(b64)))
    image.load()
    return image


def alpha_mask(box: tuple[int, int, int, int], size: tuple[int, int] = SIZE) -> bytes:
    """OpenAI's: transparent where to edit."""
    mask = Image.new("RGBA", size, (255, 255, 255, 255))
    mask.paste((0, 0, 0, 0), box)
    return png(mask)


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What `serve` would write to stderr."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield stream
    root.removeHandler(handler)
    root.setLevel(level)
