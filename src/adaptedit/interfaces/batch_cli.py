"""`adaptedit batch`: a thin door over `batch/`."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from adaptedit.errors import AdaptEditError
from adaptedit.interfaces.edit_cli import AdapterName, BackboneName
from adaptedit.interfaces.terminal import quiet, stages

if TYPE_CHECKING:
    from adaptedit.evaluation.lines import Row
    from adaptedit.interfaces.batch.records import Record

SHOWN = 20  # problems and failures on the screen; all failures are in the manifest
PARALLEL = "Many at once, with the same results"


def batch(
    jobs: Annotated[
        Path,
        typer.Argument(
            metavar="JOBS", help='A JSONL of {"image", "instruction", ...}, or a folder of pictures.'
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder of the pictures and the manifest.")],
    instruction: Annotated[str | None, typer.Option(help="Of the records that have none.")] = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try the failed ones again.")] = False,
    backbone: BackboneName = "tiny",
    adapter: AdapterName = None,
    processes: Annotated[
        int, typer.Option(min=1, help="One core, and one GPU if there are, each.", rich_help_panel=PARALLEL)
    ] = 1,
    shard: Annotated[
        str,
        typer.Option(metavar="I/N", help="Only the i-th of n shares, 1/4 to 4/4.", rich_help_panel=PARALLEL),
    ] = "1/1",
    ray: Annotated[
        bool, typer.Option("--ray", help="On a Ray cluster, or a local Ray.", rich_help_panel=PARALLEL)
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, help="Of Ray.", show_default="a GPU each, else a core each", rich_help_panel=PARALLEL
        ),
    ] = None,
) -> None:
    """Edit every record of JOBS, and go on where an earlier run stopped. Exit code 1: some are not done.

    A record is {"image", "instruction"} and, if you like, "id", "out", "seed", "region", "polarity" and all
    else that `edit` takes. OUT/manifest.jsonl says what became of each.
    """
    started = time.perf_counter()
    number, count = _share(shard)
    if ray and processes > 1:
        raise AdaptEditError("--ray and --processes exclude each other; with --ray give --workers")
    if workers is not None and not ray:
        raise AdaptEditError("--workers is for --ray; without it give --processes")
    from adaptedit.interfaces.batch import manifest
    from adaptedit.interfaces.batch.editor import Editor
    from adaptedit.interfaces.batch.processes import in_processes
    from adaptedit.interfaces.batch.progress import progress
    from adaptedit.interfaces.batch.ray_run import in_ray
    from adaptedit.interfaces.batch.run import here, left, run

    with stages() as stage:
        stage("checking the records")
        records = _read(jobs, out, instruction)
        ours = records[number - 1 :: count]
        stage("checking what is done")
        manifest.describe(out, backbone, adapter)
        todo = left(out, ours, retry_failed)
    quiet()
    start = Editor(out.resolve(), backbone, adapter)
    runner = here
    if ray:
        runner = partial(in_ray, workers=workers)
    elif processes > 1:
        runner = partial(in_processes, count=processes)
    troubles: list[str] = []

    def note(row: Row) -> None:
        if row["status"] != "done":
            troubles.append(f"{row['id']}: {row['error']}")
        on_row(row)

    with progress(len(todo)) as on_row:
        statuses = run(records, ours, runner(todo, start), out, shard=number - 1, on_row=note)
    _list(troubles)
    typer.echo(out / "manifest.jsonl")
    told = ", ".join(f"{statuses[status]} {status}" for status in manifest.STATUSES)
    typer.echo(f"{told}; {len(todo)} of {len(ours)} this time, {time.perf_counter() - started:.1f} s")
    if statuses["done"] < len(ours):
        raise typer.Exit(1)


def _read(jobs: Path, out: Path, instruction: str | None) -> list[Record]:
    from adaptedit.interfaces.batch.reading import BadRecords, load

    try:
        return load(jobs, out, instruction)
    except BadRecords as error:
        if len(error.problems) > 1:
            _list(error.problems)
        raise


def _list(troubles: list[str]) -> None:
    for trouble in troubles[:SHOWN]:
        typer.echo(trouble, err=True)
    if len(troubles) > SHOWN:
        typer.echo(f"and {len(troubles) - SHOWN} more", err=True)


def _share(text: str) -> tuple[int, int]:
    number, _, count = text.partition("/")
    if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise AdaptEditError(f"--shard {text}: give I/N, such as 1/4 to 4/4 for the four quarters")
    return int(number), int(count)
