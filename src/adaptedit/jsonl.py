"""JSON lines that several processes write at the same time: OUT/shards/NAME.RANK.jsonl, one file a process.

A kill at any moment leaves them readable.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from adaptedit.files import write_atomically

Row = dict[str, Any]


def append(out: Path, name: str, rank: int | str, row: Row) -> None:
    """One line, in one write. What a kill left of an earlier line is ended first, so it spoils nothing.

    rank: of the only process that writes this file, or another name for it. Raises OSError.
    """
    path = out / "shards" / f"{name}.{rank}.jsonl"
    with path.open("a+b") as file:
        if file.tell():
            file.seek(-1, 2)
            if file.read(1) != b"\n":
                file.write(b"\n")
        file.write(json.dumps(row).encode() + b"\n")


def read(out: Path, name: str) -> list[Row]:
    """All whole lines of every shard. What is no JSON object is left out, such as a line cut by a kill."""
    rows = []
    for path in sorted((out / "shards").glob(f"{name}.*.jsonl")):
        if path.is_file():
            for line in path.read_bytes().splitlines():
                try:
                    row = json.loads(line)
                except (ValueError, RecursionError):  # ValueError: of JSON or of UTF-8
                    continue
                if isinstance(row, dict):
                    rows.append(row)
    return rows


def merged(
    out: Path, name: str, rows: list[Row], write: Callable[[Path, bytes], None] = write_atomically
) -> None:
    """Writes NAME.jsonl; the shards stay, another process may still be writing its last line."""
    write(out / f"{name}.jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode())
