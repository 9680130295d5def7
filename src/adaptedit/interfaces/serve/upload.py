"""A multipart body into memory, within limits that hold while it comes in."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from adaptedit.interfaces.serve.problems import Problem

FILES = ("image", "mask")
MAX_PARTS = 100
MAX_TEXT = 64 * 1024  # bytes of a part that is no file

Parts = dict[str, list[str | bytes]]  # bytes: an uploaded file


class _InMemory(MultiPartParser):
    spool_max_size = 2**62  # no temporary files: the limit on the body is what bounds it


async def read(request: Request, *, max_bytes: int, seconds: float) -> Parts:
    """The parts by name, `image[]` as `image`. Raises Problem 400, 408, 413 or 415, and ClientDisconnect."""
    kind = request.headers.get("content-type", "")
    if kind.partition(";")[0].strip().lower() != "multipart/form-data":
        raise Problem(
            415, "unsupported_media_type", "the body must be multipart/form-data, as a form sends it"
        )
    try:
        return await asyncio.wait_for(_parts(request, max_bytes), seconds)
    except asyncio.TimeoutError:
        raise Problem(408, "upload_timeout", f"the upload took over {seconds:g} seconds") from None
    except MultiPartException as error:
        raise Problem(400, "invalid_multipart", f"the multipart body is damaged: {error.message}") from None


async def _parts(request: Request, max_bytes: int) -> Parts:
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > max_bytes:
        raise _too_large(max_bytes)
    parser = _InMemory(
        request.headers,
        _limited(request, max_bytes),
        max_files=len(FILES) + 1,
        max_fields=MAX_PARTS,
        max_part_size=MAX_TEXT,
    )
    form = await parser.parse()
    parts: Parts = defaultdict(list)
    for name, value in form.multi_items():
        parts[name.removesuffix("[]")].append(await value.read() if isinstance(value, UploadFile) else value)
    await form.close()
    return parts


async def _limited(request: Request, max_bytes: int) -> AsyncGenerator[bytes, None]:
    total = 0
    async for chunk in request.stream():
        total += len(chunk)
        if total > max_bytes:
            raise _too_large(max_bytes)
        yield chunk


def _too_large(max_bytes: int) -> Problem:
    return Problem(413, "request_too_large", f"the request is over {max_bytes / 1e6:g} MB; send less")
