"""Bearer keys: read from the environment or a file, kept as digests, compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from pathlib import Path

from adaptedit.errors import AdaptEditError
from adaptedit.interfaces.serve.problems import Problem

VARIABLE = "ADAPTEDIT_API_KEYS"
COMMENT = re.compile(r"(^|\s)#.*")
SENDABLE = re.compile(r"[!-~]+")


def read(file: Path | None, variable: str | None) -> tuple[bytes, ...]:
    """Digests of the keys in both.

    file: a key on each line; what follows a # at the start of a line or after a space is a comment. variable:
    keys with commas between them. Raises AdaptEditError if the file cannot be read, if a key could not be
    sent in a header, or if either is given and holds no key: whoever gives it means the server to be closed.
    """
    found: list[str] = []
    if file is not None:
        try:
            lines = file.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
            raise AdaptEditError(f"{file}: cannot be read ({reason}); give a text file of keys") from None
        found += _some([COMMENT.sub("", line) for line in lines], str(file))
    if variable is not None:
        found += _some(variable.split(","), f"${VARIABLE}")
    return tuple(_digest(key) for key in found)


def check(keys: Sequence[bytes], authorization: str | None) -> None:
    """Raises Problem 401 unless the header is "Bearer KEY" with one of the keys, or none are asked for."""
    if not keys:
        return
    scheme, _, key = (authorization or "").partition(" ")
    given = _digest(key.strip())
    matches = [hmac.compare_digest(given, one) for one in keys]  # all of them, whichever it is
    if scheme.lower() != "bearer" or not any(matches):
        raise Problem(
            401,
            "invalid_api_key",
            "the API key is missing or wrong; send the header Authorization: Bearer KEY",
            headers={"WWW-Authenticate": "Bearer"},
        )


def _some(entries: list[str], name: str) -> list[str]:
    keys = [entry.strip() for entry in entries if entry.strip()]
    if not keys:
        raise AdaptEditError(f"{name} holds no key; put one in, or leave it out for a server without keys")
    for number, key in enumerate(keys, 1):
        if not SENDABLE.fullmatch(key):
            raise AdaptEditError(
                f"{name}: key {number} has a space, or a character that is not ASCII, which no client can "
                "send; use letters, digits and signs"
            )
    return keys


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
