"""The fields of a record, one check each."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import PurePath, PurePosixPath
from typing import Any

from adaptedit.editing.limits import (
    LARGEST_SEED,
    MOST_CONTEXT,
    MOST_GUIDANCE,
    MOST_PIXELS,
    MOST_PLACES,
    MOST_SCALE,
    MOST_STEPS,
)
from adaptedit.errors import quoted
from adaptedit.pictures.formats import WRITABLE

Fields = dict[str, Any]

_KINDS: set[type[PurePath]] = {PurePosixPath, type(PurePath())}  # of paths: everywhere, on this system
_CONTROL_OR_SURROGATE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")  # half a character, which no file and no model takes


def problems(fields: Fields) -> list[str]:
    """What is wrong with each field by itself, in words that follow the record's place."""
    found = [f'lacks "{key}"' for key in ("image", "instruction") if key not in fields]
    for key, value in fields.items():
        if key not in KNOWN:
            name = f'"{key}"' if key.isidentifier() and len(key) <= 60 else quoted(key)
            found.append(f"{name} is not a field; use {', '.join(KNOWN)}")
        elif not KNOWN[key][0](value):
            found.append(f'"{key}" must be {KNOWN[key][1]}, got {quoted(value)}')
    if fields.get("everywhere") and "region" in fields:
        found.append('"region" and "everywhere" exclude each other; give one of them')
    places = [fields[key] for key in ("include", "exclude") if _places(fields.get(key))]
    if (count := sum(map(len, places))) > MOST_PLACES:
        found.append(f'"include" and "exclude" hold {count} places; give at most {MOST_PLACES} together')
    return found


def without_adapter(fields: Fields) -> list[str]:
    """What is wrong where the editor has no adapter."""
    found = []
    if "region" not in fields and not fields.get("everywhere"):
        found.append(
            'lacks "region", and this editor has no adapter to find one; add "region" or "everywhere": true, '
            "or give --adapter"
        )
    if "adapter_scale" in fields:
        found.append('"adapter_scale" is for an adapter, and this editor has none; leave it out')
    return found


def outside(path: str) -> bool:
    """Whether a path may leave the folder that it is relative to; on Windows also by a drive or \\."""
    return any(bool(kind(path).anchor) or ".." in kind(path).parts for kind in _KINDS)


def named(path: object) -> str:
    """A path or a name in an error message: as it is, unless it is very long or cannot be shown."""
    text = str(path)
    return text if len(text) <= 200 and text.isprintable() else quoted(text, 200)


def _text(value: Any) -> bool:
    """Whether it is text of one line, as a file's name can be."""
    return isinstance(value, str) and bool(value.strip()) and _CONTROL_OR_SURROGATE.search(value) is None


def _instruction(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip()) and _SURROGATE.search(value) is None


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
    """From low to high, both included. NaN and the infinities are in no such interval."""
    return lambda value: (
        isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high
    )


def _threshold(value: Any) -> bool:
    return _number(0, 1)(value) and 0 < value < 1


def _among(*names: str) -> tuple[Callable[[Any], bool], str]:
    return lambda value: value in names, f"one of {', '.join(names)}"


def _paths(value: Any) -> bool:
    return isinstance(value, list) and all(map(_text, value))


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
    "threshold": (_threshold, "a number above 0 and below 1"),
    "include": PLACES,
    "exclude": PLACES,
    "within": (_text, "the path of a mask"),
    "invert": (_flag, "true or false"),
    "grow": (_number(-MOST_PIXELS, MOST_PIXELS), f"a number of pixels from -{MOST_PIXELS} to {MOST_PIXELS}"),
    "preserve": _among("exact", "latent", "soft"),
    "steps": (_whole(1, MOST_STEPS), f"a whole number from 1 to {MOST_STEPS}"),
    "guidance": (_number(0, MOST_GUIDANCE), f"a number from 0 to {MOST_GUIDANCE}"),
    "negative_prompt": (_instruction, "text"),
    "references": (_paths, "a list of paths of pictures"),
    "adapter_scale": (_number(-MOST_SCALE, MOST_SCALE), f"a number from -{MOST_SCALE} to {MOST_SCALE}"),
    "seed": (_whole(0, LARGEST_SEED), "a whole number from 0 to 2^63 - 1"),
    "candidates": (_whole(1, 64), "a whole number from 1 to 64"),
    "feather": (_number(0, MOST_PIXELS), f"a number of pixels from 0 to {MOST_PIXELS}"),
    "context": (_number(1, MOST_CONTEXT), f"a number from 1 to {MOST_CONTEXT}"),
}
