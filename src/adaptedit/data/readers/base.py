"""What a reader of a data set is to training and to evaluation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from adaptedit.data.sample import EditSample
from adaptedit.errors import AdaptEditError


class Reader(Protocol):
    """Samples that are read one at a time, so that a large set needs no memory."""

    @property
    def name(self) -> str:
        """Of the data set and its split, such as "MagicBrush train"."""
        ...

    @property
    def ids(self) -> list[str]:
        """Of all samples, in the order of the files, in which they are read fastest."""
        ...

    def load(self, sample_id: str) -> EditSample:
        """AdaptEditError, naming the sample, if its pictures are missing or damaged."""
        ...


@contextmanager
def add_name(reader: Reader, sample_id: str) -> Iterator[None]:
    """Puts the data set and the sample in front of an AdaptEditError's message."""
    try:
        yield
    except AdaptEditError as error:
        raise AdaptEditError(f"{reader.name}, sample {sample_id}: {error}") from None
