"""What every command shows in the terminal: errors in one line, progress on stderr, results on stdout."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Protocol

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from typer.core import TyperGroup

from adaptedit.errors import AdaptEditError

_QUIET = {
    "TRANSFORMERS_VERBOSITY": "error",
    "DIFFUSERS_VERBOSITY": "error",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


def quiet() -> None:
    """Keeps libraries quiet unless their own switches say otherwise; call it before importing them."""
    for switch, value in _QUIET.items():
        os.environ.setdefault(switch, value)


class OneLineErrors(TyperGroup):
    """What the user can fix is one line on stderr and its exit code; Ctrl-C is 130. Sub-commands included.

    So is what the system refuses (OSError).
    """

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except AdaptEditError as error:
            _fail(str(error))
            raise typer.Exit(error.exit_code) from None
        except BrokenPipeError:  # whoever read the output has enough; click ends quietly
            raise
        except OSError as error:  # a full disk, a folder that may not be searched, a name that is too long
            where = f"{error.filename}: " if error.filename else ""
            _fail(f"{where}{error.strerror or error}; see to it and try again")
            raise typer.Exit(AdaptEditError.exit_code) from None
        except KeyboardInterrupt:
            typer.echo("interrupted", err=True)
            raise typer.Exit(130) from None


def _fail(message: str) -> None:
    with suppress(OSError):  # nobody reads stderr, or it is a file on the full disk
        typer.echo(f"error: {message}", err=True)


class Stage(Protocol):
    def __call__(self, description: str, total: int | None = None) -> Callable[[int, int], None]:
        """Shows what is being done now; returns `on_step(done, total)`."""


@contextmanager
def stages() -> Iterator[Stage]:
    """One progress line on stderr that is gone when the work is done, and silent when nobody watches."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("starting", total=None)

        def stage(description: str, total: int | None = None) -> Callable[[int, int], None]:
            progress.reset(task, description=description, total=total)
            return lambda done, total: progress.update(task, completed=done, total=total)

        yield stage
