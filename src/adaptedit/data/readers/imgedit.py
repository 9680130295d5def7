"""ImgEdit-Bench's single-turn suites (Ye et al., 2025), scored by a judge."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adaptedit.data.readers.archive import Archive
from adaptedit.data.readers.base import add_name
from adaptedit.data.sample import EditSample
from adaptedit.errors import AdaptEditError

BENCHMARK = "Benchmark.tar of https://huggingface.co/datasets/sysuyy/ImgEdit"


@dataclass(frozen=True)
class ImgEdit:
    """Sample ids are the file's keys; the category is the edit type, which the hard suite does not have."""

    files: Archive
    records: dict[str, dict[str, Any]]

    @property
    def name(self) -> str:
        return "ImgEdit"

    @property
    def ids(self) -> list[str]:
        return list(self.records)

    def load(self, sample_id: str) -> EditSample:
        record = self.records[sample_id]
        with add_name(self, sample_id):
            source = self.files.picture(record["id"]).convert("RGB")
        return EditSample(sample_id, record["prompt"], source, category=record.get("edit_type", ""))


def load(*, path: str | Path | None = None, pictures: str | Path | None = None) -> ImgEdit:
    """path: {key: {"id": picture, "prompt": ..., "edit_type": ...}} as JSON, the pictures beside it or in the
    folder `pictures`. AdaptEditError for a file of another layout.
    """
    if path is None or not Path(path).is_file():
        raise AdaptEditError(f"ImgEdit: give the path of singleturn.json, unpacked from {BENCHMARK}")
    path = Path(path)
    records = Archive(path.parent).json(path.name)
    try:
        assert all(record["id"] and record["prompt"] for record in records.values()) and records
    except (AssertionError, AttributeError, KeyError, TypeError):
        raise AdaptEditError(
            f"{path}: is not ImgEdit's: expected {{key: {{id, prompt, edit_type}}}}"
        ) from None
    return ImgEdit(Archive(Path(pictures or path.parent)), records)
