"""One edit of a batch: what its line says, and the `EditJob` that it becomes."""

from __future__ import annotations

import hashlib
import json
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from adaptedit.interfaces.batch.fields import Fields, outside

if TYPE_CHECKING:
    from adaptedit.editing.job import EditJob

FILES = ("image", "region", "within")
AS_GIVEN = (
    "everywhere",
    "threshold",
    "invert",
    "grow",
    "preserve",
    "steps",
    "guidance",
    "negative_prompt",
    "adapter_scale",
    "candidates",
    "feather",
    "context",
)


@dataclass(frozen=True)
class Record:
    """id: as given, or the picture's path without its suffix (its name, if it lies outside `root`).

    outputs: relative to the batch's folder, one per candidate. root: the folder that the paths start from.
    fields: as written, checked by `fields.problems`.
    """

    id: str
    outputs: tuple[str, ...]
    root: Path
    fields: Fields

    @classmethod
    def of(cls, fields: Fields, root: Path) -> Record:
        name = PurePosixPath(fields["image"])
        default = name.stem if outside(fields["image"]) or not name.name else str(name.with_suffix(""))
        record_id = fields.get("id", default)
        out = PurePosixPath(fields.get("out", f"{record_id}.png"))
        count = fields.get("candidates", 1)
        outputs = [out] if count == 1 else [out.with_stem(f"{out.stem}-{n}") for n in range(1, count + 1)]
        return cls(record_id, tuple(map(str, outputs)), root, fields)

    @property
    def seed(self) -> int:
        """As given, or else from the id alone, so that every run uses the same."""
        given: int | None = self.fields.get("seed")
        return zlib.crc32(self.id.encode()) & 0x7FFFFFFF if given is None else given

    @property
    def digest(self) -> str:
        """Equal for records with equal fields, wherever their folder is."""
        said = json.dumps([self.id, self.fields], sort_keys=True)
        return hashlib.sha256(said.encode()).hexdigest()[:16]

    @property
    def files(self) -> list[Path]:
        names = [self.fields[key] for key in FILES if key in self.fields]
        return [self.root / name for name in [*names, *self.fields.get("references", ())]]

    def job(self) -> EditJob:
        """The job, with its files read. Raises AdaptEditError if that fails or they do not fit together."""
        from adaptedit.editing.job import EditJob
        from adaptedit.editing.options import EditOptions
        from adaptedit.pictures.picture import Picture
        from adaptedit.region import load_region

        fields = self.fields
        picture = Picture.open(self.root / fields["image"])
        options: dict[str, Any] = {key: fields[key] for key in AS_GIVEN if key in fields}
        for key in ("region", "within"):
            if key in fields:
                polarity = fields.get("polarity", "white")
                options[key] = load_region(self.root / fields[key], polarity, picture.size)
        chosen = EditOptions(
            seed=self.seed,
            include=[tuple(place) for place in fields.get("include", ())],
            exclude=[tuple(place) for place in fields.get("exclude", ())],
            references=[Picture.open(self.root / name) for name in fields.get("references", ())],
            **options,
        )
        return EditJob(picture, fields["instruction"], chosen)
