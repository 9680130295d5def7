"""Emu-Edit Test (Sheynin et al., CVPR 2024): photographs, instructions and captions; no ground truth.

CC BY-NC 4.0. The paper counts seven tasks, others nine; the category is the data's own.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Literal

from adaptedit.data.readers.base import add_name
from adaptedit.data.readers.hub import dataset
from adaptedit.data.readers.tables import Row, Table
from adaptedit.data.sample import EditSample
from adaptedit.errors import AdaptEditError
from adaptedit.files import write_atomically

HUB_ID = "facebook/emu_edit_test_set"
GENERATIONS_ID = "facebook/emu_edit_test_set_generations"
SPLITS = ("validation", "test")
COLUMNS = ("instruction", "task", "split", "idx", "hash", "input_caption", "output_caption")

Split = Literal["validation", "test"]


@dataclass(frozen=True)
class EmuEdit:
    """Sample ids are IDX-HASH; the category is the task. There is no result and no mask."""

    name: str
    table: Table
    rows: dict[str, int]

    @property
    def ids(self) -> list[str]:
        return list(self.rows)

    def captions(self, sample_id: str) -> tuple[str, str]:
        """Of the picture before and after, without its being read."""
        row = self.table.rows[self.rows[sample_id]]
        return row["input_caption"] or "", row["output_caption"] or ""

    def load(self, sample_id: str) -> EditSample:
        number = self.rows[sample_id]
        row, (before, after) = self.table.rows[number], self.captions(sample_id)
        with add_name(self, sample_id):
            source = self.table.picture(number, "image").convert("RGB")
        return EditSample(
            sample_id,
            row["instruction"],
            source,
            category=row["task"],
            source_caption=before,
            target_caption=after,
        )


def load(split: Split, *, path: str | Path | None = None, token: str | None = None) -> EmuEdit:
    """path: a folder with the hub's SPLIT-*.parquet; without it they are downloaded.

    AdaptEditError for rows that say that they are of the other split, as the files of the `_generations` set
    do, where the names are swapped.
    """
    root = dataset(HUB_ID, path, [f"data/{split}-*.parquet"], token)
    table = Table(root, split, values=COLUMNS, pictures=("image",))
    (other,) = set(SPLITS) - {split}
    if any(row["split"] == other for row in table.rows):
        raise AdaptEditError(
            f"{root}: the rows of its {split} files are of the {other} split, as in {GENERATIONS_ID}, whose "
            f"split names are swapped; give {HUB_ID}"
        )
    rows = {_id(row): number for number, row in enumerate(table.rows)}
    if len(rows) < len(table.rows):
        raise AdaptEditError(f"{root}: {len(table.rows) - len(rows)} rows repeat another's idx and hash")
    return EmuEdit(f"Emu-Edit {split}", table, rows)


def save_generations(
    out: Path,
    *,
    path: str | Path | None = None,
    token: str | None = None,
    on_picture: Callable[[int, int], None] = lambda done, total: None,
) -> int:
    """Writes Emu Edit's own published results as OUT/IDX-HASH.png, to be scored as finished pictures.

    Those of both splits, for the set's split names are swapped; those that are there already are kept.
    path: a folder with the `_generations` set's parquet files; without it they are downloaded.
    on_picture: gets how many are done, of how many. Returns how many there are.
    """
    table = Table(
        dataset(GENERATIONS_ID, path, ["data/*.parquet"], token),
        "*",
        values=("idx", "hash"),
        pictures=("edited_image",),
    )
    out.mkdir(parents=True, exist_ok=True)
    for number, row in enumerate(table.rows):
        if not (file := out / f"{_id(row)}.png").exists():
            buffer = BytesIO()
            table.picture(number, "edited_image").convert("RGB").save(buffer, "PNG")
            write_atomically(file, buffer.getvalue())
        on_picture(number + 1, len(table.rows))
    return len(table.rows)


def _id(row: Row) -> str:
    return re.sub(r"[^\w.-]", "_", f"{row['idx']}-{row['hash']}")
