"""The `adaptedit` command. Each sub-command has its module; heavy imports are inside them, so that `--help`
answers at once."""

from __future__ import annotations

from typing import Annotated

import typer

from adaptedit import __version__
from adaptedit.interfaces.cli import batch as batch_cli
from adaptedit.interfaces.cli import data as data_cli
from adaptedit.interfaces.cli import edit as edit_cli
from adaptedit.interfaces.cli import evaluate as evaluate_cli
from adaptedit.interfaces.cli import models as models_cli
from adaptedit.interfaces.cli import region as region_cli
from adaptedit.interfaces.cli import report as report_cli
from adaptedit.interfaces.cli import serve as serve_cli
from adaptedit.interfaces.cli import train as train_cli
from adaptedit.interfaces.cli import ui as ui_cli
from adaptedit.interfaces.cli.terminal import OneLineErrors, prepare_streams

app = typer.Typer(
    cls=OneLineErrors, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)
for command in (
    edit_cli.edit,
    region_cli.region,
    batch_cli.batch,
    ui_cli.ui,
    serve_cli.serve,
    evaluate_cli.evaluate,
    report_cli.report,
    models_cli.models,
    train_cli.train,
):
    app.command()(command)
app.add_typer(data_cli.app, name="data")


def main() -> None:
    """The `adaptedit` command."""
    prepare_streams()
    app()


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"adaptedit {__version__}")
        raise typer.Exit


@app.callback()
def about(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Edit a picture where you mean, and nowhere else."""


if __name__ == "__main__":
    main()
