"""Your own pictures and instructions: a metadata.jsonl beside the pictures.

One line per sample, paths relative to the file:
    {"source": "desk.jpg", "instruction": "remove the mug"}
    {"source": "b.png", "instruction": "...", "target": "b-after.png", "mask": "b-mask.png",
     "polarity": "white", "category": "remove", "source_caption": "...", "target_caption": "...", "id": "b"}
`file_name`, as in an imagefolder, and `image`, as in a batch, are `source` too.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from adaptedit.data.readers.base import add_name
from adaptedit.data.sample import EditSample
from adaptedit.errors import AdaptEditError
from adaptedit.pictures.picture import Picture
from adaptedit.region import Polarity, load_region

SOURCES = ("source", "file_name", "image")  # names of the picture to edit
TEXTS = ("instruction", "category", "source_caption", "target_caption")
_FIT_FOR_A_FILE_NAME = re.compile(r"\w[\w.-]*")


@dataclass(frozen=True)
class Folder:
    """The name is the folder's. The category is what the line says; the source's transparency is left out."""

    name: str
    root: Path
    records: dict[str, dict[str, str]]

    @property
    def ids(self) -> list[str]:
        return list(self.records)

    def load(self, sample_id: str) -> EditSample:
        """AdaptEditError for a mask of another size than its source. A target may be of any size."""
        record = self.records[sample_id]
        with add_name(self, sample_id):
            source = Picture.open(self.root / record["source"]).rgb
            target = Picture.open(self.root / record["target"]).rgb if "target" in record else None
            region = None
            if "mask" in record:
                region = load_region(self.root / record["mask"], record["polarity"], source.size)  # type: ignore[arg-type]
        texts = {key: record[key] for key in TEXTS if key in record}
        return EditSample(id=sample_id, source=source, target=target, region=region, **texts)


def load(*, path: str | Path | None = None, polarity: str | None = None) -> Folder:
    """path: the folder with metadata.jsonl, or a .jsonl of any name. polarity: of masks whose lines do not
    give it, see `region.Polarity`; it is never guessed.

    AdaptEditError, with the line's number, for one that is not JSON, lacks what it needs, or repeats an id.
    """
    if path is None:
        raise AdaptEditError("folder: give the path of a folder with metadata.jsonl, or of a .jsonl file")
    path = Path(path)
    file = path / "metadata.jsonl" if path.is_dir() else path
    try:
        lines = file.read_text("utf-8").splitlines()
    except FileNotFoundError:
        raise AdaptEditError(
            f"{file}: no such file; write a line for each picture: "
            '{"source": "desk.jpg", "instruction": "remove the mug"}'
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise AdaptEditError(f"{file}: cannot be read as text ({error})") from None
    records: dict[str, dict[str, str]] = {}
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                sample_id, record = _record(line, polarity)
                if sample_id in records:
                    raise AdaptEditError(
                        f'the id {sample_id!r} is taken by an earlier line; give an "id" of its own'
                    )
            except AdaptEditError as error:
                raise AdaptEditError(f"{file}, line {number}: {error}") from None
            records[sample_id] = record
    if not records:
        raise AdaptEditError(f"{file}: is empty; write a line for each picture")
    return Folder(file.parent.resolve().name, file.parent, records)


def _record(line: str, polarity: str | None) -> tuple[str, dict[str, str]]:
    try:
        record: Any = json.loads(line)
    except json.JSONDecodeError as error:
        raise AdaptEditError(f"is not JSON ({error})") from None
    if not isinstance(record, dict):
        raise AdaptEditError('is not an object such as {"source": ..., "instruction": ...}')
    given = [name for name in SOURCES if record.get(name) is not None]
    if len(given) > 1:
        raise AdaptEditError(f'"{given[0]}" and "{given[1]}" both name the source; give one of them')
    if given:
        record["source"] = record.pop(given[0])
    known = ("source", "target", "mask", "polarity", "id", *TEXTS)
    record = {key: value for key, value in record.items() if key in known and value is not None}
    for key, value in record.items():
        if not isinstance(value, str):
            raise AdaptEditError(f'"{key}" must be text, got {value!r}')
    for key in ("source", "instruction"):
        if not record.get(key, "").strip():
            raise AdaptEditError(f'lacks "{key}"')
    if "mask" in record:
        record.setdefault("polarity", polarity or "")
        if record["polarity"] not in get_args(Polarity):
            raise AdaptEditError(
                f"has a mask of polarity {record['polarity']!r}; say which of its pixels are to be edited: "
                f'"polarity": {", ".join(get_args(Polarity))}'
            )
    sample_id = record.get("id", Path(record["source"]).stem)
    if not _FIT_FOR_A_FILE_NAME.fullmatch(sample_id):
        raise AdaptEditError(
            f'the id {sample_id!r} is not fit for a file name; give an "id" of letters and digits'
        )
    return sample_id, record
