"""The report as Markdown: the page's numbers without its pictures. Columns become rows, as that is narrow."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from adaptedit.evaluation.published import Published
from adaptedit.evaluation.report.columns import arrow, grouped
from adaptedit.evaluation.report.summary import Editor, Estimates, Summary
from adaptedit.evaluation.statistics import RESAMPLES, Estimate

HOW = (
    "Mean [95 % interval], by a bootstrap over samples ({resamples} resamples). n: samples that have the "
    "number, where it is not all; –: none. ↑ higher is better, ↓ lower. A failed edit counts as its source "
    "unchanged. Wrong size: the result is not of the source's size."
)

NONE = "–"


def markdown(summary: Summary) -> str:
    title = f"# {_text(summary.benchmark)}"
    parts = [title, HOW.format(resamples=RESAMPLES), "## Editors", _editors(summary)]
    if unfinished := [editor for editor in summary.editors if not editor.run.finished]:
        names = ", ".join(_text(editor.run.name) for editor in unfinished)
        parts.append(f"**Unfinished: {names}.** Their numbers are of the samples that are done.")
    if summary.headline:
        parts += ["## At a glance", _means(summary, summary.headline)]
    if summary.columns:
        parts.append("## All columns")
    for group, columns in grouped(summary.columns):
        parts += [f"### {group.title}", group.note, _means(summary, columns)]
        if differences := _deltas(summary, columns):
            parts += [f"Difference from {_text(summary.baseline)}, on the same samples:", differences]
    if summary.categories and summary.columns:
        parts.append("## By category")
        for column in summary.headline or summary.columns:
            parts += [f"### {_named(column)}", _by_category(summary, column)]
    if summary.set_columns:
        parts += ["## Of all samples at once", _sets(summary)]
    if failures := [editor for editor in summary.editors if editor.run.failures]:
        parts += ["## Failures", _failures(failures)]
    if summary.missing:
        parts += ["## Missing columns", _missing(summary)]
    parts += ["## Settings and seeds", _settings(summary)]
    if summary.published:
        parts += ["## Published numbers, not measured here", *map(_published, summary.published)]
    return "\n\n".join(part for part in parts if part) + "\n"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, words: bool = False) -> str:
    """Cells are Markdown. The first column is aligned left, numbers right."""
    rule = [":--", *[":--" if words else "--:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, rule, *rows])


def _editors(summary: Summary) -> str:
    rows = []
    for editor in summary.editors:
        run = editor.run
        done = str(run.expected) if run.finished else f"{len(run.scores)} of {run.expected}, unfinished"
        seconds = NONE if run.seconds is None else f"{run.seconds:.2f}"
        rows.append([_text(run.name), done, str(len(run.failures)), str(len(run.other_size)), seconds])
    return table(["editor", "samples", "failures", "wrong size", "seconds an edit"], rows)


def _means(summary: Summary, columns: Sequence[str]) -> str:
    return _estimates(summary, columns, summary.editors, lambda editor: editor.means)


def _deltas(summary: Summary, columns: Sequence[str]) -> str:
    others = [editor for editor in summary.editors if editor.run.name != summary.baseline]
    return _estimates(summary, columns, others, lambda editor: editor.deltas, signed=True)


def _estimates(
    summary: Summary,
    columns: Sequence[str],
    editors: Sequence[Editor],
    of: Callable[[Editor], Estimates],
    signed: bool = False,
) -> str:
    """Empty if none of the editors has any; editors and columns without are left out."""
    shown = [editor for editor in editors if any(column in of(editor) for column in columns)]
    rows = []
    for column in columns:
        if any(column in of(editor) for editor in shown):
            digits = summary.decimals(column)
            cells = [_cell(of(one).get(column), digits, len(one.run.scores), signed) for one in shown]
            rows.append([_named(column), *cells])
    return table(["column", *(_text(editor.run.name) for editor in shown)], rows) if rows else ""


def _by_category(summary: Summary, column: str) -> str:
    digits = summary.decimals(column)
    shown = [editor for editor in summary.editors if column in editor.means]
    rows = [
        [_text(one) or "(none)", *(_cell(editor.categories[one].get(column), digits) for editor in shown)]
        for one in summary.categories
    ]
    return table(["category", *(_text(editor.run.name) for editor in shown)], rows)


def _cell(one: Estimate | None, digits: int, samples: int | None = None, signed: bool = False) -> str:
    """A text in which a line may break before the interval and before n, but not elsewhere."""
    if one is None:
        return NONE
    mean, low, high = (_number(value, digits, signed) for value in (one.mean, one.low, one.high))
    cell = f"{mean} [{low},\u00a0{high}]"
    return cell if samples in (None, one.count) else f"{cell} n\u00a0{one.count}"


def _named(column: str) -> str:
    return f"{_text(column)}{arrow(column)}".replace(" ", "\u00a0")


def _number(value: float, digits: int, signed: bool) -> str:
    text = f"{value:{'+' if signed else ''}.{digits}f}"
    return text if float(text) else text.lstrip("+-")


def _sets(summary: Summary) -> str:
    def cell(editor: Editor, column: str) -> str:
        return f"{editor.run.sets[column]:.4g}" if column in editor.run.sets else NONE

    rows = [
        [_named(column), *(cell(editor, column) for editor in summary.editors)]
        for column in summary.set_columns
    ]
    return table(["column", *(_text(editor.run.name) for editor in summary.editors)], rows)


def _failures(editors: Sequence[Editor]) -> str:
    rows = [
        [_text(editor.run.name), str(times), _text(reason)]
        for editor in editors
        for reason, times in Counter(editor.run.failures.values()).most_common(10)
    ]
    return table(["editor", "samples", "reason"], rows, words=True)


def _missing(summary: Summary) -> str:
    rows = []
    for one in summary.missing:
        whose = "all" if len(one.editors) == len(summary.editors) else ", ".join(map(_text, one.editors))
        rows.append([", ".join(map(_text, one.columns)), whose, _text(one.reason)])
    return table(["column", "editors", "reason"], rows, words=True)


def _settings(summary: Summary) -> str:
    keys = sorted({key for editor in summary.editors for key in editor.run.settings})
    rows = [
        [_text(run.name), str(run.seed), *(_text(run.settings.get(key, NONE)) for key in keys)]
        for run in (editor.run for editor in summary.editors)
    ]
    return table(["editor", "seed", *map(_text, keys)], rows, words=True)


def _published(family: Published) -> str:
    rows = [[_text(name), *(f"{value:g}" for value in values)] for name, values in family.rows.items()]
    head = ["method", *map(_named, family.columns)]
    notes = [f"Source: {_text(family.source)}.", _text(family.caution)]
    return "\n\n".join([f"### {_text(family.title)}", table(head, rows), " ".join(notes).strip()])


def _text(text: str | Path) -> str:
    """Text from a file, to be shown as it is."""
    return re.sub(r"([\\`*_\[\]|<>&~$])", r"\\\1", " ".join(str(text).split()))
