"""What became of every record: OUT/manifest.jsonl, and OUT/manifest.json about all of it.

While a run is going on its lines are in OUT/shards/, one file a shard. One process writes each.
"""

from __future__ import annotations

import hashlib
import json
import platform
import time
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from adaptedit import __version__
from adaptedit.errors import AdaptEditError
from adaptedit.evaluation import lines
from adaptedit.evaluation.lines import Row
from adaptedit.files import write_atomically
from adaptedit.interfaces.batch.records import Record

Status = Literal["done", "failed", "no_region", "global"]
STATUSES: tuple[Status, ...] = ("done", "failed", "no_region", "global")
NAME = "manifest"
WEIGHTS = Path(__file__).parents[2] / "weights" / "tiny"


def row(record: Record, status: Status, error: str | None = None) -> Row:
    """A line of the manifest, of a record that gave no picture."""
    return {
        "id": record.id,
        "status": status,
        "outputs": [],
        "sha256": [],
        "seed": record.seed,
        "coverage": None,
        "confidence": None,
        "seconds": 0.0,
        "error": error,
        "record": record.digest,
        "finished": time.time(),
    }


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


AFTER_A_FAILED_WRITE = "make room, then run the same command: it goes on from here"


def append(out: Path, shard: int, one: Row) -> None:
    """AdaptEditError if the disk is full; what was written of the line by then does no harm."""
    try:
        lines.append(out, NAME, shard, one)
    except OSError as error:
        raise AdaptEditError(
            f"{out / 'shards'}: cannot be written ({error.strerror}); {AFTER_A_FAILED_WRITE}"
        ) from None


def latest(out: Path, records: Iterable[Record]) -> dict[str, Row]:
    """By id, the newest line of each record that is as it was when that was written."""
    newest: dict[str, Row] = {}
    digests = {record.id: record.digest for record in records}
    for one in sorted(lines.read(out, NAME), key=lambda one: float(one["finished"])):
        if digests.get(one["id"]) == one["record"]:
            newest[one["id"]] = one
    return newest


def is_done(out: Path, one: Row) -> bool:
    """Its pictures are there, and are the very ones."""
    try:
        found = [sha256(out / path) for path in one["outputs"]]
        return bool(one["status"] == "done" and found == one["sha256"])
    except OSError:
        return False


def merge(out: Path, records: list[Record]) -> dict[str, Row]:
    """Writes manifest.jsonl, a line for each record that has one, in the records' order; returns `latest`.

    Shards may end at the same time: whoever has written looks whether more has come, so the last knows all.
    """
    known: dict[str, Row] = {}
    seen: dict[str, int] | None = None
    while seen != (now := _sizes(out)):
        seen, known = now, latest(out, records)
        lines.merged(out, NAME, [known[record.id] for record in records if record.id in known])
    return known


def _sizes(out: Path) -> dict[str, int]:
    """Of files that only grow."""
    return {path.name: path.stat().st_size for path in (out / "shards").iterdir()}


def describe(out: Path, backbone: str, adapter: str | None) -> None:
    """Writes manifest.json, or checks that it is of the same editor and notes other versions.

    Raises AdaptEditError for another editor, or if the folder cannot be made.
    """
    try:
        (out / "shards").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AdaptEditError(f"{out}: cannot be made ({error.strerror}); give another --out") from None
    path = out / "manifest.json"
    editor: Row = {"backbone": _weights(backbone), "adapter": _weights(adapter)}
    versions = {name: version(name) for name in ("torch", "diffusers", "transformers", "numpy", "pillow")}
    versions = {"adaptedit": __version__, "python": platform.python_version()} | versions
    header: Row = editor | {"versions": [versions]}
    if path.exists():
        before = json.loads(path.read_text("utf-8"))
        for part, now in editor.items():
            if before[part] != now:
                raise AdaptEditError(
                    f"{out} holds a batch of {part} {before[part]}, not {now}; give another --out"
                )
        if versions in before["versions"]:
            return
        header["versions"] = [*before["versions"], versions]
    write_atomically(path, f"{json.dumps(header, indent=1)}\n".encode())


def _weights(name: str | None) -> Row | None:
    """Its name, and of weights on this disk their hash: the same name may be trained anew."""
    if name is None:
        return None
    folder = WEIGHTS if name == "tiny" else Path(name)
    if not folder.is_dir():
        return {"name": name}
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.safetensors")):
        digest.update(path.relative_to(folder).as_posix().encode())
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return {"name": name, "sha256": digest.hexdigest()}
