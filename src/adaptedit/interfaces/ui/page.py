"""The page: what stands where, and which action a button starts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import anyio
import gradio as gr

from adaptedit.errors import AdaptEditError
from adaptedit.interfaces.ui import actions, downloads, show
from adaptedit.interfaces.ui.actions import Note, View
from adaptedit.interfaces.ui.examples import examples
from adaptedit.interfaces.ui.fields import fields
from adaptedit.interfaces.ui.models import Models
from adaptedit.interfaces.ui.parts import part
from adaptedit.interfaces.ui.session import Session
from adaptedit.interfaces.ui.sessions import Sessions
from adaptedit.interfaces.ui.settings import Settings
from adaptedit.pictures.picture import Picture
from adaptedit.pictures.pool import DecoderPool, wait

CACHE = (600, 3600)  # seconds: how often, and how old, files of uploads and downloads are deleted
HEADER = "<h1>AdaptEdit</h1><p>Say what to change in a picture; only that changes.</p>"
EMPTY = "<p>The result appears here, to slide between before and after.</p>"
SAVE = "() => setTimeout(() => document.querySelector('#file').click(), 50)"
LABELS = """() => {
  document.querySelector('#settings').setAttribute('aria-expanded', 'false');
  document.querySelector('#note').setAttribute('role', 'status');
}"""  # what Gradio cannot say to screen readers

MOST_WAITING = 8  # pictures to be decoded; each holds one of Gradio's forty threads
ENDED = Note("This session has ended; open the picture again.")

Update = dict[Any, Any]  # component -> what it shows now


class Page:
    """The page's components, and the page over `models` itself as `blocks`, not yet served."""

    def __init__(self, models: Models, sessions: Sessions, pool: DecoderPool) -> None:
        self.models, self.sessions, self.pool = models, sessions, pool
        self.examples = examples()
        with gr.Blocks(title="AdaptEdit", analytics_enabled=False, delete_cache=CACHE) as self.blocks:
            gr.HTML(HEADER, elem_id="header")
            with gr.Row(elem_id="main"):
                with gr.Column(min_width=300):
                    self._draw_editor()
                with gr.Column(min_width=300, elem_id="right"):
                    self._draw_result()
            self.outputs = [each for each in vars(self).values() if isinstance(each, gr.blocks.Block)]
            self.outputs.remove(self.blocks)
            self._wire()

    # -- what stands where

    def _draw_editor(self) -> None:
        with gr.Column(elem_id="start") as self.start:
            self.upload = gr.File(label="Picture", type="filepath", elem_id="upload")
            items = [{"src": each.thumbnail, "text": each.instruction} for each in self.examples]
            self.chooser = part("strip", "examples", {"name": "Examples", "items": items})
        self.painter = part("painter", "painter")
        self.instruction = gr.Textbox(
            "", label="Instruction", placeholder="remove the apple", max_lines=1, elem_id="instruction"
        )
        with gr.Row(elem_id="buttons"):
            self.find = gr.Button("Find region", elem_id="find", min_width=110)
            self.edit = gr.Button("Edit", variant="primary", elem_id="edit", min_width=110)
            self.cancel = gr.Button("Cancel", visible=False, elem_id="cancel", min_width=110)
        self.note = gr.HTML(elem_id="note")
        self.whole = gr.Button("Edit the whole picture", visible=False, elem_id="whole", size="sm")
        self.settings = fields(self.models)
        self.other = gr.Button("Another picture", visible=False, elem_id="other", size="sm")

    def _draw_result(self) -> None:
        self.empty = gr.HTML(EMPTY, elem_id="empty")
        self.compare = part("compare", "compare")
        with gr.Column(visible=False, elem_id="results") as self.results:
            self.facts = gr.HTML(elem_id="facts")
            self.candidates = part("strip", "choices")
            with gr.Row(elem_id="saves"):
                self.save = gr.Button("Download", elem_id="save", size="sm", min_width=90)
                self.save_png = gr.Button("As PNG", elem_id="save-png", size="sm", min_width=90)
                self.save_mask = gr.Button("Mask", elem_id="save-mask", size="sm", min_width=90)
                self.keep_seed = gr.Button("Keep this seed", elem_id="keep-seed", size="sm", min_width=90)
        with gr.Column(visible=False, elem_id="past") as self.past:
            self.history = part("strip", "history")
            with gr.Row():
                self.again = gr.Button("Edit again from here", elem_id="again", size="sm", min_width=90)
                self.undo = gr.Button("Undo last edit", elem_id="undo", size="sm", min_width=90)
        self.file = gr.DownloadButton("", elem_id="file", visible="hidden")

    # -- what a button starts

    def _wire(self) -> None:
        quick: dict[str, Any] = dict(queue=False, show_progress="hidden", api_visibility="private")
        slow: dict[str, Any] = quick | dict(queue=True, concurrency_limit=None, trigger_mode="once")
        outputs, words = self.outputs, [self.instruction, *self.settings]

        self.blocks.load(None, js=LABELS, api_visibility="private")
        self.blocks.unload(self.on_leave)
        self.upload.upload(self.on_upload, self.upload, outputs, **quick)
        self.chooser.select(self.on_example, None, outputs, **quick)
        self.other.click(self.on_other, None, outputs, **quick)
        self.find.click(self.on_find, words, outputs, **slow)
        asked = [self.edit.click, self.instruction.submit]
        gr.on(asked, self.on_edit, [self.painter, *words], outputs, **slow)
        self.whole.click(self.on_whole, words, outputs, **slow)
        self.cancel.click(self.on_cancel, None, None, **quick)
        self.candidates.select(self.on_candidate, None, outputs, **quick)
        self.history.select(self.on_version, None, outputs, **quick)
        self.again.click(self.changing(actions.again), None, outputs, **quick)
        self.undo.click(self.changing(actions.undo), None, outputs, **quick)
        self.keep_seed.click(self.on_keep_seed, None, self.settings[0], **quick)
        saves: list[tuple[gr.Button, downloads.Kind]] = [
            (self.save, "picture"), (self.save_png, "png"), (self.save_mask, "mask")
        ]  # fmt: skip
        for button, kind in saves:
            event = button.click(self.saving(kind), None, self.file, **quick)
            event.success(None, js=SAVE)

    def on_upload(self, path: str | None, request: gr.Request) -> Update:
        if self.pool.waiting >= MOST_WAITING:
            note = Note("Too many pictures are coming in at the moment; try again in a minute.", "wrong")
            return {self.upload: None} | self.shown(View(self.session(request), note), request)

        def read(file: Path) -> Picture:
            return wait(self.pool.picture(file, name=file.name), lambda: _has_left(request))

        try:
            view = actions.open_picture(path, read=read)
        except CancelledError:
            return {self.upload: None}  # nobody is there to see it
        return {self.upload: None} | self.shown(view, request)

    def on_example(self, event: gr.EventData, request: gr.Request) -> Update:
        if event.index not in range(len(self.examples)):
            return {self.upload: None}
        example = self.examples[event.index]
        return self.shown(actions.open_picture(str(example.path), example.instruction), request)

    def on_other(self, request: gr.Request) -> Update:
        return self.shown(actions.open_picture(None), request)

    def on_find(self, request: gr.Request, words: str, *fields: Any) -> Iterator[Update]:
        yield from self.asked(
            lambda session, settings: actions.find(session, self.models, words, settings), fields, request
        )

    def on_edit(self, request: gr.Request, painted: Any, words: str, *fields: Any) -> Iterator[Update]:
        yield from self.asked(
            lambda session, settings: actions.edit(session, self.models, painted, words, settings),
            fields,
            request,
        )

    def on_whole(self, request: gr.Request, words: str, *fields: Any) -> Iterator[Update]:
        yield from self.asked(
            lambda session, settings: actions.edit(
                session, self.models, None, words, settings, everywhere=True
            ),
            fields,
            request,
        )

    def asked(
        self,
        act: Callable[[Session | None, Settings], Iterator[View]],
        fields: Sequence[Any],
        request: gr.Request,
    ) -> Iterator[Update]:
        session = self.session(request)
        try:
            settings = Settings.read(*fields)
        except AdaptEditError as error:
            yield self.shown(View(session, Note(str(error), "wrong")), request)
            return
        for view in act(session, settings):
            yield self.shown(view, request)

    def on_cancel(self, request: gr.Request) -> None:
        actions.cancel(self.session(request))

    def on_keep_seed(self, request: gr.Request) -> str:
        return actions.seed(self.session(request))

    def on_candidate(self, event: gr.EventData, request: gr.Request) -> Update:
        return self.changed(lambda session: actions.choose(session, event.index), request)

    def on_version(self, event: gr.EventData, request: gr.Request) -> Update:
        return self.changed(lambda session: actions.look_at(session, event.index), request)

    def changing(self, action: Callable[[Session], View]) -> Callable[[gr.Request], Update]:
        def change(request: gr.Request) -> Update:
            return self.changed(action, request)

        return change

    def changed(self, action: Callable[[Session], View], request: gr.Request) -> Update:
        session = self.session(request)
        return self.shown(
            View(None, ENDED, canvas=True, results=True) if session is None else action(session), request
        )

    def saving(self, kind: downloads.Kind) -> Callable[[gr.Request], str]:
        def write(request: gr.Request) -> str:
            try:
                return downloads.write(self.session(request), kind)
            except AdaptEditError as error:
                raise gr.Error(str(error), print_exception=False) from None

        return write

    # -- whose session it is

    def session(self, request: gr.Request) -> Session | None:
        return self.sessions.get(request.session_hash or "")

    def on_leave(self, request: gr.Request) -> None:
        self.sessions.close(request.session_hash or "")

    # -- from a view to the components

    def shown(self, view: View, request: gr.Request) -> Update:
        """Keeps the view's session; what changes on the page."""
        peer = request.client.host if request.client else ""
        try:
            session = self.sessions.put(request.session_hash or "", peer, view.session)
        except AdaptEditError as error:
            session = self.session(request)
            view = View(session, Note(str(error), "wrong"), canvas=True, results=True)
        loaded = session is not None
        now: Update = {
            self.find: gr.update(interactive=not view.busy),
            self.edit: gr.update(visible=not view.busy),
            self.cancel: gr.update(visible=view.busy),
            self.whole: gr.update(visible=view.offer_whole),
            self.results: gr.update(elem_classes=["ae-busy"] if view.busy else []),
            self.past: gr.update(elem_classes=["ae-busy"] if view.busy else []),
        }
        if view.note:
            now[self.note] = show.status(view.note.text, view.note.kind, view.note.share)
        if view.instruction is not None:
            now[self.instruction] = view.instruction
        if view.canvas:
            now[self.start] = gr.update(visible=not loaded)
            now[self.other] = gr.update(visible=loaded)
            now[self.painter] = show.canvas(session)
        if view.results:
            edit = session.edit if session else None
            now[self.empty] = gr.update(visible=edit is None)
            now[self.compare] = show.comparison(session, view.fresh)
            now[self.results] = gr.update(visible=edit is not None, elem_classes=[])
            now[self.facts] = f"<p>{actions.facts(edit)}</p>" if edit else ""
            now[self.candidates] = show.candidates(session)
            now[self.past] = gr.update(visible=bool(session and session.edits), elem_classes=[])
            now[self.history] = show.history(session)
            now[self.save_png] = gr.update(
                visible=session is not None and downloads.suffix(session) != ".png"
            )
        return now


def _has_left(request: gr.Request) -> bool:
    """Whether the visitor has closed the connection on which he waits. Called in a thread of Gradio's."""
    if request.request is None:
        return False
    try:
        return bool(anyio.from_thread.run(request.request.is_disconnected))
    except RuntimeError:  # a request that came through Gradio's queue
        return False
