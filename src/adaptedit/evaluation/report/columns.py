"""What a report must know of the columns: which way is better, and which belong in one table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

# By the longest prefix; 0: neither (a position, or a size that should be 1).
BETTER = {
    "L1": -1,
    "L2": -1,
    "MSE": -1,
    "PSNR": 1,
    "SSIM": 1,
    "LPIPS": -1,
    "CLIP": 1,
    "DINO": 1,
    "structure": -1,
    "shift": -1,
    "shift-x": 0,
    "shift-y": 0,
    "zoom": 0,
    "zoom-error": -1,
    "aligned": 1,
    "IoU": 1,
    "F1": 1,
    "precision": 1,
    "recall": 1,
    "boundary-F": 1,
    "coverage-error": -1,
    "FID": -1,
    "judge": 1,
    "success": 1,
    "seconds": -1,
}

# The first table, as far as these are there. The first of them also says which samples are worst and best.
HEADLINE = (
    "L1",
    "CLIP-I",
    "DINO",
    "CLIP-dir",
    "CLIP-T",
    "CLIP-out",
    "success",
    "PSNR-outside",
    "LPIPS-outside",
    "shift",
    "IoU",
    "judge overall",
)


@dataclass(frozen=True)
class Group:
    """A table; `pattern` fully matches its columns, unless an earlier group's does.

    found_region: only editors that look for a region have these columns.
    """

    title: str
    note: str
    pattern: str
    found_region: bool = False


GROUPS = (
    Group(
        "Against the target",
        "How near the result is to the benchmark's target.",
        r"L1|L2|CLIP-I|DINO|DINO-no-crop|\w+-whole",
    ),
    Group(
        "Against the instruction",
        "Whether the result shows what was asked for.",
        r"CLIP-(T|dir|out)|PIE-CLIP-.*|judge.*",
    ),
    Group(
        "Inside the region",
        "What should have changed, against the target. "
        "success: the share of edits that leave less than half of the difference.",
        r".*-inside|success",
    ),
    Group(
        "Outside the region",
        "What should have stayed, against the source. Means over the pixels there; "
        "PIE-: over all pixels, the others blackened, which flatters a small background.",
        r".*-outside",
    ),
    Group(
        "Shift and zoom of the background",
        "In pixels of the source, and as a factor. Only where source and result could be aligned.",
        r"shift.*|zoom.*|aligned",
    ),
    Group(
        "The region found, against the annotators'",
        "Of editors that look for a region. One that finds none has an empty region here, and a failure.",
        r"(IoU|F1|precision|recall|boundary-F|coverage-error)(@dev)?",
        found_region=True,
    ),
    Group(
        "The region found, against what the target changes",
        "As above, but where source and target really differ.",
        r".*-change(@dev)?",
        found_region=True,
    ),
    Group(
        "Against the source",
        "Doing nothing is best here; read them with the columns against the instruction.",
        r".*-source(-no-crop)?|CLIP-im|(PIE-)?structure",
    ),
    Group("Other", "", r".*"),
)


def better(column: str) -> int:
    """1: higher is better, -1: lower, 0: neither or unknown."""
    name = column.removeprefix("PIE-")
    return BETTER[max((prefix for prefix in BETTER if name.startswith(prefix)), key=len, default="zoom")]


def finest(column: str) -> int:
    """Digits after the point at most; more digits of a shift or a zoom would be noise."""
    return 4 if column.startswith(("shift", "zoom")) else 6


def arrow(column: str) -> str:
    return {1: " ↑", -1: " ↓", 0: ""}[better(column)]


def group(column: str) -> Group:
    return next(one for one in GROUPS if re.fullmatch(one.pattern, column))


def grouped(columns: Sequence[str]) -> list[tuple[Group, list[str]]]:
    """Every column once; groups without columns are left out."""
    found: dict[Group, list[str]] = {one: [] for one in GROUPS}
    for column in columns:
        found[group(column)].append(column)
    return [(one, members) for one, members in found.items() if members]
