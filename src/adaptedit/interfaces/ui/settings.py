"""The page's settings, read from its fields."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from adaptedit.editing.limits import MOST_STEPS
from adaptedit.errors import AdaptEditError

if TYPE_CHECKING:
    from adaptedit.editing.pipeline import Preserve

N = TypeVar("N", int, float)


@dataclass(frozen=True)
class Settings:
    """As EditJob and Models take them; an empty backbone or adapter is the default."""

    seed: int | None = None
    steps: int | None = None
    candidates: int = 1
    preserve: Preserve = "exact"
    threshold: float = 0.5
    grow: float = 0
    feather: float | None = None
    context: float = 2.0
    backbone: str = ""
    adapter: str = ""

    @classmethod
    def read(
        cls,
        seed: str,
        steps: str,
        candidates: int,
        preserve: Preserve,
        threshold: float,
        grow: float,
        feather: str,
        context: float,
        backbone: str,
        adapter: str,
    ) -> Settings:
        """From the fields as the page has them. Raises AdaptEditError for a number that is none."""
        return cls(
            seed=_number("seed", seed, int, 0, 2**63 - 1),
            steps=_number("number of steps", steps, int, 1, MOST_STEPS),
            candidates=int(candidates),
            preserve=preserve,
            threshold=threshold,
            grow=grow,
            feather=_number("feather", feather, float, 0, 1000),
            context=context,
            backbone=backbone,
            adapter=adapter,
        )


def _number(name: str, text: str, kind: Callable[[str], N], low: int, high: int) -> N | None:
    """None where empty."""
    if not text.strip():
        return None
    try:
        value = kind(text.strip())
    except ValueError:
        value = kind("-1")
    if not low <= value <= high:
        what = "a whole number" if kind is int else "a number"
        raise AdaptEditError(
            f"the {name} is {text.strip()!r}; give {what} from {low} to {high}, or leave it empty"
        )
    return value
