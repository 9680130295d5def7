"""GEdit-Bench (Step1X-Edit, 2025): 606 real users' requests in English and in Chinese, scored by a judge."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from adaptedit.data.readers.base import add_name
from adaptedit.data.readers.hub import dataset
from adaptedit.data.readers.tables import Table
from adaptedit.data.sample import EditSample
from adaptedit.errors import AdaptEditError

HUB_ID = "stepfun-ai/GEdit-Bench"


@dataclass(frozen=True)
class GEdit:
    """Sample ids are the data set's keys; the category is the task type. There is no result and no mask."""

    name: str
    table: Table
    rows: dict[str, int]

    @property
    def ids(self) -> list[str]:
        return list(self.rows)

    def load(self, sample_id: str) -> EditSample:
        number = self.rows[sample_id]
        row = self.table.rows[number]
        with add_name(self, sample_id):
            source = self.table.picture(number, "input_image").convert("RGB")
        return EditSample(sample_id, row["instruction"], source, category=row["task_type"])


def load(language: Literal["en", "cn"], *, path: str | Path | None = None, token: str | None = None) -> GEdit:
    """path: a folder with the hub's train-*.parquet, which is the whole set; else it is downloaded."""
    root = dataset(HUB_ID, path, ["data/train-*.parquet"], token)
    table = Table(
        root,
        "train",
        values=("task_type", "key", "instruction", "instruction_language"),
        pictures=("input_image",),
    )
    chosen = [n for n, row in enumerate(table.rows) if row["instruction_language"] == language]
    rows = {str(table.rows[number]["key"]): number for number in chosen}
    if len(rows) < len(chosen) or not rows:
        raise AdaptEditError(
            f"{root}: {len(chosen)} rows of language {language!r} have {len(rows)} different keys"
        )
    return GEdit(f"GEdit-Bench {language}", table, rows)
