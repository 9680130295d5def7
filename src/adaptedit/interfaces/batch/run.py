"""A batch from its records to its manifest, resumed where an earlier run of it stopped."""

from __future__ import annotations

import os
import re
import stat
import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import closing, suppress
from pathlib import Path

from adaptedit.interfaces.batch import manifest
from adaptedit.interfaces.batch.claims import Claims
from adaptedit.interfaces.batch.editor import Start
from adaptedit.interfaces.batch.records import Record
from adaptedit.jsonl import Row

LEFTOVER = re.compile(r"\.[0-9a-f]{16}\.tmp")  # of `files.replacing`, when it was killed
LEFTOVER_AGE = 3600.0  # seconds; a younger one may be another shard's, which is writing it


def here(records: list[Record], start: Start) -> Generator[Row]:
    """In this process, one after the other."""
    if records:
        yield from map(start(0), records)


def left(out: Path, records: list[Record], retry_failed: bool = False) -> list[Record]:
    """Records that have no line yet, or whose pictures are gone or changed; failed ones too if asked."""
    known = manifest.latest(out, records)

    def settled(record: Record) -> bool:
        one = known.get(record.id)
        if one is None or (retry_failed and one["status"] == "failed"):
            return False
        return one["status"] != "done" or manifest.is_done(out, record, one)

    return [record for record in records if not settled(record)]


def run(
    records: list[Record],
    ours: list[Record],
    rows: Generator[Row],
    out: Path,
    *,
    shard: int = 0,
    on_row: Callable[[Row], None] = lambda row: None,
) -> Counter[str]:
    """Notes every row as it comes, then writes manifest.jsonl. Returns how many of `ours` have each status.

    records: of all shards. rows: of the unfinished ones of `ours`. shard: this one's number.
    """
    _sweep(out, ours)
    with closing(rows):
        for row in rows:
            manifest.append(out, shard, row)
            on_row(row)
    known = manifest.merge(out, records)
    return Counter(known[record.id]["status"] for record in ours if record.id in known)


def _sweep(out: Path, records: list[Record]) -> None:
    """Removes half-written files of killed runs beside the pictures: claimed by them, or still empty."""
    claims: Claims | None = None
    for folder in {out, *((out / path).parent for record in records for path in record.outputs)}:
        for path in _leftovers(folder):
            with suppress(OSError):  # it is gone, or its owner does not let us
                status = os.lstat(path)
                if not stat.S_ISREG(status.st_mode) or time.time() - status.st_mtime <= LEFTOVER_AGE:
                    continue
                claims = claims or Claims.of(out)
                if status.st_size == 0 or path.name in claims.temporaries:
                    path.unlink()


def _leftovers(folder: Path) -> list[Path]:
    with suppress(OSError), os.scandir(folder) as entries:  # the folder may not be there yet
        return [folder / entry.name for entry in entries if LEFTOVER.fullmatch(entry.name)]
    return []
