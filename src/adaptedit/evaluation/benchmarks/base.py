"""What a benchmark is to the runner, and the plain one: every sample of a reader by itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from adaptedit.data.readers.base import Reader
from adaptedit.data.sample import EditSample


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

    def load(self, sample_id: str) -> EditSample:
        """AdaptEditError, naming the sample, if its pictures are missing or damaged."""
        ...


@dataclass(frozen=True)
class SingleEdits:
    """left_out: ids of the reader that are not measured, by reason."""

    name: str
    reader: Reader
    left_out: dict[str, list[str]] = field(default_factory=dict)

    @property
    def chained(self) -> bool:
        return False

    @property
    def sessions(self) -> list[list[str]]:
        left_out = {one for ids in self.left_out.values() for one in ids}
        return [[one] for one in self.reader.ids if one not in left_out]

    def load(self, sample_id: str) -> EditSample:
        return self.reader.load(sample_id)
