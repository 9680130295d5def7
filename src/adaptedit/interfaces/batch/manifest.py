"""The result of every record: OUT/manifest.jsonl, and OUT/manifest.json about the batch.

During a run its lines are in OUT/shards/, one file per shard. One process writes each.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from adaptedit import __version__
from adaptedit import jsonl as lines
from adaptedit.editing import weights
from adaptedit.editing.options import LoadOptions
from adaptedit.errors import AdaptEditError
from adaptedit.interfaces.batch.claims import replace, sha256
from adaptedit.interfaces.batch.fields import named
from adaptedit.interfaces.batch.outputs import CannotWrite
from adaptedit.interfaces.batch.records import Record
from adaptedit.jsonl import Row

Status = Literal["done", "failed", "no_region", "global"]
STATUSES: tuple[Status, ...] = ("done", "failed", "no_region", "global")
NAME = "manifest"


def row(record: Record, status: Status, error: str | None = None) -> Row:
    """A line of the manifest for a record that gave no picture."""
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


def append(out: Path, shard: int, one: Row) -> None:
    """CannotWrite if the disk is full; a partly written line does no harm."""
    try:
        lines.append(out, NAME, shard, one)
    except OSError as error:
        raise CannotWrite.to(out / "shards", error) from None


def latest(out: Path, records: Iterable[Record]) -> dict[str, Row]:
    """By id, the newest line of each record that has not changed since.

    Lines that lack a field, or have another type in it, count as not there.
    """
    newest: dict[str, Row] = {}
    digests = {record.id: record.digest for record in records}
    whole = filter(_is_whole, lines.read(out, NAME))
    for one in sorted(whole, key=lambda one: float(one["finished"])):
        if digests.get(one["id"]) == one["record"]:
            newest[one["id"]] = one
    return newest


def _is_whole(one: Row) -> bool:
    finished = one.get("finished")
    return (
        all(isinstance(one.get(key), str) for key in ("id", "record", "status"))
        and one["status"] in STATUSES
        and all(_texts(one.get(key)) for key in ("outputs", "sha256"))
        and isinstance(finished, (int, float))
        and 0 <= finished < 1e12  # seconds since 1970
    )


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def is_done(out: Path, record: Record, one: Row) -> bool:
    """Whether its pictures exist and have the hashes of its line."""
    if one["status"] != "done" or one["outputs"] != list(record.outputs):
        return False
    try:
        paths = [out / path for path in record.outputs]
        return all(path.is_file() for path in paths) and (
            [sha256(path.read_bytes()) for path in paths] == one["sha256"]
        )
    except OSError:
        return False


def merge(out: Path, records: list[Record]) -> dict[str, Row]:
    """Writes manifest.jsonl, a line for each record that has one, in the records' order; returns `latest`.

    Shards may end at the same time: each looks for new lines after it has written, so the last one has all.
    Raises CannotWrite.
    """
    known: dict[str, Row] = {}
    seen: dict[str, int] | None = None
    while seen != (now := _sizes(out)):
        seen, known = now, latest(out, records)
        rows = [known[record.id] for record in records if record.id in known]
        lines.merged(out, NAME, rows, _replace)
    return known


def _replace(path: Path, data: bytes) -> None:
    """Writes the file if its bytes differ. Raises CannotWrite."""
    try:
        if not path.is_file() or path.read_bytes() != data:
            replace(path.parent, path.name, data)
    except (OSError, AdaptEditError) as error:
        raise CannotWrite.to(path, error) from None


def _sizes(out: Path) -> dict[str, int]:
    """The sizes of files that only grow."""
    return {path.name: path.stat().st_size for path in (out / "shards").glob(f"{NAME}.*.jsonl")}


def describe(out: Path, load: LoadOptions) -> None:
    """Writes manifest.json, or checks that it names the same editor and notes other versions.

    The folder is there: `lock.only_batch` made it. Raises AdaptEditError for another editor, and for
    manifests that no batch wrote; CannotWrite if they cannot be written.
    """
    loaded = weights.weights_of(load)
    editor: Row = {part: loaded.pop(part) for part in ("backbone", "adapter")}
    versions = {name: version(name) for name in ("torch", "diffusers", "transformers", "numpy", "pillow")}
    versions = {"adaptedit": __version__, "python": platform.python_version()} | versions
    header: Row = editor | {"loaded": loaded, "versions": [versions]}
    before = _header(out)
    if before is not None:
        old = {part: before[part] for part in editor} | before.get("loaded", {})
        if part := weights.difference(old, now := editor | loaded):
            raise AdaptEditError(
                f"{named(out)} holds a batch of {part} {_label(old.get(part))}, not {_label(now.get(part))}; "
                "give another --out"
            )
        if load.quantize:
            weights.check_bits(out, load.quantize)
        if versions in before["versions"]:
            return
        header = before | {"versions": [*before["versions"], versions]}
    _write_header(out, header)


def note_bits(out: Path, quantize: str | None) -> None:
    """Notes how the weights that this process has loaded are kept, here and in manifest.json.

    Raises AdaptEditError if pictures in the folder were made with weights in other bits; CannotWrite.
    """
    try:
        weights.note_bits(out, quantize)
    except OSError as error:
        raise CannotWrite.to(out / "shards", error) from None
    header = _header(out)
    if header is not None:
        _write_header(out, header | {weights.BITS: quantize})


def _write_header(out: Path, header: Row) -> None:
    _replace(out / f"{NAME}.json", f"{json.dumps(header, indent=1)}\n".encode())


def _header(out: Path) -> Row | None:
    """What manifest.json says; None where no batch has been, or a power cut left the file empty."""
    path = out / f"{NAME}.json"
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        if (out / f"{NAME}.jsonl").exists():
            raise AdaptEditError(
                f"{named(out / NAME)}.jsonl: no batch wrote it, for there is no {NAME}.json; move it "
                "away, or give another --out"
            ) from None
        return None
    except OSError as error:
        raise AdaptEditError(
            f"{named(path)}: cannot be read ({error.strerror}); give another --out"
        ) from None
    if not data:
        return None
    try:
        header = json.loads(data)
    except (ValueError, RecursionError):
        header = None
    if not _is_header(header):
        raise AdaptEditError(
            f"{named(path)}: is damaged, or no batch wrote it; move it away, or give another --out"
        )
    return dict(header)


def _is_header(header: Any) -> bool:
    return (
        isinstance(header, dict)
        and isinstance(header.get("versions"), list)
        and {"backbone", "adapter"} <= header.keys()
        and isinstance(header.get("loaded", {}), dict)
        and all(
            header[part] is None
            or (isinstance(header[part], dict) and isinstance(header[part].get("name"), str))
            for part in ("backbone", "adapter")
        )
    )


def _label(value: Any) -> str:
    return named(weights.label(value))
