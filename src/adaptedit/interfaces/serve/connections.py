"""HTTP/1.1 as uvicorn speaks it, with what it lacks: time limits for a request's head, and a fair share each.

Without them a few hundred connections that send nothing, or half a head, keep everybody out as long as they
like.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 5\r\n"
    b"connection: close\r\ncontent-length: %d\r\n\r\n%s"
)
TOO_MANY = (
    b'{"error":{"message":"too many connections from this address; close some and try again",'
    b'"type":"server_error","param":null,"code":"too_many_connections"}}'
)


def limited(*, idle: float, per_peer: int) -> type[H11Protocol]:
    """For uvicorn. idle: seconds for a head. per_peer: connections from one address; 0: no limit."""
    peers: Counter[str] = Counter()

    class Limited(H11Protocol):
        """Closes connections whose request does not come, and those that are too many."""

        _peer: str | None = None
        _timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            peer = self.client[0] if self.client else None
            if peer is not None and per_peer and peers[peer] >= per_peer:
                transport.write(BUSY % (len(TOO_MANY), TOO_MANY))
                transport.close()
                return
            if peer is not None:
                self._peer = peer
                peers[peer] += 1
            self._watch()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._watch()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._watch()

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            self._stop_timer()
            if self._peer is not None:
                peers[self._peer] -= 1
                if not peers[self._peer]:
                    del peers[self._peer]
                self._peer = None

        def _watch(self) -> None:
            """The clock runs while no whole head is there."""
            answered = self.conn.our_state is h11.DONE  # and the rest of a body is still coming
            if not (answered or self.conn.their_state is h11.IDLE) or self.transport.is_closing():
                self._stop_timer()
            elif self._timer is None:
                self._timer = self.loop.call_later(idle, self._close)

        def _close(self) -> None:
            self._timer = None
            if not self.transport.is_closing():
                self.transport.close()

        def _stop_timer(self) -> None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    return Limited
