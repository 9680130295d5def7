"""How far an edit's numbers may go, at every door alike: beyond lies a mistake, or endless work."""

from __future__ import annotations

from math import inf
from numbers import Integral, Real

from adaptedit.errors import AdaptEditError

MOST_PLACES = 64  # points and boxes; for more, draw the region
MOST_PIXELS = 65_535  # to grow by or to feather; the longest side that a JPEG can have
MOST_CONTEXT = 1000  # a thousandth of the crop is too little for any editor to see
MOST_STEPS = 1000  # as many as there are levels of noise in training
MOST_GUIDANCE = 100  # published editors use 1 to 10
MOST_SCALE = 100  # of the adapter's signal; beyond it nothing but noise is left
LARGEST_SEED = 2**63 - 1  # torch takes no larger one


def check_number(name: str, value: float, low: float, high: float, unit: str = "") -> None:
    """Raises AdaptEditError unless it is a number and low <= value <= high.

    unit: follows the value in the message.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise AdaptEditError(f"{name} is {value!r}; give a number from {low} to {high}")
    if not low <= value <= high:  # also true for NaN
        limits = f"{low} or more" if high == inf else f"{low} to {high}"
        raise AdaptEditError(f"{name} is {value}{unit}; give {limits}")


def check_count(name: str, value: int, low: int, high: float) -> None:
    """Raises AdaptEditError unless it is a whole number and low <= value <= high."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise AdaptEditError(f"{name} is {value!r}; give a whole number from {low}")
    check_number(name, value, low, high)
