"""The page's settings, read from its fields."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from adaptedit.editing.limits import LARGEST_SEED, MOST_GUIDANCE, MOST_SCALE, MOST_STEPS
from adaptedit.editing.options import EditOptions, Preserve
from adaptedit.errors import AdaptEditError

N = TypeVar("N", int, float)


@dataclass(frozen=True)
class Settings:
    """As the pipeline and `Models` take them; an empty backbone or adapter is the default."""

    edit: EditOptions = field(default_factory=EditOptions)
    backbone: str = ""
    adapter: str = ""

    @classmethod
    def read(
        cls,
        seed: str,
        steps: str,
        guidance: str,
        negative_prompt: str,
        adapter_scale: str,
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
        edit = EditOptions(
            seed=_number("seed", seed, int, 0, LARGEST_SEED),
            steps=_number("number of steps", steps, int, 1, MOST_STEPS),
            guidance=_number("guidance", guidance, float, 0, MOST_GUIDANCE),
            negative_prompt=negative_prompt.strip() or None,
            adapter_scale=_number("adapter's strength", adapter_scale, float, -MOST_SCALE, MOST_SCALE),
            candidates=int(candidates),
            preserve=preserve,
            threshold=threshold,
            grow=grow,
            feather=_number("feather", feather, float, 0, 1000),
            context=context,
        )
        return cls(edit, backbone, adapter)


def _number(name: str, text: str, kind: Callable[[str], N], low: int, high: int) -> N | None:
    """None where empty."""
    if not text.strip():
        return None
    try:
        value = kind(text.strip())
    except ValueError:
        value = kind(str(low - 1))
    if not low <= value <= high:
        what = "a whole number" if kind is int else "a number"
        raise AdaptEditError(
            f"the {name} is {text.strip()!r}; give {what} from {low} to {high}, or leave it empty"
        )
    return value
