"""The report as one HTML page that needs no network: `page.html`, with numbers and pictures put into it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from importlib import resources
from typing import Any

from adaptedit.evaluation.report.columns import better, grouped
from adaptedit.evaluation.report.pictures import Album, Shown, worth_showing
from adaptedit.evaluation.report.summary import Editor, Estimates, Summary
from adaptedit.evaluation.statistics import RESAMPLES, Estimate

LARGEST = 18_000_000  # characters of the page; pictures stop there

Json = dict[str, Any]


def page(summary: Summary, pictures: int = 120) -> str:
    """pictures: how many samples have pictures at most: the worst, the best and an even spread."""
    ids = list(dict.fromkeys(one for editor in summary.editors for one in editor.run.scores))
    data = _tables(summary) | _samples(summary, ids)
    room = LARGEST - len(_embedded(data))
    data |= _pictures(summary, ids, pictures, room)
    template = resources.files("adaptedit.evaluation.report").joinpath("page.html").read_text("utf-8")
    before, after = template.split("{{data}}")
    return before + _embedded(data) + after


def _embedded(data: Json) -> str:
    """JSON in which nothing ends a script element or starts a comment."""
    text = json.dumps(data, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")


def _tables(summary: Summary) -> Json:
    return {
        "benchmark": summary.benchmark,
        "baseline": summary.baseline,
        "resamples": RESAMPLES,
        "columns": {
            column: {"better": better(column), "decimals": summary.decimals(column)}
            for column in summary.columns
        },
        "headline": summary.headline,
        "groups": [
            {"title": group.title, "note": group.note, "columns": columns}
            for group, columns in grouped(summary.columns)
        ],
        "setColumns": {column: {"better": better(column)} for column in summary.set_columns},
        "categories": summary.categories,
        "editors": [_editor(summary, editor) for editor in summary.editors],
        "missing": [vars(one) for one in summary.missing],
        "published": [
            vars(one) | {"better": [better(column) for column in one.columns]} for one in summary.published
        ],
    }


def _editor(summary: Summary, editor: Editor) -> Json:
    run = editor.run

    def numbers(estimates: Estimates) -> Json:
        return {column: _numbers(one, summary.decimals(column)) for column, one in estimates.items()}

    return {
        "name": run.name,
        "done": len(run.scores),
        "expected": run.expected,
        "finished": run.finished,
        "otherSize": run.other_size,
        "seconds": run.seconds,
        "seed": run.seed,
        "settings": run.settings,
        "sets": run.sets,
        "means": numbers(editor.means),
        "deltas": numbers(editor.deltas),
        "byCategory": {one: numbers(found) for one, found in editor.categories.items()},
        "reasons": Counter(run.failures.values()).most_common(10),
    }


def _numbers(one: Estimate, decimals: int) -> list[float]:
    """[mean, low, high, count, sign], the first three as in the Markdown, to the last digit."""
    return [*(round(value, decimals) for value in (one.mean, one.low, one.high)), one.count, one.sign]


def _rounded(value: float) -> float:
    return float(f"{value:.5g}")


def _samples(summary: Summary, ids: Sequence[str]) -> Json:
    """Numbers by editor and column, in the order of `ids`."""
    first = {one: row for editor in summary.editors for one, row in editor.run.scores.items()}
    values = []
    for editor in summary.editors:
        rows = [editor.run.scores.get(one, {}) for one in ids]
        values.append(
            {
                column: [None if row.get(column) is None else _rounded(row[column]) for row in rows]
                for column in editor.means
            }
        )
    return {
        "samples": [
            {
                "id": one,
                "category": first[one].get("category", ""),
                "instruction": first[one].get("instruction", ""),
            }
            for one in ids
        ],
        "values": values,
        "failures": [editor.run.failures for editor in summary.editors],
        "seeds": [[editor.run.edits.get(one, {}).get("seed") for one in ids] for editor in summary.editors],
    }


def _pictures(summary: Summary, ids: list[str], most: int, room: int) -> Json:
    """For each sample shown, one dict per editor of indices into `album`; None where the editor has none."""
    album = Album()
    shown: dict[str, list[Shown]] = {}
    for one in worth_showing(summary, ids):
        if len(shown) >= most or album.size >= room:
            break
        shown[one] = [album.sample(editor.run.folder, one) for editor in summary.editors]
    return {"shown": shown, "album": album.uris}
