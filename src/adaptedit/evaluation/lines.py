"""JSON lines that several processes append to and any kill leaves readable: OUT/shards/NAME.RANK.jsonl."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from adaptedit.files import write_atomically

Row = dict[str, Any]


def append(out: Path, name: str, rank: int, row: Row) -> None:
    """One line, in one write. What a kill left of an earlier line is ended first, so it spoils nothing."""
    path = out / "shards" / f"{name}.{rank}.jsonl"
    with path.open("a+b") as file:
        if file.tell():
            file.seek(-1, 2)
            if file.read(1) != b"\n":
                file.write(b"\n")
        file.write(json.dumps(row).encode() + b"\n")


def read(out: Path, name: str) -> list[Row]:
    """All whole lines of every shard. A line cut short by a kill is left out."""
    rows = []
    for path in sorted((out / "shards").glob(f"{name}.*.jsonl")):
        for line in path.read_bytes().splitlines():
            try:
                rows.append(json.loads(line))
            except ValueError:  # of JSON or of UTF-8
                continue
    return rows


def merged(out: Path, name: str, rows: list[Row]) -> None:
    """Writes NAME.jsonl; the shards stay, another process may still be writing its last line."""
    write_atomically(out / f"{name}.jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode())
