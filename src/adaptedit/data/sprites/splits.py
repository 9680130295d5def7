"""Which parts of the small world are kept from training."""

from __future__ import annotations

from dataclasses import dataclass

from adaptedit.errors import AdaptEditError


@dataclass(frozen=True)
class Split:
    """What is drawn from where; `held_out` parts never occur in training."""

    held_out_nouns: bool = False
    held_out_backgrounds: bool = False
    held_out_phrasings: bool = False


SPLITS = {
    "train": Split(),
    "phrasings": Split(held_out_phrasings=True),
    "backgrounds": Split(held_out_backgrounds=True),
    "nouns": Split(held_out_nouns=True),
    "all": Split(True, True, True),
}


def check_split(name: str) -> None:
    """Raises AdaptEditError on an unknown split, listing the known ones."""
    if name not in SPLITS:
        raise AdaptEditError(f"unknown split {name!r}: choose one of {', '.join(SPLITS)}")
