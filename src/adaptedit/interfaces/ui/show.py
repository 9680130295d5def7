"""From a view to what the page's components take."""

from __future__ import annotations

from html import escape
from typing import Any

from adaptedit.interfaces.ui.previews import preview
from adaptedit.interfaces.ui.session import Session


def canvas(session: Session | None) -> dict[str, Any] | None:
    """For the painter; None hides it."""
    if session is None:
        return None
    return {
        "picture": preview(session.picture),
        "layer": session.canvas.layer(),
        "serial": session.canvas.serial,
    }


def comparison(session: Session | None, fresh: bool) -> dict[str, Any] | None:
    """For the slider; None hides it. fresh: a result that was not there before, to be looked at."""
    if session is None or session.edit is None:
        return None
    return {"before": preview(session.edit.before), "after": preview(session.edit.after), "fresh": fresh}


def candidates(session: Session | None) -> dict[str, Any] | None:
    """For the strip of candidates; None hides it, as where there is only one."""
    if session is None or session.edit is None or len(session.edit.results) == 1:
        return None
    edit = session.edit
    items = [{"src": source, "text": f"candidate {index}"} for index, source in enumerate(edit.thumbnails, 1)]
    return {"name": "Candidates", "items": items, "selected": edit.chosen}


def history(session: Session | None) -> dict[str, Any] | None:
    """For the strip of versions, the original first; None hides it."""
    if session is None or not session.edits:
        return None
    items = [{"src": session.original_thumbnail, "text": "original"}]
    items += [{"src": edit.thumbnails[edit.chosen], "text": edit.instruction} for edit in session.edits]
    return {"name": "History", "items": items, "selected": session.shown + 1}


def status(text: str, kind: str = "hint", share: float | None = None) -> str:
    """The status line's HTML; nothing in `text` is taken for HTML."""
    if not text:
        return ""
    bar = "" if share is None else f'<progress max="1" value="{share:.3f}" aria-label="Progress"></progress>'
    return f'<p class="ae-note ae-{kind}">{escape(text)}</p>{bar}'
