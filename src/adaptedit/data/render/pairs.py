"""Rendered pairs for training, out of the parquet files that `shards` writes.

pairs = RenderedPairs(Path("renders/train"))
sample = pairs.draw(np.random.default_rng(0))
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from adaptedit.data.cells import GRID, UNKNOWN, CellLabels, LabelledSample, Labels
from adaptedit.errors import AdaptEditError
from adaptedit.extras import needed
from adaptedit.pictures.read import read_image
from adaptedit.region import Region

COLUMNS = ("source_img", "mask_img", "target_img", "instruction", "kind", "noun", "noun_labels")
_KEEP_THINGS = ("recolour", "material", "background", "style", "global")  # what is there stays what it is


class RenderedPairs:
    """All pairs of a folder, in the order of their files; pictures stay compressed until they are drawn.

    nouns: what the samples' labels count. kinds: those that there are.
    """

    def __init__(self, folder: Path, size: int = 128) -> None:
        """folder: of one or more renders. size: pixels, side of the samples, to which larger and smaller
        renders are resized.

        AdaptEditError for a folder without parquet files, and for a file that is damaged, lacks a column or
        counts other nouns than the first.
        """
        self.size = size
        self._parquet = needed("pyarrow.parquet", "reading parquet", "render")
        files = sorted(folder.rglob("*.parquet"))
        if not files:
            raise AdaptEditError(
                f"{folder}: holds no parquet files; make some with `adaptedit data render --out {folder}`"
            )
        tables = [self._read(file) for file in files]
        self.nouns: list[str] = _nouns(files[0], tables[0])
        for file, table in zip(files, tables, strict=True):
            if _nouns(file, table) != self.nouns:
                raise AdaptEditError(f"{file}: counts other nouns than {files[0]}; render one of them again")
        self._tables = tables
        self._rows = [(n, row) for n, table in enumerate(tables) for row in range(table.num_rows)]
        self._files = files
        self._edited: list[str] = [noun for table in tables for noun in table.column("noun").to_pylist()]
        kinds = np.concatenate([table.column("kind").to_numpy() for table in tables])
        self._of_kind = {str(kind): np.flatnonzero(kinds == kind) for kind in np.unique(kinds)}

    @property
    def kinds(self) -> list[str]:
        return list(self._of_kind)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> LabelledSample:
        """AdaptEditError, with the file and the row, for pictures that are damaged or do not fit together."""
        number, row = self._rows[index]
        cells = {name: self._tables[number].column(name)[row].as_py() for name in COLUMNS}
        name = f"{self._files[number]}, row {row}"
        source, mask, target = (
            _picture(cells[f"{which}_img"], name) for which in ("source", "mask", "target")
        )
        if mask.mode != "RGBA" or not source.size == mask.size == target.size == (source.width,) * 2:
            raise AdaptEditError(
                f"{name}: expected three square pictures of one size, the mask in RGBA; got source "
                f"{source.size}, target {target.size}, mask {mask.size} in {mask.mode}"
            )
        before, after = (self._resized(picture.convert("RGB")) for picture in (source, target))
        edited = 255 - self._resized(mask.getchannel("A"))
        after = np.where(edited[..., None] == 0, before, after)  # as a weight may be rounded to 0
        kind, shown = cells["kind"], np.array(cells["noun_labels"], np.uint8).reshape(GRID, GRID)
        comes = self.nouns.index(cells["noun"]) + 1 if kind in ("add", "replace") else UNKNOWN
        wanted = shown if kind in _KEEP_THINGS else _wanted(shown, edited, comes)
        return LabelledSample(
            id=f"{index:05d}",
            instruction=cells["instruction"],
            source=Image.fromarray(before),
            target=Image.fromarray(after),
            region=Region.from_white_is_edit(Image.fromarray(edited)),
            category=kind,
            labels=CellLabels(shown, wanted),
        )

    def edited(self, index: int) -> str:
        """The noun of what a pair's edit adds, removes or changes; of a replacement, what comes."""
        return self._edited[index]

    def draw(self, rng: np.random.Generator, kind: str | None = None) -> LabelledSample:
        """One pair, all equally likely, of the given kind or any. AdaptEditError if no pair has the kind."""
        if kind is None:
            return self[int(rng.integers(len(self)))]
        if kind not in self._of_kind:
            raise AdaptEditError(f"no pair of kind {kind!r}; there are {', '.join(self.kinds)}")
        return self[int(rng.choice(self._of_kind[kind]))]

    def _read(self, file: Path) -> Any:
        try:
            table = self._parquet.read_table(file)
        except (OSError, ValueError) as error:  # pyarrow's ArrowInvalid is a ValueError
            raise AdaptEditError(f"{file}: is no parquet file or is damaged ({error})") from None
        if missing := [name for name in COLUMNS if name not in table.column_names]:
            raise AdaptEditError(
                f"{file}: has no column {', '.join(missing)}; files of MagicBrush and of older renders lack "
                "them: render it again"
            )
        return table.select(COLUMNS)

    def _resized(self, picture: Image.Image) -> npt.NDArray[np.uint8]:
        return np.asarray(picture.resize((self.size, self.size), Image.Resampling.BOX))


def _wanted(shown: Labels, mask: npt.NDArray[np.uint8], comes: int) -> Labels:
    """The target's labels: `comes` where the mask is full, unknown where it is soft, as shadows are."""
    cover = np.asarray(Image.fromarray(mask).resize((GRID, GRID), Image.Resampling.BOX))
    return np.select([cover > 250, cover > 0], [comes, UNKNOWN], shown.astype(np.int64))


def _nouns(file: Path, table: Any) -> list[str]:
    try:
        return [str(noun) for noun in json.loads(table.schema.metadata[b"nouns"])]
    except (KeyError, TypeError, ValueError):
        raise AdaptEditError(f"{file}: does not say which nouns its labels count; render it again") from None


def _picture(stored: Any, name: str) -> Image.Image:
    try:
        return read_image(stored["bytes"], name)
    except (TypeError, AdaptEditError):
        raise AdaptEditError(f"{name}: a picture is missing or damaged; render the file again") from None
