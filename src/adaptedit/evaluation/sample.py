"""One sample of a benchmark, and what a benchmark is to the runner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from PIL import Image

from adaptedit.region import Region


@dataclass(frozen=True)
class Sample:
    """What is edited, and what the edit is measured against.

    id: unique in its benchmark and fit for a file name.
    source, target: RGB; target: None where the benchmark has no ground truth, else perhaps of another size.
    region: where the annotators say the edit is, of the source's size; None if they do not.
    category: what results are grouped by, such as "remove"; "" if there are no groups.
    source_caption, target_caption: of the picture before and after; "" where unknown.
    """

    id: str
    instruction: str
    source: Image.Image
    target: Image.Image | None = None
    region: Region | None = None
    category: str = ""
    source_caption: str = ""
    target_caption: str = ""


class Benchmark(Protocol):
    """Samples that are read one at a time, so that a large set needs no memory."""

    @property
    def name(self) -> str:
        """With its split and protocol, such as "magicbrush-dev-iter"."""
        ...

    @property
    def sessions(self) -> list[list[str]]:
        """Sample ids in the order in which they are edited; a session is one picture's turns."""
        ...

    @property
    def chained(self) -> bool:
        """True: a turn's source is the editor's own result of the turn before (MagicBrush's `iter`)."""
        ...

    def load(self, sample_id: str) -> Sample:
        """AdaptEditError, naming the sample, if its pictures are missing or damaged."""
        ...
