"""Sessions as parquet files in MagicBrush's own schema, with a few columns more.

    DIR/data/train-000000-000031.parquet, ...    one file holds whole sessions, and is there whole or not
    DIR/render.json                              what was asked for; another render needs another folder

A held-out split is written as `dev-*`, which `adaptedit evaluate magicbrush-dev-inde --data DIR` reads.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from adaptedit.data.cells import GRID
from adaptedit.data.render import VERSION
from adaptedit.data.render.labels import NOUNS
from adaptedit.data.render.sessions import Sessions, Turn
from adaptedit.errors import AdaptEditError
from adaptedit.extras import needed
from adaptedit.files import write_atomically

PICTURES = ("source_img", "mask_img", "target_img")
TEXTS = ("img_id", "instruction", "kind", "noun", "caption_before", "caption_after", "version")
COLUMNS = (
    "img_id", "turn_index", "source_img", "mask_img", "instruction", "target_img",
    "kind", "noun", "caption_before", "caption_after", "noun_labels", "seed", "version",
)  # fmt: skip
_GROUP = 8  # rows that a reader decodes together


@dataclass(frozen=True)
class Job:
    """What one folder holds. sessions: in each file, which a kill loses at most."""

    split: str
    seed: int
    size: int
    spp: int
    sessions: int = 32
    version: str = VERSION


def write(
    sessions: Sessions,
    job: Job,
    out: Path,
    count: int,
    shard: tuple[int, int] = (0, 1),
    progress: Callable[[str], None] = lambda line: None,
) -> list[Path]:
    """Render `count` sessions, rounded up to whole files, of which shard (i, n) writes every n-th from the
    i-th on; files that are there are kept. Returns the shard's files.

    AdaptEditError for a folder that holds another render.
    """
    which, of = shard
    (out / "data").mkdir(parents=True, exist_ok=True)
    _claim(out, job)
    prefix = "train" if job.split == "train" else "dev"
    files = []
    for first in range(which * job.sessions, count, of * job.sessions):
        last = first + job.sessions - 1
        file = out / "data" / f"{prefix}-{first:06d}-{last:06d}.parquet"
        files.append(file)
        if file.is_file():
            continue
        turns = [turn for index in range(first, last + 1) for turn in sessions.session(job.seed, index)]
        write_atomically(file, encoded(turns, job))
        progress(f"{file}: {len(turns)} edits")
    return files


def encoded(turns: list[Turn], job: Job) -> bytes:
    """One parquet file, with the hub's description of its features, and of what `noun_labels` count."""
    pa, parquet = needed("pyarrow", "rendering", "render"), needed("pyarrow.parquet", "rendering", "render")
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    rows = [_row(turn, job) for turn in turns]
    types = {name: pa.string() for name in TEXTS} | {name: image for name in PICTURES}
    types |= {"turn_index": pa.int32(), "seed": pa.int64(), "noun_labels": pa.list_(pa.uint8(), GRID**2)}
    features: dict[str, Any] = {name: {"dtype": str(types[name]), "_type": "Value"} for name in COLUMNS}
    features |= {name: {"_type": "Image"} for name in PICTURES}
    cell = {"dtype": "uint8", "_type": "Value"}
    features["noun_labels"] = {"feature": cell, "length": GRID**2, "_type": "Sequence"}
    table = pa.table({name: pa.array([row[name] for row in rows], types[name]) for name in COLUMNS})
    described = {"huggingface": json.dumps({"info": {"features": features}}), "nouns": json.dumps(NOUNS)}
    sink = io.BytesIO()
    parquet.write_table(table.replace_schema_metadata(described), sink, row_group_size=_GROUP)
    return sink.getvalue()


def erased(picture: npt.NDArray[np.uint8], mask: npt.NDArray[np.uint8]) -> Image.Image:
    """MagicBrush's mask: the picture, transparent where it is edited; softly, as the mask is soft."""
    return Image.fromarray(np.concatenate([picture, 255 - mask[..., None]], 2))


def _row(turn: Turn, job: Job) -> dict[str, Any]:
    pictures = {
        "source_img": Image.fromarray(turn.source),
        "mask_img": erased(turn.source, turn.mask),
        "target_img": Image.fromarray(turn.target),
    }
    row: dict[str, Any] = {name: getattr(turn, name) for name in TEXTS if name != "version"}
    row |= {"turn_index": turn.turn_index, "seed": job.seed, "version": job.version}
    row["noun_labels"] = turn.noun_labels.ravel()
    for name, picture in pictures.items():
        buffer = io.BytesIO()
        picture.save(buffer, "PNG")
        path = f"{turn.img_id}-{name.removesuffix('_img')}{turn.turn_index}.png"
        row[name] = {"bytes": buffer.getvalue(), "path": path}
    return row


def _claim(out: Path, job: Job) -> None:
    """Note the job in render.json; AdaptEditError if the folder holds another one."""
    file = out / "render.json"
    wanted = json.dumps(asdict(job), indent=1) + "\n"
    if not file.is_file():
        write_atomically(file, wanted.encode())
    elif (found := file.read_text("utf-8")) != wanted:
        differs = [k for k, v in asdict(job).items() if json.loads(found).get(k) != v]
        raise AdaptEditError(
            f"{out}: holds a render with another {', '.join(differs)}; give the same or another --out"
        )
