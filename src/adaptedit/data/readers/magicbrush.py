"""MagicBrush (Zhang et al., NeurIPS 2023): photographs edited by people in turns, with masks and results.

Train, 8,807 turns of 4,512 pictures, and dev, 528 of 266, are a hub data set, CC BY 4.0. Test, 1,053 turns of
535 pictures, is a password-protected zip that its authors hand out and ask not to pass on: nothing of it is
ever written here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from adaptedit.data.readers.archive import Archive
from adaptedit.data.readers.base import add_name
from adaptedit.data.readers.hub import dataset
from adaptedit.data.readers.tables import Table, has_tables
from adaptedit.data.sample import EditSample
from adaptedit.errors import AdaptEditError
from adaptedit.region import Region, Size

HUB_ID = "osunlp/MagicBrush"
REPOSITORY = "https://github.com/OSU-NLP-Group/MagicBrush"
SESSIONS, LOCAL = "edit_sessions.json", "local_descriptions.json"

Which = Literal["source", "mask", "target"]


@dataclass(frozen=True)
class Turn:
    """index: 1 for the first. caption: the local description of the target, "" where unknown."""

    img_id: str
    index: int
    instruction: str
    caption: str
    picture: Callable[[Which], Image.Image]


@dataclass(frozen=True)
class MagicBrush:
    """Sample ids are IMG-TURN; the category is "turn N"; every sample has its source, region and target.

    A later turn's source is the target of the turn before it, as the annotators left it.
    `target_caption` is the local description, as the official script's CLIP-T has it; there is no
    `source_caption`, as no local description of an untouched picture exists.
    """

    name: str
    turns: dict[str, Turn]

    @property
    def ids(self) -> list[str]:
        return list(self.turns)

    def load(self, sample_id: str) -> EditSample:
        turn = self.turns[sample_id]
        with add_name(self, sample_id):
            source, target = (turn.picture(which).convert("RGB") for which in ("source", "target"))
            region = erased(turn.picture("mask"), source.size)
        return EditSample(
            sample_id,
            turn.instruction,
            source,
            target,
            region,
            f"turn {turn.index}",
            target_caption=turn.caption,
        )


def load(
    split: str,
    *,
    path: str | Path | None = None,
    password: str | None = None,
    descriptions: str | Path | None = None,
    token: str | None = None,
) -> MagicBrush:
    """split: train, dev or test. path: a folder with the hub's SPLIT-*.parquet, the authors' zip, or the
    folder it was unpacked to (edit_sessions.json, local_descriptions.json, images/IMG/IMG-input.png, ...).
    Without it, train and dev come from the hub. password: the zip's. descriptions: local_descriptions.json
    for the parquet, which has none.

    AdaptEditError for a test split without a path, a wrong password, and files of another layout.
    """
    if path is None and split == "test":
        raise AdaptEditError(
            f"MagicBrush test: it is not on the hub; get the zip as {REPOSITORY} says and give its path "
            "and password"
        )
    root = dataset(HUB_ID, path, [f"data/{split}-*.parquet"], token)
    if path is None or has_tables(root, split) and root.suffix != ".zip":
        turns = _from_tables(root, split, descriptions)
    else:
        turns = _from_archive(Archive(root, password))
    return MagicBrush(f"MagicBrush {split}", {f"{turn.img_id}-{turn.index}": turn for turn in turns})


def erased(mask_img: Image.Image, size: Size) -> Region:
    """What the annotators erased: `alpha != 255`, 1 = edit, resized to `size` (W, H) with nearest.

    The colours under the mask are the photograph's own and say nothing about it: a mask read as grey is
    wrong. AdaptEditError if there is no alpha channel.
    """
    mask = Region.from_alpha(mask_img).mask > 0
    pixels = Image.fromarray(mask.astype(np.uint8)).resize(size, Image.Resampling.NEAREST)
    return Region.from_array(np.asarray(pixels))


def _from_tables(root: Path, split: str, descriptions: str | Path | None) -> list[Turn]:
    table = Table(
        root,
        split,
        values=("img_id", "turn_index", "instruction"),
        pictures=("source_img", "mask_img", "target_img"),
    )
    captions: dict[str, dict[str, str]] = {}
    if descriptions is not None:
        captions = Archive(Path(descriptions).parent).json(Path(descriptions).name)

    def turn(number: int) -> Turn:
        row = table.rows[number]
        img_id, index = str(row["img_id"]), int(row["turn_index"])
        caption = captions.get(img_id, {}).get(f"{img_id}-output{index}.png", "")

        def picture(which: Which) -> Image.Image:
            return table.picture(number, f"{which}_img")

        return Turn(img_id, index, row["instruction"], caption, picture)

    return [turn(number) for number in range(len(table.rows))]


def _from_archive(files: Archive) -> list[Turn]:
    root = files.find(SESSIONS)
    if root is None:
        raise AdaptEditError(
            f"{files.path}: holds neither {SESSIONS} nor parquet files; give MagicBrush's own layout"
        )
    captions = files.json(root + LOCAL)

    def turn(img_id: str, index: int, record: dict[str, str]) -> Turn:
        names = {"source": record["input"], "mask": record["mask"], "target": record["output"]}

        def picture(which: Which) -> Image.Image:
            return files.picture(f"{root}images/{img_id}/{names[which]}")

        caption = captions.get(img_id, {}).get(record["output"], "")
        return Turn(img_id, index, record["instruction"], caption, picture)

    try:
        return [
            turn(img_id, index, record)
            for img_id, records in files.json(root + SESSIONS).items()
            for index, record in enumerate(records, start=1)
        ]
    except (AttributeError, KeyError, TypeError):
        raise AdaptEditError(
            f"{files.path}: {SESSIONS} is not {{img_id: [{{input, output, mask, instruction}}, ...]}}"
        ) from None
