"""ImgEdit-Bench's single-turn suites (Ye et al., 2025), scored by a judge.

adaptedit evaluate imgedit --data Benchmark/singleturn/singleturn.json --out DIR
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adaptedit.data.readers.archive import Archive
from adaptedit.errors import AdaptEditError
from adaptedit.evaluation.sample import Sample

BENCHMARK = "Benchmark.tar of https://huggingface.co/datasets/sysuyy/ImgEdit"


@dataclass(frozen=True)
class ImgEdit:
    """Sample ids are the file's keys; the category is the edit type, which the hard suite does not have."""

    files: Archive
    records: dict[str, dict[str, Any]]

    @property
    def name(self) -> str:
        return "imgedit"

    @property
    def chained(self) -> bool:
        return False

    @property
    def sessions(self) -> list[list[str]]:
        return [[one] for one in self.records]

    def load(self, sample_id: str) -> Sample:
        record = self.records[sample_id]
        try:
            source = self.files.picture(record["id"]).convert("RGB")
        except AdaptEditError as error:
            raise AdaptEditError(f"imgedit, sample {sample_id}: {error}") from None
        return Sample(sample_id, record["prompt"], source, category=record.get("edit_type", ""))


def load(*, path: str | Path | None = None, pictures: str | Path | None = None) -> ImgEdit:
    """path: {key: {"id": picture, "prompt": ..., "edit_type": ...}} as JSON, the pictures beside it or in the
    folder `pictures`. AdaptEditError for a file of another layout.
    """
    if path is None or not Path(path).is_file():
        raise AdaptEditError(f"imgedit: give the path of singleturn.json, unpacked from {BENCHMARK}")
    path = Path(path)
    records = Archive(path.parent).json(path.name)
    try:
        assert all(record["id"] and record["prompt"] for record in records.values()) and records
    except (AssertionError, AttributeError, KeyError, TypeError):
        raise AdaptEditError(
            f"{path}: is not ImgEdit's: expected {{key: {{id, prompt, edit_type}}}}"
        ) from None
    return ImgEdit(Archive(Path(pictures or path.parent)), records)
