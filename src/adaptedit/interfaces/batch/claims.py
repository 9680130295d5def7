"""Which files a batch wrote itself, known exactly after a kill at any moment.

Before a file takes its place, the process that writes it appends a line to OUT/shards/outputs.*.jsonl, a file
that nobody else writes: the path, the hash of the bytes, and the name of the temporary file.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from adaptedit.files import replacing
from adaptedit.jsonl import append, read

NAME = "outputs"


_RANDOM = secrets.token_hex(8)  # with the process's number: the name of the file that it alone writes


def replace(out: Path, path: str, data: bytes) -> None:
    """Claims a file, then writes it whole or not at all. path: relative to the batch's folder `out`.

    Raises OSError and, like `files.replacing`, AdaptEditError.
    """
    (out / "shards").mkdir(parents=True, exist_ok=True)
    with replacing(out / path) as temporary:
        claim = {"path": path, "sha256": sha256(data), "temporary": temporary.name}
        append(out, NAME, f"{_RANDOM}-{os.getpid()}", claim)
        temporary.write_bytes(data)


@dataclass(frozen=True)
class Claims:
    """files: the hashes of what the batch wrote, by path relative to the batch's folder.

    temporaries: names without a folder.
    """

    files: dict[str, list[str]]
    temporaries: set[str]

    @classmethod
    def of(cls, out: Path) -> Claims:
        """The claims that are on the disk now. Batches of older versions have only their "done" lines."""
        claims = cls({}, set())
        for one in read(out, NAME):
            claims.add(one.get("path"), one.get("sha256"))
            if isinstance(one.get("temporary"), str):
                claims.temporaries.add(one["temporary"])
        for one in read(out, "manifest"):
            paths, digests = one.get("outputs"), one.get("sha256")
            if one.get("status") == "done" and isinstance(paths, list) and isinstance(digests, list):
                for path, digest in zip(paths, digests, strict=False):
                    claims.add(path, digest)
        return claims

    def add(self, path: object, digest: object) -> None:
        """The texts of a line that may be damaged; anything else is left out."""
        if isinstance(path, str) and isinstance(digest, str):
            self.files.setdefault(path, []).append(digest)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
