"""`adaptedit train …`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from adaptedit.interfaces.terminal import quiet

app = typer.Typer(no_args_is_help=True, help="Train tiny: encoder, then backbone, then adapter.")

Config = Annotated[str, typer.Option(help="A recipe of training/configs.py: tiny or debug.")]
Out = Annotated[
    Path | None,
    typer.Option(help="Folder of the run; a killed run goes on from it.", show_default="runs/CONFIG"),
]
Processes = Annotated[int, typer.Option(min=1, help="One core each; their batches add up.")]
Start = Annotated[
    Path | None, typer.Option(help="Weights to start from, laid out as shipped.", show_default="fresh")
]
Renders = Annotated[
    Path | None,
    typer.Option(help="Rendered pairs to mix in, of `adaptedit data render`.", show_default="none"),
]


def _train(
    stage: str, config: str, out: Path | None, processes: int, start: Path | None, renders: Path | None
) -> None:
    quiet()
    from adaptedit.training.run import run_stage

    folder = out or Path("runs") / config
    typer.echo(run_stage(stage, config, folder, processes=processes, start=start, renders=renders))


@app.command()
def encoder(
    config: Config = "tiny",
    out: Out = None,
    processes: Processes = 1,
    start: Start = None,
    renders: Renders = None,
) -> None:
    """Stage 1: pre-train the vision-language encoder on referring."""
    _train("encoder", config, out, processes, start, renders)


@app.command()
def backbone(
    config: Config = "tiny",
    out: Out = None,
    processes: Processes = 1,
    start: Start = None,
    renders: Renders = None,
) -> None:
    """Stage 2: train the DiT as an ordinary instruction editor."""
    _train("backbone", config, out, processes, start, renders)


@app.command()
def adapter(
    config: Config = "tiny",
    out: Out = None,
    processes: Processes = 1,
    start: Start = None,
    renders: Renders = None,
) -> None:
    """Stage 3: train block adapters and mask predictor on the frozen backbone."""
    _train("adapter", config, out, processes, start, renders)
