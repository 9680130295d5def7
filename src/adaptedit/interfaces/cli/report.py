"""`adaptedit report`: a thin layer over evaluation/report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from adaptedit.interfaces.cli.terminal import quiet, stages


def report(
    folders: Annotated[
        list[Path],
        typer.Argument(metavar="DIR...", help="The --out of evaluate, or one editor's folder in it."),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder for both files.", show_default="the first DIR"),
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(help="The editor that all are compared with.", show_default="nothing, else the first"),
    ] = None,
    pictures: Annotated[
        int,
        typer.Option(min=0, help="How many samples get pictures: the worst, the best and an even spread."),
    ] = 120,
) -> None:
    """Compare runs of one benchmark: report.md, and report.html to browse the samples."""
    with stages() as stage:
        stage("writing the report")
        quiet()
        from adaptedit.evaluation.report import write_report

        typer.echo(write_report(folders, out or folders[0], baseline=baseline, pictures=pictures))
