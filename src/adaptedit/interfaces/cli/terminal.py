"""What every command shows in the terminal: errors in one line, progress on stderr, results on stdout."""

from __future__ import annotations

import codecs
import io
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any, Protocol, TextIO

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text
from typer.core import TyperGroup

from adaptedit.errors import AdaptEditError, AdaptEditWarning, out_of_memory

COMMAND = "adaptedit"
NOBODY_READS = 141  # the exit code of a program that SIGPIPE ends: 128 + 13
LONGEST = 1000  # characters of an error
_Misuse: Any = typer.BadParameter.__mro__[2]  # ClickException: of click, or of typer's own copy in newer ones
_standard_format = warnings.formatwarning

_QUIET = {
    "TRANSFORMERS_VERBOSITY": "error",
    "DIFFUSERS_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "false",
}
# They warn when they are imported about parts that no command uses.
_WARNS_ON_IMPORT = ("bitsandbytes", "torchao", "torch.utils._pytree")


def quiet() -> None:
    """Keeps libraries quiet unless their own switches say otherwise; call it before importing them."""
    for switch, value in _QUIET.items():
        os.environ.setdefault(switch, value)
    warnings.filterwarnings("ignore", module="PIL")  # of damaged EXIF, which is left out
    warnings.filterwarnings("ignore", message="Already found a `peft_config`")  # of a second LoRA
    warnings.formatwarning = _format_warning
    for name in _WARNS_ON_IMPORT:
        logging.getLogger(name).setLevel(logging.ERROR)


def _format_warning(message: Any, category: type[Warning], *place: Any, **line: Any) -> str:
    """Ours in one line, without the place in the code."""
    if issubclass(category, AdaptEditWarning):
        return f"warning: {message}\n"
    return _standard_format(message, category, *place, **line)


class OneLineErrors(TyperGroup):
    """Every error is one line on stderr and an exit code; Ctrl-C is 130. Sub-commands included.

    Errors are: what the user can fix (AdaptEditError), options and arguments that do not fit, what the system
    refuses (OSError), and too little memory.
    """

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        with _one_line():
            return super().make_context(*arguments, **options)

    def invoke(self, ctx: Any) -> Any:
        with _one_line():
            return super().invoke(ctx)


@contextmanager
def _one_line() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        say("interrupted")
        raise typer.Exit(130) from None
    except AdaptEditError as error:
        _fail(str(error))
        raise typer.Exit(error.exit_code) from None
    except _Misuse as error:
        if advice := error.format_message():  # empty where the help was printed: no arguments at all
            command = error.ctx.command_path if getattr(error, "ctx", None) else COMMAND
            advice = advice.replace("Value error, ", "").rstrip(".")  # pydantic's words
            _fail(f"{advice}; see {command} --help")
        raise typer.Exit(AdaptEditError.exit_code) from None
    except BrokenPipeError:  # the reader has closed the output
        _settle(sys.stdout, sys.stderr)
        raise typer.Exit(NOBODY_READS) from None
    except SystemExit as error:  # with 1, it is rich's way to end when nobody reads
        if error.code != 1:
            raise
        raise typer.Exit(NOBODY_READS) from None
    except OSError as error:  # a full disk, a folder that may not be searched, a name that is too long
        _settle(sys.stdout)
        where = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
        _fail(f"{where}{error.strerror or error}; see to it and try again")
        raise typer.Exit(AdaptEditError.exit_code) from None
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        _fail("there is not enough memory; give a smaller picture, ask for less at once, or close programs")
        raise typer.Exit(AdaptEditError.exit_code) from None


def say(line: str) -> None:
    """On stderr, for people; if nobody can read it there, nothing happens."""
    with suppress(OSError):
        typer.echo(line, err=True)
    _settle(sys.stderr)


def _fail(message: str) -> None:
    """One line: what cannot be printed is escaped, and of a long message the middle is left out."""
    line = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in message)
    half = LONGEST // 2
    say(f"error: {line if len(line) <= LONGEST else f'{line[:half]} ... {line[-half:]}'}")


def _settle(*streams: TextIO) -> None:
    """What a stream cannot write is dropped; else Python would try again at exit, with code 120."""
    for stream in streams:
        try:
            stream.flush()
        except OSError:
            with suppress(OSError):  # no file: a test's
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def prepare_streams() -> None:
    """For the whole process: file names are printed as their own bytes, and no text fails to print.

    A standard stream that was closed is the null device: else the next file opened, maybe a picture, would
    get its number, and all that libraries print.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
    codecs.register_error("as_given", _as_given)
    if isinstance(sys.stdout, io.TextIOWrapper):
        names = sys.getfilesystemencoding()
        if codecs.lookup(names).name == "ascii":  # which click replaces by one that changes bytes
            names = "utf-8"
        sys.stdout.reconfigure(encoding=names if os.name == "posix" else None, errors="as_given")
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(errors="backslashreplace")


def _as_given(error: UnicodeError) -> tuple[str | bytes, int]:
    """Bytes that are not text stay as they are; other characters that the encoding lacks are escaped."""
    try:
        return codecs.lookup_error("surrogateescape")(error)
    except UnicodeError:
        return codecs.lookup_error("backslashreplace")(error)


class Stage(Protocol):
    def __call__(
        self, description: str, total: int | None = None, *, shows_itself: bool = False
    ) -> Callable[[int, int], None]:
        """Shows what is being done now; returns `on_step(done, total)`.

        shows_itself: the work has progress bars of its own, such as downloads, so the line makes room.
        """


@contextmanager
def stages() -> Iterator[Stage]:
    """One progress line on stderr that is removed after the work, and hidden where stderr is no terminal."""
    bar = BarColumn(bar_width=20)  # room for the pace on a terminal of 80 columns
    columns = (SpinnerColumn(), TextColumn("{task.description}"), bar, TimeElapsedColumn(), _Pace())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("starting", total=None)

        def stage(
            description: str, total: int | None = None, *, shows_itself: bool = False
        ) -> Callable[[int, int], None]:
            progress.reset(task, description=description, total=total)
            if shows_itself:
                progress.stop()
                if console.is_terminal:
                    say(description)
            else:
                progress.start()
            return lambda done, total: progress.update(task, completed=done, total=total)

        yield stage


class _Pace(ProgressColumn):
    """Steps done, how many a second, and the time that is left."""

    def render(self, task: Task) -> Text:
        if not task.total or not task.completed:
            return Text("")
        done = f"{task.completed:.0f}/{task.total:.0f}"
        speed, left = task.speed, task.time_remaining
        if not speed or left is None:
            return Text(done)
        rate = f"{speed:.1f} a second" if speed >= 1 else f"{1 / speed:.1f} s each"
        return Text(f"{done}, {rate}, {timedelta(seconds=round(left))} left")
