"""`adaptedit train STAGE`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from adaptedit.interfaces.cli.terminal import quiet


def train(
    stage: Annotated[
        Literal["encoder", "objects", "backbone", "adapter"], typer.Argument(help="In this order.")
    ],
    config: Annotated[str, typer.Option(help="A recipe: tiny or debug.")] = "tiny",
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the run; run again to resume.", show_default="runs/CONFIG"),
    ] = None,
    processes: Annotated[int, typer.Option(min=1, help="Each uses one core; their batches add up.")] = 1,
    start: Annotated[
        Path | None, typer.Option(help="Folder of weights to start from.", show_default="fresh")
    ] = None,
    renders: Annotated[
        Path | None,
        typer.Option(help="Folder of `adaptedit data render`, to mix in.", show_default="none"),
    ] = None,
) -> None:
    """Train a stage of tiny: its encoder on referring, its object decoder on single objects, its backbone as
    an ordinary instruction editor, or block adapters and mask predictor on the frozen backbone."""
    quiet()
    from adaptedit.tiny.training.run import run_stage

    folder = out or Path("runs") / config
    typer.echo(run_stage(stage, config, folder, processes=processes, start=start, renders=renders))
