"""Which weights made the results in a folder: for the record of a run, which others must not continue."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from adaptedit import jsonl
from adaptedit.editing.options import LoadOptions
from adaptedit.errors import AdaptEditError

TINY = Path(__file__).parents[1] / "tiny" / "weights"
BITS = "quantize"  # the key, and the name of the lines, of how the frozen weights are kept

Row = dict[str, Any]


def weights_of(load: LoadOptions) -> Row:
    """The editor for a record in JSON: each of its weights by name and, where they are on this disk, by hash.

    Not in it: `quantize`, which is known when the editor is loaded, see `note_bits`.
    """
    row: Row = {"backbone": _named(load.backbone), "adapter": _named(load.adapter)}
    if load.revision:
        row["revision"] = load.revision
    if load.dtype == "float32":  # bfloat16 is what others have without it
        row["dtype"] = load.dtype
    if load.transformer:
        row["transformer"] = _named(load.transformer)
    if load.loras:
        row["loras"] = [_lora(given) for given in load.loras]
    return row


def _lora(given: str) -> Row:
    """With the weight, and the steps that come with a LoRA of this name, whatever its weights are."""
    from adaptedit.editing.lora import few_steps, parse  # here, because it imports torch

    name, weight = parse(given)
    family, steps = few_steps(name) or (None, None)
    if weight is None:
        weight = family.weight if family else 1.0
    return (_named(name) or {}) | {"weight": weight} | ({"steps": steps} if steps else {})


def difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """The first key whose values are not the same. Weights are the same if their hashes are."""
    keys = dict.fromkeys([*now, *before])
    return next((key for key in keys if not _same(before.get(key), now.get(key))), None)


def label(value: Any) -> str:
    """A value of such a record, for people."""
    if value is None:
        return "none"
    if isinstance(value, list):
        return ", ".join(map(label, value))
    if not isinstance(value, dict):
        return str(value)
    if "name" not in value:
        return ", ".join(f"{key} {label(one)}" for key, one in value.items())
    weight = f"={value['weight']:g}" if "weight" in value else ""
    digest = f" (sha256 {str(value['sha256'])[:12]}...)" if value.get("sha256") else ""
    return f"{value['name']}{weight}{digest}"


def note_bits(out: Path, quantize: str | None) -> None:
    """Notes that this process makes results in the folder with weights in these bits.

    Any number of processes may do so at once: each writes a file of its own, and then reads those of all.
    Raises AdaptEditError if results there were made, or are being made, with weights in other bits.
    """
    ours = secrets.token_hex(8)
    (out / "shards").mkdir(parents=True, exist_ok=True)
    jsonl.append(out, BITS, ours, {BITS: quantize})
    try:
        check_bits(out, quantize)
    except AdaptEditError:
        (out / "shards" / f"{BITS}.{ours}.jsonl").unlink(missing_ok=True)
        raise


def check_bits(out: Path, quantize: str | None) -> None:
    """Raises AdaptEditError if results in the folder were made with weights in other bits."""
    noted = [row.get(BITS, quantize) for row in jsonl.read(out, BITS)]
    before = next((bits for bits in noted if bits != quantize), quantize)
    if before != quantize:
        plain = "leave out --quantize and give --dtype bfloat16 with a --device"
        how = f"give --quantize {before}" if before else plain
        raise AdaptEditError(
            f"{out} holds results of weights {_bits(before)}, and now they would be {_bits(quantize)}; "
            f"{how}, or give another --out"
        )


def _bits(quantize: str | None) -> str:
    return f"in {quantize}" if quantize else "without --quantize"


def _named(name: str | None) -> Row | None:
    if name is None:
        return None
    digest = _digest(TINY if name == "tiny" else Path(name))
    return {"name": name, "sha256": digest} if digest else {"name": name}


def _digest(path: Path) -> str | None:
    """Of a file, or of the weights in a folder; None where there are none."""
    digest = hashlib.sha256()
    if path.is_file():
        for block in _blocks(path):
            digest.update(block)
        return digest.hexdigest()
    found = sorted(path.rglob("*.safetensors")) if path.is_dir() else []
    for file in found:
        digest.update(file.relative_to(path).as_posix().encode())
        for block in _blocks(file):
            digest.update(block)
    return digest.hexdigest() if found else None


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            yield block


def _same(before: Any, now: Any) -> bool:
    if isinstance(before, list) and isinstance(now, list):
        return len(before) == len(now) and all(map(_same, before, now))
    if isinstance(before, dict) and isinstance(now, dict) and before.get("sha256") and now.get("sha256"):
        return before | {"name": ""} == now | {"name": ""}
    return bool(before == now)
