"""Emu-Edit Test, whole or without the samples whose captions are useless.

adaptedit evaluate emu-edit-test --out DIR
"""

from __future__ import annotations

from pathlib import Path

from adaptedit.data.readers import emu_edit
from adaptedit.evaluation.benchmarks.base import SingleEdits

# Stands where a caption was never written (ICEdit, appendix on the benchmark's quality).
PLACEHOLDERS = ("a train station in city",)


def load(
    split: emu_edit.Split, *, filtered: bool, path: str | Path | None = None, token: str | None = None
) -> SingleEdits:
    """path, token, AdaptEditErrors: see `readers.emu_edit.load`.

    filtered: without the samples whose captions are placeholders or do not differ.
    """
    reader = emu_edit.load(split, path=path, token=token)
    name = f"emu-edit-{split}{'-filtered' if filtered else ''}"
    return SingleEdits(name, reader, useless(reader) if filtered else {})


def useless(reader: emu_edit.EmuEdit) -> dict[str, list[str]]:
    """Ids of samples whose captions say nothing about the edit, by reason."""
    found: dict[str, list[str]] = {"placeholder caption": [], "identical captions": []}
    for one in reader.ids:
        before, after = (_plain(caption) for caption in reader.captions(one))
        if {before, after} & {"", *PLACEHOLDERS}:
            found["placeholder caption"].append(one)
        if before == after:
            found["identical captions"].append(one)
    return found


def _plain(caption: str) -> str:
    return " ".join(caption.lower().rstrip(". ").split())
