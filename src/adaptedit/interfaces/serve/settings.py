"""What the operator decides."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Settings:
    """model: the name that `GET /v1/models` answers. Times in seconds; the defaults are our choice.

    keys: digests of the bearer keys, see `keys`; none: everybody may.
    places: requests inside the server at once, from the first byte of the upload to the last of the answer.
    max_batch: of these, edited together; see `Together`.
    max_bytes: of a request's body. max_pixels: of a picture or mask.
    transfer: for an upload to come in, and again for an answer to go out. work: to wait and to be edited.
    log_prompts: write instructions, and the messages that quote them, to the log.
    """

    model: str
    keys: tuple[bytes, ...] = ()
    places: int = 32
    max_batch: int = 8
    max_bytes: int = 20_000_000
    max_pixels: int = 16_000_000
    transfer: float = 60.0
    work: float = 300.0
    log_prompts: bool = False
