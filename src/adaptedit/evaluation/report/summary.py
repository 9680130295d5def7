"""All numbers of a report, once, for Markdown and HTML alike."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from adaptedit.errors import AdaptEditError
from adaptedit.evaluation import statistics
from adaptedit.evaluation.published import Published, beside
from adaptedit.evaluation.report.columns import HEADLINE, finest, group
from adaptedit.evaluation.report.runs import EditorRun
from adaptedit.evaluation.statistics import Estimate

NOTHING = "nothing"  # the editor, as evaluation/editors.py names it; importing that would load torch

Estimates: TypeAlias = dict[str, Estimate]  # by column; those without a value are not in it


@dataclass(frozen=True)
class Editor:
    """deltas: against the baseline, sample by sample; {} for the baseline itself. categories: means."""

    run: EditorRun
    means: Estimates
    deltas: Estimates
    categories: dict[str, Estimates]


@dataclass(frozen=True)
class Missing:
    """Columns that these editors have no number for."""

    columns: list[str]
    editors: list[str]
    reason: str


@dataclass(frozen=True)
class Summary:
    """columns, set_columns: that at least one editor has a number for. headline: some of the columns.

    categories: sorted; [] if the benchmark has none.
    """

    benchmark: str
    baseline: str
    editors: list[Editor]
    columns: list[str]
    headline: list[str]
    set_columns: list[str]
    categories: list[str]
    missing: list[Missing]
    published: list[Published]

    def decimals(self, column: str) -> int:
        """Digits after the point that its numbers are shown with."""
        found = [editor.means[column] for editor in self.editors if column in editor.means]
        largest = max((max(abs(one.low), abs(one.high)) for one in found), default=0.0)
        return min(decimals(largest), finest(column))


def summarise(
    runs: Sequence[EditorRun], baseline: str | None = None, published: Sequence[Published] | None = None
) -> Summary:
    """baseline: an editor's name; by default "nothing" if it is there, else the first.

    published: by default the tables that `evaluation/published.py` has for the benchmark.
    """
    names = [run.name for run in runs]
    baseline = baseline or (NOTHING if NOTHING in names else names[0])
    if baseline not in names:
        raise AdaptEditError(f"there is no editor {baseline!r} to compare with; choose of {', '.join(names)}")
    known = list(dict.fromkeys(column for run in runs for column in run.columns))
    categories = sorted({row.get("category", "") for run in runs for row in run.scores.values()})
    if len(categories) == 1:
        categories = []
    reference = runs[names.index(baseline)].table(known)
    editors = [
        Editor(
            run,
            _estimates(known, statistics.means(run.table(known))),
            {} if run.name == baseline else _estimates(known, statistics.deltas(run.table(known), reference)),
            {one: _estimates(known, statistics.means(run.table(known, one))) for one in categories},
        )
        for run in runs
    ]
    columns = [column for column in known if any(column in editor.means for editor in editors)]
    return Summary(
        runs[0].benchmark,
        baseline,
        editors,
        columns,
        [column for column in HEADLINE if column in columns],
        list(dict.fromkeys(column for run in runs for column in run.sets)),
        categories,
        _missing(editors),
        list(beside(runs[0].benchmark) if published is None else published),
    )


def decimals(largest: float) -> int:
    """Four digits for a column whose largest number this is; below 0.01 three, and six decimals at most.

    A power of ten counts with the numbers below it, as scores end at 1 or 100.
    """
    if largest == 0:
        return 4
    exponent = math.ceil(math.log10(largest)) - 1
    return min(max(3 - exponent, 0), max(4, 2 - exponent), 6)


def _estimates(columns: Sequence[str], found: Sequence[Estimate | None]) -> Estimates:
    return {column: one for column, one in zip(columns, found, strict=True) if one is not None}


def _missing(editors: Sequence[Editor]) -> list[Missing]:
    """Grouped by reason, and by the editors that it holds for."""
    whose: dict[tuple[str, str], list[str]] = defaultdict(list)
    for editor in editors:
        run = editor.run
        reasons = dict(run.unavailable)
        for column in run.columns:
            if column not in editor.means:
                reasons[column] = _no_value(column) if run.scores else "no sample is done yet"
        if run.finished:
            reasons |= {
                one: "the run gave none, or was ended before it came to them"
                for one in run.set_columns
                if one not in run.sets
            }
        else:
            reasons |= dict.fromkeys(run.set_columns, "the run is not finished")
        for column, reason in reasons.items():
            whose[column, reason].append(run.name)
    grouped: dict[tuple[str, tuple[str, ...]], list[str]] = defaultdict(list)
    for (column, reason), names in whose.items():
        grouped[reason, tuple(names)].append(column)
    return [Missing(columns, list(names), reason) for (reason, names), columns in grouped.items()]


def _no_value(column: str) -> str:
    if group(column).found_region:
        threshold = "no threshold from other data was given, or " if "@dev" in column else ""
        return f"{threshold}the editor reports no region, or the benchmark has none"
    return "no sample has what it needs: a target, a region or captions"
