"""PIE-Bench (Ju et al., PnP Inversion, ICLR 2024): 700 pictures of ten editing types, prompts and masks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from adaptedit.data.readers.archive import Archive
from adaptedit.data.readers.base import add_name
from adaptedit.data.sample import EditSample
from adaptedit.errors import AdaptEditError
from adaptedit.region import Region, Size

FORM = "https://forms.gle/hVMkTABb4uvZVjme9"  # where its authors hand it out
SIDE = 512  # pixels; masks are run lengths over a picture of this side, row by row
TYPES = {
    "0": "random",
    "1": "change object",
    "2": "add object",
    "3": "delete object",
    "4": "change content",
    "5": "change pose",
    "6": "change colour",
    "7": "change material",
    "8": "change background",
    "9": "change style",
}
KEYS = (
    "image_path",
    "original_prompt",
    "editing_prompt",
    "editing_instruction",
    "editing_type_id",
    "mask",
)


@dataclass(frozen=True)
class PieBench:
    """border: also count the outermost pixels as edited, as the official script does when it scores."""

    files: Archive
    records: dict[str, dict[str, Any]]
    border: bool

    @property
    def name(self) -> str:
        return "PIE-Bench"

    @property
    def ids(self) -> list[str]:
        return list(self.records)

    def load(self, sample_id: str) -> EditSample:
        record = self.records[sample_id]
        with add_name(self, sample_id):
            source = self.files.picture(f"annotation_images/{record['image_path']}").convert("RGB")
            region = decode(record["mask"], source.size, border=self.border)
        return EditSample(
            sample_id,
            record["editing_instruction"],
            source,
            region=region,
            category=TYPES.get(str(record["editing_type_id"]), str(record["editing_type_id"])),
            source_caption=without_brackets(record["original_prompt"]),
            target_caption=without_brackets(record["editing_prompt"]),
        )


def load(*, path: str | Path | None = None, border: bool = False) -> PieBench:
    """path: the folder with mapping_file.json and annotation_images/.

    AdaptEditError if it is missing or of another layout.
    """
    if path is None:
        raise AdaptEditError(
            f"PIE-Bench: its authors hand it out at {FORM}; give the path of its data folder"
        )
    if not Path(path).is_dir():
        raise AdaptEditError(f"{path}: no such folder; give the one that holds mapping_file.json")
    files = Archive(Path(path))
    records = files.json("mapping_file.json")
    if not isinstance(records, dict) or not records:
        raise AdaptEditError(f"{path}: mapping_file.json is not PIE-Bench's: expected {{id: record}}")
    for one, record in records.items():
        missing = [key for key in KEYS if key not in record]
        if missing:
            raise AdaptEditError(f"{path}: mapping_file.json, {one}: lacks {', '.join(missing)}")
    return PieBench(files, records, border)


def decode(runs: list[int], size: Size, *, border: bool = False) -> Region:
    """From [start, length, start, length, ...], which are edited, over SIDE x SIDE pixels; resized to `size`
    with nearest. A run may pass the end. AdaptEditError for anything else.
    """
    whole = isinstance(runs, list) and all(isinstance(number, int) and number >= 0 for number in runs)
    if not whole or len(runs) % 2 or any(start >= SIDE * SIDE for start in runs[::2]):
        raise AdaptEditError("the mask is not a list of start, length, ... over 512 x 512 pixels")
    flat = np.zeros(SIDE * SIDE, np.uint8)
    for start, length in zip(runs[::2], runs[1::2], strict=True):
        flat[start : start + length] = 1
    mask = flat.reshape(SIDE, SIDE)
    if border:
        mask[[0, -1]] = 1
        mask[:, [0, -1]] = 1
    return Region.from_array(np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST)))


def without_brackets(prompt: str) -> str:
    """Prompts mark in [brackets] what differs; a model sees the words alone."""
    return prompt.replace("[", "").replace("]", "")
