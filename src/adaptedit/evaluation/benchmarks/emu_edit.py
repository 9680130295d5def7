"""Emu-Edit Test (Sheynin et al., CVPR 2024): photographs, instructions and captions; no ground truth.

    adaptedit evaluate emu-edit-test --out DIR

CC BY-NC 4.0. The paper counts seven tasks, others nine; the data has the values that `tasks()` counts.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Literal

from adaptedit.data.readers.hub import dataset
from adaptedit.data.readers.tables import Row, Table
from adaptedit.errors import AdaptEditError
from adaptedit.evaluation.sample import Sample
from adaptedit.files import write_atomically

HUB_ID = "facebook/emu_edit_test_set"
GENERATIONS_ID = "facebook/emu_edit_test_set_generations"
SPLITS = ("validation", "test")
COLUMNS = ("instruction", "task", "split", "idx", "hash", "input_caption", "output_caption")

# Stands where a caption was never written (ICEdit, appendix on the benchmark's quality).
PLACEHOLDERS = ("a train station in city",)

Split = Literal["validation", "test"]


@dataclass(frozen=True)
class EmuEdit:
    """Sample ids are IDX-HASH; the category is the task.

    left_out: ids by reason, "placeholder caption" or "identical captions": of the whole split, whether or not
    they are left out of `sessions`.
    """

    name: str
    table: Table
    rows: dict[str, int]
    sessions: list[list[str]]
    left_out: dict[str, list[str]]

    @property
    def chained(self) -> bool:
        return False

    def tasks(self) -> dict[str, int]:
        """How many samples each task has."""
        return dict(Counter(self.table.rows[self.rows[one]]["task"] for (one,) in self.sessions))

    def load(self, sample_id: str) -> Sample:
        number = self.rows[sample_id]
        row = self.table.rows[number]
        try:
            source = self.table.picture(number, "image").convert("RGB")
        except AdaptEditError as error:
            raise AdaptEditError(f"{self.name}, sample {sample_id}: {error}") from None
        return Sample(
            sample_id,
            row["instruction"],
            source,
            category=row["task"],
            source_caption=row["input_caption"] or "",
            target_caption=row["output_caption"] or "",
        )


def load(
    split: Split = "test",
    *,
    filtered: bool = False,
    path: str | Path | None = None,
    token: str | None = None,
) -> EmuEdit:
    """path: a folder with the hub's SPLIT-*.parquet; without it they are downloaded.

    filtered: without the samples whose captions are placeholders or do not differ. AdaptEditError for rows
    that say that they are of the other split, as the files of the `_generations` set do, where the names
    are swapped.
    """
    name = f"emu-edit-{split}{'-filtered' if filtered else ''}"
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
    left_out = {
        reason: [one for one in rows if test(table.rows[rows[one]])] for reason, test in FILTERS.items()
    }
    bad = {one for ids in left_out.values() for one in ids} if filtered else set()
    return EmuEdit(name, table, rows, [[one] for one in rows if one not in bad], left_out)


def save_generations(
    benchmark: EmuEdit, out: Path, *, path: str | Path | None = None, token: str | None = None
) -> None:
    """Writes Emu Edit's own published results as OUT/ID.png, to be scored as a folder of finished pictures.

    They are joined on idx and hash over all files of the `_generations` set, as its split names are swapped.
    AdaptEditError if a sample has none.
    """
    root = dataset(GENERATIONS_ID, path, ["data/*.parquet"], token)
    table = Table(root, "*", values=("idx", "hash"), pictures=("edited_image",))
    found = {_id(row): number for number, row in enumerate(table.rows)}
    wanted = [one for (one,) in benchmark.sessions]
    missing = [one for one in wanted if one not in found]
    if missing:
        raise AdaptEditError(
            f"{root}: has no picture for {len(missing)} of the {len(wanted)} samples of {benchmark.name}, "
            f"such as {missing[0]}; download the set again"
        )
    out.mkdir(parents=True, exist_ok=True)
    for one in sorted(wanted, key=found.__getitem__):
        buffer = BytesIO()
        table.picture(found[one], "edited_image").convert("RGB").save(buffer, "PNG")
        write_atomically(out / f"{one}.png", buffer.getvalue())


def _id(row: Row) -> str:
    return re.sub(r"[^\w.-]", "_", f"{row['idx']}-{row['hash']}")


def _plain(caption: str | None) -> str:
    return " ".join((caption or "").lower().rstrip(". ").split())


def _placeholder(row: Row) -> bool:
    captions = _plain(row["input_caption"]), _plain(row["output_caption"])
    return any(caption in ("", *PLACEHOLDERS) for caption in captions)


def _identical(row: Row) -> bool:
    return _plain(row["input_caption"]) == _plain(row["output_caption"])


FILTERS = {"placeholder caption": _placeholder, "identical captions": _identical}
