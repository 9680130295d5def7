"""What the operator decides."""

from __future__ import annotations

from dataclasses import dataclass

from adaptedit.interfaces.hosts import LOOPBACK


@dataclass(frozen=True, kw_only=True)
class Settings:
    """model: the name that `GET /v1/models` answers. Times in seconds.

    keys: digests of the bearer keys, see `keys`; none: everybody may.
    hosts: names in the `Host` header that are answered, see `hosts.allowed`.
    places: requests at once that have come in whole and are not yet answered.
    max_batch: of these, edited together; see `Scheduler`.
    max_bytes: of a request's body. max_pixels: of a picture or mask.
    max_decoded: bytes of decoded pictures held at once; who comes when they are held waits for his turn.
    decoders: processes that decode. decode: for a picture to be decoded.
    idle: for a request's head to come in, and between two pieces of its body.
    transfer: for a body to come in, and again for an answer to go out. work: to wait and to be edited.
    per_peer: connections at once from one address; 0 for any number.
    log_prompts: write instructions, and the messages that quote them, to the log.
    """

    model: str
    keys: tuple[bytes, ...] = ()
    hosts: frozenset[str] = frozenset(LOOPBACK)
    places: int = 32
    max_batch: int = 8
    max_bytes: int = 20_000_000
    max_pixels: int = 16_000_000
    max_decoded: int = 1_000_000_000
    decoders: int = 2
    decode: float = 10.0
    idle: float = 10.0
    transfer: float = 60.0
    work: float = 300.0
    per_peer: int = 256
    log_prompts: bool = False
