"""What visitors of the page may send, and how much it keeps for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from adaptedit.interfaces.hosts import App, Scope


@dataclass(frozen=True, kw_only=True)
class Limits:
    """max_pixels: of a picture. max_bytes: of a file. session_bytes: of all sessions, see `Sessions`.

    decoders: processes that decode pictures. decode: seconds for one picture.
    """

    max_pixels: int
    max_bytes: int
    session_bytes: int
    decoders: int = 2
    decode: float = 20.0


# For one person at his own machine, whose camera may have 50 megapixels; for others, as `adaptedit serve`.
OWN = Limits(max_pixels=50_000_000, max_bytes=200_000_000, session_bytes=2_000_000_000)
SHARED = Limits(max_pixels=16_000_000, max_bytes=20_000_000, session_bytes=1_000_000_000, decode=10.0)


class BodyLimit:
    """ASGI middleware: a request with a longer body is answered 413, before all of it is in memory."""

    def __init__(self, app: App, most: int) -> None:
        self.app, self.most = app, most

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        declared = [value for name, value in scope["headers"] if name == b"content-length"]
        if any(value.isdigit() and int(value) > self.most for value in declared):
            await self._refuse(send)
            return
        total, answered = 0, False

        async def counted() -> Any:
            nonlocal total
            message = await receive()
            total += len(message.get("body", b""))
            if total > self.most:
                raise _TooLong
            return message

        async def noted(message: Any) -> None:
            nonlocal answered
            answered = True
            await send(message)

        try:
            await self.app(scope, counted, noted)
        except _TooLong:
            if not answered:
                await self._refuse(send)

    async def _refuse(self, send: Any) -> None:
        headers = [(b"content-type", b"text/plain"), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": 413, "headers": headers})
        text = f"the request is over {self.most / 1e6:g} MB; send less".encode()
        await send({"type": "http.response.body", "body": text})


class _TooLong(Exception):
    pass
