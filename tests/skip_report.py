"""Prints after a run why tests were skipped: each reason once, with the number of its tests."""

from __future__ import annotations

from collections import Counter
from typing import Any


def pytest_terminal_summary(terminalreporter: Any) -> None:
    reasons = Counter(
        report.longrepr[2].removeprefix("Skipped: ").splitlines()[0]
        for report in terminalreporter.stats.get("skipped", [])
    )
    if not reasons:
        return
    terminalreporter.section("skipped")
    terminalreporter.write_line("reason | tests")
    for reason, count in sorted(reasons.items()):
        terminalreporter.write_line(f"{reason} | {count}")
