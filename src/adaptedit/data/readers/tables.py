"""Parquet files as the hub writes them: text is kept in memory, pictures are read when asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image

from adaptedit.errors import AdaptEditError
from adaptedit.extras import needed
from adaptedit.pictures.read import read_image

Row = dict[str, Any]


class Table:
    """The rows of one split, in the files' order.

    rows: the `values` columns of each row. A picture column is datasets' Image feature, struct<bytes, path>.
    One row group's pictures are kept, so reading in order decodes nothing twice (tens to hundreds of MB).
    """

    def __init__(self, root: Path, split: str, *, values: tuple[str, ...], pictures: tuple[str, ...]) -> None:
        """root: a parquet file, or a folder that holds SPLIT-*.parquet somewhere; split "*" takes all.

        AdaptEditError for a folder without them, a damaged file, and a missing or differing column.
        """
        self._parquet = needed("pyarrow.parquet", "reading parquet")
        self.rows: list[Row] = []
        self._pictures = pictures
        self._places: list[tuple[Any, int, int]] = []  # file, row group, row within it
        self._group: tuple[Any, Any] = None, None
        for file in _files(root, split):
            self._add(file, values)

    def _add(self, path: Path, values: tuple[str, ...]) -> None:
        try:
            file = self._parquet.ParquetFile(path)
            self._check(path, file.schema_arrow, values)
            self.rows += file.read(columns=list(values)).to_pylist()
        except (OSError, ValueError) as error:  # pyarrow's ArrowInvalid is a ValueError
            if isinstance(error, AdaptEditError):
                raise
            raise AdaptEditError(f"{path}: is no parquet file or is damaged; download it again") from None
        for group in range(file.num_row_groups):
            self._places += [(file, group, row) for row in range(file.metadata.row_group(group).num_rows)]

    def _check(self, path: Path, schema: Any, values: tuple[str, ...]) -> None:
        types = {field.name: field.type for field in schema}
        missing = [name for name in values + self._pictures if name not in types]
        if missing:
            raise AdaptEditError(
                f"{path}: has no column {', '.join(missing)}; expected {', '.join(values + self._pictures)}, "
                f"found {', '.join(types)}"
            )
        for name in self._pictures:
            if not str(types[name]).startswith("struct<bytes: binary"):
                raise AdaptEditError(f"{path}: column {name} is {types[name]}, expected struct<bytes, path>")

    def picture(self, index: int, column: str) -> Image.Image:
        """The decoded picture, in its own mode. AdaptEditError if it is missing or damaged."""
        file, group, row = self._places[index]
        if self._group[0] != (id(file), group):
            self._group = (id(file), group), file.read_row_group(group, columns=list(self._pictures))
        stored = self._group[1].column(column)[row].as_py()
        name = f"{column} of row {index}"
        if not stored or not stored["bytes"]:
            raise AdaptEditError(f"{name}: there is no picture; download the data set again")
        return read_image(stored["bytes"], name)


def has_tables(root: Path, split: str) -> bool:
    return root.is_file() or any(root.rglob(f"{split}-*.parquet"))


def _files(root: Path, split: str) -> list[Path]:
    files = [root] if root.is_file() else sorted(root.rglob(f"{split}-*.parquet"))
    if not files:
        raise AdaptEditError(f"{root}: holds no {split}-*.parquet; give the folder of the data set's files")
    return files
