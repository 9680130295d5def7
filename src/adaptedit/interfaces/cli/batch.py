"""`adaptedit batch`: a thin layer over `interfaces/batch/`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from adaptedit.editing.options import LoadOptions
from adaptedit.errors import AdaptEditError
from adaptedit.interfaces.batch.fields import named
from adaptedit.interfaces.cli.loading import loads_editor
from adaptedit.interfaces.cli.share import share
from adaptedit.interfaces.cli.terminal import quiet, stages

if TYPE_CHECKING:
    from adaptedit.jsonl import Row

SHOWN = 20  # problems and failures on the screen; all failures are in the manifest
PARALLEL = "Many at once, with the same results"


@loads_editor
def batch(
    jobs: Annotated[
        Path,
        typer.Argument(
            metavar="JOBS",
            readable=False,  # no check by typer, whose message is not one line
            help='A JSONL file with a line {"image": ..., "instruction": ...} for each edit, or a folder of '
            "pictures.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            readable=False,
            help="The folder for the edited pictures and the manifest; made if needed.",
        ),
    ],
    instruction: Annotated[
        str | None,
        typer.Option(
            help="What to do in every record that has no instruction of its own.", show_default=False
        ),
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Edit again the records that failed in an earlier run.")
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite",
            help="Replace existing files in the way of outputs, though this batch did not write them.",
        ),
    ] = False,
    processes: Annotated[
        int,
        typer.Option(
            min=1,
            help="How many processes work on this machine. Each uses one core, and one GPU if there are any.",
            rich_help_panel=PARALLEL,
        ),
    ] = 1,
    shard: Annotated[
        str,
        typer.Option(
            metavar="I/N",
            help="Edit only share I of N equal shares: 1/4, 2/4, 3/4 and 4/4 together are the whole batch.",
            rich_help_panel=PARALLEL,
        ),
    ] = "1/1",
    ray: Annotated[
        bool,
        typer.Option(
            "--ray",
            help="Use the Ray cluster that RAY_ADDRESS names, or else start Ray on this machine.",
            rich_help_panel=PARALLEL,
        ),
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="How many Ray workers to use.",
            show_default="one for each GPU, or for each core if there is no GPU",
            rich_help_panel=PARALLEL,
        ),
    ] = None,
    *,
    load: LoadOptions,
) -> None:
    """Edit every picture that JOBS lists. Run the same command again to continue an interrupted batch. A
    record of JOBS has "image" and "instruction" and, if wanted, "id", "out", "seed", "region", "polarity" and
    the other options of `edit`. OUT/manifest.jsonl has the result of each record. Exit code 1: some records
    are not done.
    """
    started = time.perf_counter()
    number, count = share(shard)
    if ray and processes > 1:
        raise AdaptEditError("--ray and --processes exclude each other; with --ray give --workers")
    if workers is not None and not ray:
        raise AdaptEditError("--workers is for --ray; without it give --processes")
    from adaptedit.interfaces.batch import manifest
    from adaptedit.interfaces.batch.editor import Editor
    from adaptedit.interfaces.batch.lock import only_batch
    from adaptedit.interfaces.batch.outputs import Outputs
    from adaptedit.interfaces.batch.processes import in_processes
    from adaptedit.interfaces.batch.progress import progress
    from adaptedit.interfaces.batch.ray_run import in_ray
    from adaptedit.interfaces.batch.reading import load as read_records
    from adaptedit.interfaces.batch.run import here, left, run

    with stages() as stage, _all_problems():
        stage("checking the records")
        records = read_records(jobs, out, instruction, has_adapter=load.has_adapter)
    ours = records[number - 1 :: count]
    troubles: list[str] = []

    def note(row: Row) -> None:
        if row["status"] != "done":
            troubles.append(f"{named(row['id'])}: {row['error']}")
        on_row(row)

    with only_batch(out, number, count):
        with stages() as stage, _all_problems():
            stage("checking what is done")
            todo = left(out, ours, retry_failed)
            Outputs(out, overwrite).check(todo)
            manifest.describe(out, load)
        quiet()
        start = Editor(out.resolve(), load, overwrite)
        runner = here
        if ray:
            runner = partial(in_ray, workers=workers)
        elif processes > 1:
            runner = partial(in_processes, count=processes)
        with progress(len(todo)) as on_row:
            statuses = run(records, ours, runner(todo, start), out, shard=number - 1, on_row=note)
    _list(troubles)
    typer.echo(out / "manifest.jsonl")
    told = ", ".join(f"{statuses[status]} {status}" for status in manifest.STATUSES)
    typer.echo(f"{told}; {len(todo)} of {len(ours)} this time, {time.perf_counter() - started:.1f} s")
    if statuses["done"] < len(ours):
        raise typer.Exit(1)


@contextmanager
def _all_problems() -> Iterator[None]:
    """Shows each problem of a BadRecords in the body, before the error itself, which counts them."""
    from adaptedit.interfaces.batch.reading import BadRecords

    try:
        yield
    except BadRecords as error:
        if len(error.problems) > 1:
            _list(error.problems)
        raise


def _list(troubles: list[str]) -> None:
    for trouble in troubles[:SHOWN]:
        typer.echo(trouble, err=True)
    if len(troubles) > SHOWN:
        typer.echo(f"and {len(troubles) - SHOWN} more", err=True)
