"""Reports of finished or unfinished runs: `report.md` and one self-contained `report.html`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from adaptedit.evaluation.published import Published
from adaptedit.evaluation.report.html import page
from adaptedit.evaluation.report.markdown import markdown
from adaptedit.evaluation.report.runs import read_runs
from adaptedit.evaluation.report.summary import summarise
from adaptedit.files import write_atomically


def write_report(
    folders: Sequence[str | Path],
    out: str | Path,
    *,
    baseline: str | None = None,
    pictures: int = 120,
    published: Sequence[Published] | None = None,
) -> Path:
    """Writes report.md and report.html into `out`, a folder that need not exist; returns the page's path.

    folders: of `adaptedit evaluate`, one or more, all of one benchmark. baseline: the editor that all others
    are compared with; by default "nothing" if it is there, else the first. pictures: of at most
    so many samples are on the page. published: tables to print apart; by default the benchmark's own.

    AdaptEditError if there is nothing to report, benchmarks are mixed, or a file is damaged.
    """
    summary = summarise(read_runs([Path(folder) for folder in folders]), baseline, published)
    files = {"report.md": markdown(summary), "report.html": page(summary, pictures)}
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        write_atomically(out / name, text.encode("utf-8", "backslashreplace"))
    return out / "report.html"
