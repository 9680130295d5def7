"""MagicBrush's two protocols: `inde`, every turn from the annotators' picture; `iter`, from the editor's own.

adaptedit evaluate magicbrush-dev-inde --out DIR
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

from adaptedit.data.readers import magicbrush
from adaptedit.data.sample import EditSample

Split = Literal["dev", "test"]
Protocol = Literal["inde", "iter"]


@dataclass(frozen=True)
class MagicBrush:
    """Category: "turn N" for `inde`; for `iter`, "final turn", which alone is what the official script scores
    as multi-turn, or "earlier turn".

    `iter` samples hold the annotators' source, which the runner replaces from the second turn on.
    """

    name: str
    reader: magicbrush.MagicBrush
    chained: bool

    @cached_property
    def sessions(self) -> list[list[str]]:
        turns = self.reader.turns
        sessions: dict[str, list[str]] = {turn.img_id: [] for turn in turns.values()}
        for sample_id in sorted(turns, key=lambda one: turns[one].index):
            sessions[turns[sample_id].img_id].append(sample_id)
        return list(sessions.values())

    def load(self, sample_id: str) -> EditSample:
        sample = self.reader.load(sample_id)
        if not self.chained:
            return sample
        is_final = any(session[-1] == sample_id for session in self.sessions)
        return replace(sample, category="final turn" if is_final else "earlier turn")


def load(
    split: Split,
    protocol: Protocol,
    *,
    path: str | Path | None = None,
    password: str | None = None,
    descriptions: str | Path | None = None,
    token: str | None = None,
) -> MagicBrush:
    """See `readers.magicbrush.load`, which also says what AdaptEditErrors there are."""
    reader = magicbrush.load(split, path=path, password=password, descriptions=descriptions, token=token)
    return MagicBrush(f"magicbrush-{split}-{protocol}", reader, protocol == "iter")
