"""A multipart body into memory, within limits that hold while it comes in."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator

from python_multipart.multipart import parse_options_header
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from adaptedit.errors import quoted
from adaptedit.interfaces.serve.memory import Traffic
from adaptedit.interfaces.serve.problems import Problem

FILES = ("image", "mask")
MAX_FILES = 16  # more than any form takes, so that the form can say how many it takes
MAX_PARTS = 100
MAX_TEXT = 64 * 1024  # bytes of a part that is no file

CHARSETS = ("utf-8", "utf8", "us-ascii", "ascii")

Parts = dict[str, list[str | bytes]]  # bytes: an uploaded file


class _InMemory(MultiPartParser):
    spool_max_size = 2**62  # no temporary files: the limit on the body is what bounds it


async def read(request: Request, uploads: Traffic, *, max_bytes: int, idle: float, seconds: float) -> Parts:
    """The parts by name, `image[]` as `image`.

    uploads: counts the bytes while they come in. idle: seconds between two pieces. seconds: for all of it.
    Raises Problem 400, 408, 413, 415 or 503, and ClientDisconnect.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != b"multipart/form-data":
        raise Problem(
            415, "unsupported_media_type", "the body must be multipart/form-data, as a form sends it"
        )
    charset = options.get(b"charset", b"utf-8").decode("latin-1")
    if charset.lower() not in CHARSETS:
        message = f"the charset {quoted(charset)} is not known here; send the form in UTF-8"
        raise Problem(415, "unsupported_charset", message)
    try:
        return await asyncio.wait_for(_parts(request, uploads, max_bytes, idle), seconds)
    except asyncio.TimeoutError:
        raise _too_slow(f"over {seconds:g} seconds") from None
    except MultiPartException as error:
        raise Problem(400, "invalid_multipart", f"the multipart body is damaged: {error.message}") from None


async def _parts(request: Request, uploads: Traffic, max_bytes: int, idle: float) -> Parts:
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > max_bytes:
        raise _too_large(max_bytes)
    parser = _InMemory(
        request.headers,
        _limited(request, uploads, max_bytes, idle),
        max_files=MAX_FILES,
        max_fields=MAX_PARTS,
        max_part_size=MAX_TEXT,
    )
    form = await parser.parse()
    parts: Parts = defaultdict(list)
    for name, value in form.multi_items():
        parts[name.removesuffix("[]")].append(await value.read() if isinstance(value, UploadFile) else value)
    await form.close()
    return parts


async def _limited(
    request: Request, uploads: Traffic, max_bytes: int, idle: float
) -> AsyncGenerator[bytes, None]:
    total, stream = 0, request.stream()
    try:
        while True:
            try:
                chunk = await asyncio.wait_for(anext(stream), idle)
            except StopAsyncIteration:
                return
            except asyncio.TimeoutError:
                raise _too_slow(f"a pause of over {idle:g} seconds") from None
            uploads.add(len(chunk))
            total += len(chunk)
            if total > max_bytes:
                raise _too_large(max_bytes)
            yield chunk
    finally:
        uploads.remove(total)


def _too_slow(how: str) -> Problem:
    return Problem(408, "upload_timeout", f"the upload took {how}; send it again")


def _too_large(max_bytes: int) -> Problem:
    return Problem(413, "request_too_large", f"the request is over {max_bytes / 1e6:g} MB; send less")
