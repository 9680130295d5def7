"""Bearer keys: read from the environment or a file, kept as digests, compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from pathlib import Path

from adaptedit.errors import AdaptEditError
from adaptedit.interfaces.serve.problems import Problem

VARIABLE = "ADAPTEDIT_API_KEYS"


def read(file: Path | None, variable: str | None) -> tuple[bytes, ...]:
    """Digests of the keys in both: one a line in the file (# starts a comment), commas in the variable.

    Raises AdaptEditError if the file cannot be read, or if either is given and holds no key: then whoever
    started the server means it to be closed.
    """
    found: list[str] = []
    if file is not None:
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise AdaptEditError(f"{file}: cannot be read ({error}); give a text file of keys") from None
        found += _some([line for line in lines if not line.lstrip().startswith("#")], str(file))
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
    return keys


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
