"""JSON lines that several processes write at the same time: OUT/shards/NAME.RANK.jsonl, one for each.

They stay readable when a process is killed at any moment.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from adaptedit.files import write_atomically

Row = dict[str, Any]


def append(out: Path, name: str, rank: int | str, row: Row) -> None:
    """Writes one line, in one write. If a killed process left an unfinished line, that line is ended first.

    rank: the number of the only process that writes this file, or another name for it. Raises OSError.
    """
    path = out / "shards" / f"{name}.{rank}.jsonl"
    with path.open("a+b") as file:
        if file.tell():
            file.seek(-1, 2)
            if file.read(1) != b"\n":
                file.write(b"\n")
        file.write(json.dumps(row).encode() + b"\n")


def read(out: Path, name: str) -> list[Row]:
    """All rows of every shard. A line that is not a JSON object is left out, such as an unfinished one."""
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
    """Writes NAME.jsonl. The shards stay, because another process may still be writing its last line."""
    write(out / f"{name}.jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode())
