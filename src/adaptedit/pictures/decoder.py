"""A process that decodes pictures for `pool`, so that a picture that takes too much costs only this process.

It reads requests from its standard input and writes answers to its standard output, each a length and a
pickle, until the input ends. It imports neither torch nor an editor.
"""

from __future__ import annotations

import ctypes
import os
import pickle
import signal
import struct
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

from PIL import Image

from adaptedit.errors import AdaptEditError
from adaptedit.pictures.picture import Picture
from adaptedit.pictures.read import opened, upright

LENGTH = struct.Struct("<Q")
READY = "ready"
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Request:
    """source: a file's bytes, or its path. name: starts the errors. formats, max_pixels: see `read.opened`.

    kind: what to answer. "picture": the `original` of a `Picture`; "image": the PIL image, as it is decoded.
    """

    kind: Literal["picture", "image"]
    source: bytes | Path
    name: str
    formats: Sequence[str]
    max_pixels: int

    def answer(self) -> Any:
        """Raises AdaptEditError as `Picture.read`."""
        if self.kind == "picture":
            picture = Picture.read(
                self.source, name=self.name, formats=self.formats, max_pixels=self.max_pixels
            )
            return picture.original
        with opened(self.source, name=self.name, formats=self.formats, max_pixels=self.max_pixels) as image:
            plain = Image.Image()
            plain.__setstate__(Image.Image.__getstate__(upright(image, self.name)))  # of no file format
            return plain


def send(stream: BinaryIO, message: Any) -> None:
    data = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    stream.write(LENGTH.pack(len(data)))
    stream.write(data)
    stream.flush()


def receive(stream: BinaryIO) -> Any:
    """Raises EOFError where the other side has ended."""
    (length,) = LENGTH.unpack(_exactly(stream, LENGTH.size))
    return pickle.loads(_exactly(stream, length))


def _exactly(stream: BinaryIO, count: int) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise EOFError
    return data


def main(memory: int) -> None:
    """memory: bytes that a picture may take, on top of what this process has when it starts."""
    for name in ("SIGINT", "SIGTERM"):  # the parent ends this process, by closing its input or by force
        with suppress(AttributeError, ValueError):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    with suppress(AttributeError, OSError):
        os.nice(10)  # whoever waits for other things goes first
    _die_with_parent()
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):  # what a C library prints goes nowhere
        os.dup2(nothing, number)
    _limit_memory(memory)
    with suppress(EOFError, BrokenPipeError):
        send(answers, READY)
        while True:
            request: Request = receive(requests)
            try:
                answer = request.answer()
            except AdaptEditError as error:
                answer = error
            del request
            send(answers, answer)
            del answer


def _die_with_parent() -> None:
    """Also in the middle of a picture, where the end of the input is not seen (Linux)."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _limit_memory(memory: int) -> None:
    """By the address space, where the system can limit it (Linux; not Windows, and macOS ignores it)."""
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * os.sysconf("SC_PAGE_SIZE") + memory
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (ImportError, OSError, ValueError):
        return
