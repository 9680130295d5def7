"""The fields of a record, one check each."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any

from adaptedit.pictures.formats import WRITABLE

Fields = dict[str, Any]

_CONTROL_OR_SURROGATE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


def problems(fields: Fields) -> list[str]:
    """What is wrong with each field by itself, in words that go after where it stands."""
    found = [f'lacks "{key}"' for key in ("image", "instruction") if key not in fields]
    for key, value in fields.items():
        if key not in KNOWN:
            found.append(f'"{key}" is no field; use {", ".join(KNOWN)}')
        elif not KNOWN[key][0](value):
            found.append(f'"{key}" must be {KNOWN[key][1]}, got {value!r}')
    if fields.get("everywhere") and "region" in fields:
        found.append('"region" and "everywhere" exclude each other; give one of them')
    return found


def outside(path: str) -> bool:
    """Whether a relative path may leave its folder."""
    return path.startswith("/") or ".." in PurePosixPath(path).parts


def _text(value: Any) -> bool:
    """Of one line, as a file's name can be."""
    return isinstance(value, str) and bool(value.strip()) and _CONTROL_OR_SURROGATE.search(value) is None


def _instruction(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _output(value: Any) -> bool:
    return (
        _text(value)
        and not outside(value)
        and PurePosixPath(value).suffix.lower() in WRITABLE
        and all(len(part.encode()) <= 240 for part in PurePosixPath(value).parts)  # 255, less "-64"
    )


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _whole(low: int, high: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _number(low: float, high: float) -> Callable[[Any], bool]:
    """Of the open interval."""
    return lambda value: (
        isinstance(value, (int, float)) and not isinstance(value, bool) and low < value < high
    )


def _among(*names: str) -> tuple[Callable[[Any], bool], str]:
    return lambda value: value in names, f"one of {', '.join(names)}"


def _places(value: Any) -> bool:
    number = _whole(-(2**31), 2**31)
    return isinstance(value, list) and all(
        isinstance(place, list) and len(place) in (2, 4) and all(map(number, place)) for place in value
    )


PLACES = (_places, "a list of [x, y] and [left, top, right, bottom] in pixels")
SUFFIXES = ", ".join(WRITABLE)

# What a value must be: a check, and the same in words.
KNOWN: dict[str, tuple[Callable[[Any], bool], str]] = {
    "image": (_text, "the path of a picture"),
    "instruction": (_instruction, 'text such as "remove the apple"'),
    "id": (_text, "text on one line"),
    "out": (_output, f"a path inside --out that ends in {SUFFIXES}, names of up to 240 bytes"),
    "region": (_text, "the path of a mask"),
    "polarity": _among("white", "black", "alpha"),
    "everywhere": (_flag, "true or false"),
    "threshold": (_number(0, 1), "a number above 0 and below 1"),
    "include": PLACES,
    "exclude": PLACES,
    "within": (_text, "the path of a mask"),
    "invert": (_flag, "true or false"),
    "grow": (_number(-(2**31), 2**31), "a number of pixels"),
    "preserve": _among("exact", "latent", "soft"),
    "steps": (_whole(1, 10_000), "a whole number from 1 to 10000"),
    "seed": (_whole(0, 2**63 - 1), "a whole number from 0 to 2^63 - 1"),
    "candidates": (_whole(1, 64), "a whole number from 1 to 64"),
    "feather": (_number(-1e-9, 2**31), "a number of pixels, 0 or more"),
    "context": (_number(1 - 1e-9, 2**31), "a number, 1 or more"),
}
