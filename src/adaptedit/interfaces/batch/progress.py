"""How a batch is going: a bar with the time left on a terminal, one line per minute in a log."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from adaptedit.jsonl import Row

EVERY = 60.0  # seconds between lines in a log


@contextmanager
def progress(total: int) -> Iterator[Callable[[Row], None]]:
    """Gives `on_row`, to be called with every row of `total`; shows on stderr."""
    console = Console(stderr=True)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left:"),
        TimeRemainingColumn(),
    )
    done, failed, started = 0, 0, time.monotonic()
    said = started
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("editing", total=total)

        def on_row(row: Row) -> None:
            nonlocal done, failed, said
            done, failed, now = done + 1, failed + (row["status"] == "failed"), time.monotonic()
            bar.update(task, completed=done, description=f"editing, {failed} failed" if failed else "editing")
            if not console.is_terminal and now - said >= EVERY:
                said = now
                typer.echo(line(done, total, failed, now - started), err=True)

        yield on_row


def line(done: int, total: int, failed: int, seconds: float) -> str:
    """A line for a log: what is done after `seconds`, and the time left."""
    remaining = timedelta(seconds=round(seconds / done * (total - done)))
    return f"{done} of {total}, {failed} failed, {seconds / done:.2f} s per record, {remaining} left"
