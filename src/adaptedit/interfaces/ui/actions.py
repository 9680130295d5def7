"""What each button does: from a session and what the page sends to the next session and what to show."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from adaptedit.editing.job import EditJob
from adaptedit.editing.options import EditOptions
from adaptedit.errors import AdaptEditError, GlobalEdit, NoAdapter
from adaptedit.interfaces.ui.canvas import UNSEEN, Canvas
from adaptedit.interfaces.ui.models import Models
from adaptedit.interfaces.ui.session import Edit, Session
from adaptedit.interfaces.ui.settings import Settings
from adaptedit.interfaces.ui.work import Cancelled, Done, Progress, Tell, watch
from adaptedit.pictures.image16 import as_8bit
from adaptedit.pictures.picture import Picture
from adaptedit.region import Region

if TYPE_CHECKING:
    from adaptedit.editing.pipeline import AdaptEditPipeline

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Note:
    """The status line."""

    text: str
    kind: Literal["busy", "good", "hint", "wrong"] = "hint"
    share: float | None = None  # how much of the work is done


@dataclass(frozen=True)
class View:
    """What the page shows next.

    note, instruction: None leaves it as it is. canvas, results: whether to send those anew.
    busy: something runs that can be cancelled. offer_whole: whether to offer to edit the whole picture.
    fresh: whether the result was not there before.
    """

    session: Session | None
    note: Note | None = None
    busy: bool = False
    canvas: bool = False
    results: bool = False
    instruction: str | None = None
    offer_whole: bool = False
    fresh: bool = False


def open_picture(
    path: str | None, instruction: str | None = None, read: Callable[[Path], Picture] | None = None
) -> View:
    """A fresh session with the picture in a file, see `Session.open`; None ends the session."""
    if path is None:
        return View(None, Note(""), canvas=True, results=True)
    try:
        session = Session.open(path, read)
    except AdaptEditError as error:
        return View(None, Note(str(error), "wrong"), canvas=True, results=True)
    width, height = session.picture.size
    note = Note(f"{session.name}, {width} × {height}. Say what to change in it.")
    return View(session, note, canvas=True, results=True, instruction=instruction)


def find(session: Session | None, models: Models, instruction: str, settings: Settings) -> Iterator[View]:
    """Marks where the instruction would edit."""

    def run(session: Session, pipe: AdaptEditPipeline, tell: Tell) -> View:
        options = EditOptions(threshold=settings.edit.threshold)
        region = pipe.find(EditJob(session.picture, instruction, options))
        note = Note(f"Found: {_about(region)}. Paint to add, erase to remove, then edit.", "good")
        return View(session.marked(region, (instruction, settings.edit.threshold)), note, canvas=True)

    return _run(session, models, instruction, settings, run)


def edit(
    session: Session | None,
    models: Models,
    painted: Any,
    instruction: str,
    settings: Settings,
    everywhere: bool = False,
) -> Iterator[View]:
    """Edits what is marked, or what is found where nothing is; the whole picture where `everywhere`."""

    def run(session: Session, pipe: AdaptEditPipeline, tell: Tell) -> View:
        started = time.perf_counter()
        region, drawn = (None, False) if everywhere else _marked(session, painted, instruction, settings)
        options = replace(settings.edit, region=region, everywhere=everywhere)
        found = region is None and not everywhere
        if found:
            tell(Progress("Finding the region"))
            region = pipe.find(EditJob(session.picture, instruction, replace(options, grow=0.0)))
            options = replace(options, region=region)
            session = session.marked(region, (instruction, options.threshold))
        tell(Progress("Editing"))
        out = pipe.edit(EditJob(session.picture, instruction, options), on_step=_counted(tell))
        canvas = Canvas(size=session.picture.size, region=region) if drawn else session.canvas
        session = session.edited(
            Edit(
                before=session.picture,
                canvas=canvas,
                instruction=instruction,
                region=out.regions[0],
                results=tuple(Picture(as_8bit(image).convert("RGB"), image) for image in out.images),
                seeds=tuple(out.seeds),
                seconds=time.perf_counter() - started,
            )
        )
        return View(session, Note("Done.", "good"), canvas=found, results=True, fresh=True)

    return _run(session, models, instruction, settings, run)


def choose(session: Session, candidate: int) -> View:
    """Another candidate of the edit shown."""
    return View(session.choosing(candidate), results=True)


def look_at(session: Session, version: int) -> View:
    """Another version of the history, where 0 is the original and 1 the first edit."""
    return View(session.showing(version - 1), results=True)


def again(session: Session) -> View:
    """The version shown becomes the picture to edit."""
    what = f'The result of "{session.edit.instruction}"' if session.edit else "The original"
    return View(session.again(), Note(f"{what} is in the editor now."), canvas=True, results=True)


def undo(session: Session) -> View:
    """Takes the last edit back, with its instruction and marks to try again."""
    instruction = session.edits[-1].instruction if session.edits else None
    return View(session.undone(), Note("Undone."), canvas=True, results=True, instruction=instruction)


def cancel(session: Session | None) -> None:
    """Stops what runs, after the step that it is in."""
    if session:
        session.stop.set()


def seed(session: Session | None) -> str:
    """That of the result shown, to be used again."""
    return str(session.edit.seeds[session.edit.chosen]) if session and session.edit else ""


def facts(edit: Edit) -> str:
    """What one wants to know of a result, in one line."""
    return f"seed {edit.seeds[edit.chosen]} · region {_about(edit.region)} · {edit.seconds:.1f} s"


def _run(
    session: Session | None,
    models: Models,
    instruction: str,
    settings: Settings,
    run: Callable[[Session, AdaptEditPipeline, Tell], View],
) -> Iterator[View]:
    """One view a progress, then the one that `run` returns, or why there is none in one line."""
    if session is None:
        yield View(None, Note("There is no picture yet; drop one above, or take an example."))
        return
    session = replace(session, stop=threading.Event())
    try:
        if not instruction.strip():
            raise AdaptEditError('the instruction is empty; say what to do, such as "remove the apple"')
        yield View(session, Note("Starting", "busy"), busy=True)
        work = watch(lambda tell: _with_model(session, models, settings, run, tell), session.stop)
        with closing(work) as news:
            for item in news:
                if isinstance(item, Done):
                    yield item.result
                else:
                    share = item.done / item.total if item.total else None
                    yield View(session, Note(item.text, "busy", share), busy=True)
    except Cancelled:
        yield View(session, Note("Cancelled."))
    except (GlobalEdit, NoAdapter) as outcome:
        yield View(session, Note(str(outcome)), offer_whole=True)
    except AdaptEditError as error:
        yield View(session, Note(str(error), "hint" if error.exit_code == 3 else "wrong"))
    except Exception as error:
        log.exception("an edit failed")
        line = (str(error).strip() or type(error).__name__).splitlines()[0]
        yield View(session, Note(f"This went wrong, and it is not your fault: {line}", "wrong"))


def _with_model(
    session: Session,
    models: Models,
    settings: Settings,
    run: Callable[[Session, AdaptEditPipeline, Tell], View],
    tell: Tell,
) -> View:
    with models.using(settings.backbone, settings.adapter, tell) as pipe:
        tell(Progress("Finding the region"))
        return run(session, pipe, tell)


def _marked(
    session: Session, painted: Any, instruction: str, settings: Settings
) -> tuple[Region | None, bool]:
    """The region to edit in and whether it was drawn. None: find it, for nothing is marked, or what is marked
    was found for other words and nobody has touched it since."""
    region, touched = session.canvas.read(painted)
    if touched and region is not None and region.mask.max() < UNSEEN:
        raise AdaptEditError('nothing is marked any more; paint the place, or press "Clear" to have it found')
    drawn = touched or (region is not None and session.canvas.found_for is None)
    if not drawn and session.canvas.found_for != (instruction, settings.edit.threshold):
        return None, False
    return region, drawn


def _counted(tell: Tell) -> Callable[[int, int], None]:
    return lambda done, total: tell(Progress(f"Editing: step {done} of {total}", done, total))


def _about(region: Region) -> str:
    return f"{region.coverage():.1%} of the picture, {region.confidence():.0%} sure"
