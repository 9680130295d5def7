"""The sessions of a page's visitors, within a number of bytes.

They are kept here and not in Gradio's state, which lets go of the oldest session when there are many: whoever
makes up a thousand visitors would end the sessions of all others.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from adaptedit.errors import AdaptEditError
from adaptedit.interfaces.ui.session import Session

IDLE = 900.0  # seconds without a click, after which a session may go where memory is short
FORGOTTEN = (
    3600.0  # seconds without a click, after which it goes in any case; files in Gradio's cache go then too
)


@dataclass
class _Held:
    """closed: the visitor has left the page, or reloaded it."""

    session: Session
    peer: str
    used: float
    closed: bool = False
    bytes: int = field(init=False)

    def __post_init__(self) -> None:
        self.bytes = self.session.bytes()


class Sessions:
    """By the name that Gradio gives to each load of the page. most: bytes of all of them together.

    Where a new picture has no room, these go, the longest unused first: sessions of closed pages, the
    visitor's own older edits, the same address's other sessions, sessions unused for a quarter of an hour.
    """

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.most = most
        self._clock = clock
        self._held: dict[str, _Held] = {}
        self._lock = threading.Lock()

    @property
    def bytes(self) -> int:
        return sum(held.bytes for held in self._held.values())

    def get(self, name: str) -> Session | None:
        with self._lock:
            held = self._held.get(name)
            if held is None:
                return None
            held.used, held.closed = self._clock(), False
            return held.session

    def put(self, name: str, peer: str, session: Session | None) -> Session | None:
        """Keeps the session, perhaps with fewer edits than it has, and returns it so. None ends it.

        Raises AdaptEditError if there is no room for it; then what was there before stays.
        """
        with self._lock:
            if session is None:
                self._held.pop(name, None)
                return None
            before = self._held.get(name)
            if before is not None and before.session is session:
                return session
            held = _Held(session, peer, self._clock())
            others = {key: one for key, one in self._held.items() if key != name}
            going = self._making_room(held, others)
            for key in going:
                del self._held[key]
            self._held[name] = held
            return held.session

    def close(self, name: str) -> None:
        """The visitor has left; he may come back, as a phone does that was asleep."""
        with self._lock:
            if name in self._held:
                self._held[name].closed = True

    def _making_room(self, held: _Held, others: dict[str, _Held]) -> list[str]:
        """Takes older edits from `held`; the names of those that have to go."""
        now = self._clock()
        oldest = sorted(others, key=lambda key: others[key].used)
        going = [key for key in oldest if now - others[key].used > FORGOTTEN]
        over = sum(one.bytes for one in others.values()) + held.bytes - self.most
        over -= sum(others[key].bytes for key in going)

        def let_go(may: Callable[[_Held], bool]) -> None:
            nonlocal over
            for key in oldest:
                if over > 0 and key not in going and may(others[key]):
                    going.append(key)
                    over -= others[key].bytes

        let_go(lambda one: one.closed)
        while over > 0 and len(held.session.edits) > 1:
            before = held.bytes
            held.session = _without_oldest(held.session)
            held.bytes = held.session.bytes()
            over -= before - held.bytes
        let_go(lambda one: one.peer == held.peer)
        let_go(lambda one: now - one.used > IDLE)
        if over > 0:
            raise AdaptEditError(
                "this page holds as many pictures as its memory allows; try again in a few minutes, "
                "or with a smaller picture"
            )
        return going


def _without_oldest(session: Session) -> Session:
    return replace(session, edits=session.edits[1:], shown=max(session.shown - 1, -1))
