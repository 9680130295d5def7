"""Data sets that are measured as they are: every sample by itself, by the reader's own categories.

    adaptedit evaluate pie-bench --data PIE-Bench/data --out DIR
    adaptedit evaluate gedit-en --out DIR
    adaptedit evaluate imgedit --data Benchmark/singleturn/singleturn.json --out DIR
    adaptedit evaluate folder --data my/set --out DIR

What each takes, and its AdaptEditErrors: see `load` of the reader of that name.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from adaptedit.data.readers import folder, gedit, imgedit, pie_bench
from adaptedit.evaluation.benchmarks.base import SingleEdits


def load_pie_bench(*, path: str | Path | None = None, border: bool = False) -> SingleEdits:
    return SingleEdits("pie-bench", pie_bench.load(path=path, border=border))


def load_gedit(
    language: Literal["en", "cn"], *, path: str | Path | None = None, token: str | None = None
) -> SingleEdits:
    return SingleEdits(f"gedit-{language}", gedit.load(language, path=path, token=token))


def load_imgedit(*, path: str | Path | None = None, pictures: str | Path | None = None) -> SingleEdits:
    return SingleEdits("imgedit", imgedit.load(path=path, pictures=pictures))


def load_folder(*, path: str | Path | None = None, polarity: str | None = None) -> SingleEdits:
    reader = folder.load(path=path, polarity=polarity)
    return SingleEdits(reader.name, reader)
