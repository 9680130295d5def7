"""Prints backbone x feature after a run: what tests marked `feature`, or with such a parameter, found.

`--matrix FILE` writes it, too.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

import zoo

HEADER = """# What the adapter was tested beside

Tiny random models of diffusers' own classes, on a CPU: `pytest --matrix docs/compatibility.md` ran the tests
and wrote this. `yes`: with the feature on before attaching and after, a fresh, disabled or detached adapter
leaves the backbone's bits, and a trained one says what it says without the feature. It is about wiring, not
about speed, nor about pictures. Empty: not tested; diffusers has no editing pipeline of that class here.

"""

_RANK = ("skipped", "passed", "failed")  # the worst of a cell's tests decides; one that ran beats a skip


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--matrix", type=Path, metavar="FILE", help="write backbone x feature as Markdown")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        params = getattr(getattr(item, "callspec", None), "params", {})
        marker = item.get_closest_marker("feature")
        feature = marker.args[0] if marker else params.get("feature")
        backbone = params.get("name", params.get("case"))
        if feature and backbone in zoo.ZOO:
            item.user_properties.append(("matrix", (feature, backbone)))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    cells: dict[tuple[str, str], tuple[str, str]] = {}
    for outcome in _RANK:
        for report in terminalreporter.stats.get(outcome, []):
            for _, cell in (entry for entry in report.user_properties if entry[0] == "matrix"):
                reason = report.longrepr[2].removeprefix("Skipped: ") if outcome == "skipped" else ""
                cells[tuple(cell)] = outcome, re.sub(r"<class '(?:\w+\.)*(\w+)'>", r"\1", reason).rstrip(":")
    if not cells:
        return
    text = table(cells)
    terminalreporter.section("backbone x feature")
    terminalreporter.write_line(text)
    if path := config.getoption("--matrix"):
        path.write_text(HEADER + text)


def table(cells: dict[tuple[str, str], tuple[str, str]]) -> str:
    """(feature, backbone) -> (outcome, reason) as Markdown: a row a feature, a footnote a reason."""
    notes: defaultdict[str, int] = defaultdict(lambda: len(notes) + 1)

    def cell(feature: str, backbone: str) -> str:
        outcome, reason = cells.get((feature, backbone), ("", ""))
        if outcome == "skipped":
            return f"– {notes[reason]}"
        return {"passed": "yes", "failed": "FAILS"}.get(outcome, "")

    features = list(dict.fromkeys(feature for feature, _ in cells))
    width = max(map(len, features))
    widths = [width, *map(len, zoo.ZOO)]
    rows = [["", *zoo.ZOO], *([feature, *(cell(feature, name) for name in zoo.ZOO)] for feature in features)]
    padded = [[one.ljust(w) for one, w in zip(row, widths, strict=True)] for row in rows]
    lines = [f"| {' | '.join(row)} |" for row in padded]
    lines.insert(1, "|" + "---|" * (len(zoo.ZOO) + 1))
    return "\n".join([*lines, "", *(f"{number}. {reason}" for reason, number in notes.items()), ""])
