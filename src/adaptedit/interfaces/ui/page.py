"""The page: what stands where, and which action a button starts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import gradio as gr

from adaptedit.errors import AdaptEditError
from adaptedit.interfaces.ui import actions, downloads, show
from adaptedit.interfaces.ui.actions import Note, View
from adaptedit.interfaces.ui.examples import examples
from adaptedit.interfaces.ui.fields import fields
from adaptedit.interfaces.ui.models import Models
from adaptedit.interfaces.ui.parts import part
from adaptedit.interfaces.ui.session import Session
from adaptedit.interfaces.ui.settings import Settings

CACHE = (600, 3600)  # seconds: how often, and how old, files of uploads and downloads are deleted
HEADER = "<h1>AdaptEdit</h1><p>Say what to change in a picture; only that changes.</p>"
EMPTY = "<p>The result appears here, to slide between before and after.</p>"
SAVE = "() => setTimeout(() => document.querySelector('#file').click(), 50)"
LABELS = """() => {
  document.querySelector('#settings').setAttribute('aria-expanded', 'false');
  document.querySelector('#note').setAttribute('role', 'status');
}"""  # what Gradio cannot say to screen readers

Update = dict[Any, Any]  # component -> what it shows now


class Page:
    """The page's components, and the page over `models` itself as `blocks`, not yet served."""

    def __init__(self, models: Models) -> None:
        self.models = models
        self.examples = examples()
        with gr.Blocks(title="AdaptEdit", analytics_enabled=False, delete_cache=CACHE) as self.blocks:
            self.session = gr.State(None)
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
        session, outputs = self.session, self.outputs
        said = [session, self.instruction, *self.settings]

        self.blocks.load(None, js=LABELS, api_visibility="private")
        self.upload.upload(self.on_upload, self.upload, outputs, **quick)
        self.chooser.select(self.on_example, None, outputs, **quick)
        self.other.click(lambda: self.shown(actions.open_picture(None)), None, outputs, **quick)
        self.find.click(self.on_find, said, outputs, **slow)
        asked = [self.edit.click, self.instruction.submit]
        gr.on(asked, self.on_edit, [self.painter, *said], outputs, **slow)
        self.whole.click(self.on_whole, said, outputs, **slow)
        self.cancel.click(actions.cancel, session, None, **quick)
        self.candidates.select(self.on_candidate, session, outputs, **quick)
        self.history.select(self.on_version, session, outputs, **quick)
        self.again.click(self.changing(actions.again), session, outputs, **quick)
        self.undo.click(self.changing(actions.undo), session, outputs, **quick)
        self.keep_seed.click(actions.seed, session, self.settings[0], **quick)
        saves: list[tuple[gr.Button, downloads.Kind]] = [
            (self.save, "picture"), (self.save_png, "png"), (self.save_mask, "mask")
        ]  # fmt: skip
        for button, kind in saves:
            event = button.click(self.saving(kind), session, self.file, **quick)
            event.success(None, js=SAVE)

    def on_upload(self, path: str | None) -> Update:
        return {self.upload: None} | self.shown(actions.open_picture(path))

    def on_example(self, event: gr.EventData) -> Update:
        example = self.examples[event.index]
        return self.shown(actions.open_picture(str(example.path), example.instruction))

    def on_find(self, session: Session | None, words: str, *fields: Any) -> Iterator[Update]:
        yield from self.asked(
            session, fields, lambda settings: actions.find(session, self.models, words, settings)
        )

    def on_edit(self, painted: Any, session: Session | None, words: str, *fields: Any) -> Iterator[Update]:
        yield from self.asked(
            session, fields, lambda settings: actions.edit(session, self.models, painted, words, settings)
        )

    def on_whole(self, session: Session | None, words: str, *fields: Any) -> Iterator[Update]:
        yield from self.asked(
            session,
            fields,
            lambda settings: actions.edit(session, self.models, None, words, settings, everywhere=True),
        )

    def asked(
        self, session: Session | None, fields: Sequence[Any], act: Callable[[Settings], Iterator[View]]
    ) -> Iterator[Update]:
        try:
            settings = Settings.read(*fields)
        except AdaptEditError as error:
            yield self.shown(View(session, Note(str(error), "wrong")))
            return
        yield from map(self.shown, act(settings))

    def on_candidate(self, session: Session | None, event: gr.EventData) -> Update:
        return self.shown(actions.choose(session, event.index)) if session else {}

    def on_version(self, session: Session | None, event: gr.EventData) -> Update:
        return self.shown(actions.look_at(session, event.index)) if session else {}

    def changing(self, action: Callable[[Session], View]) -> Callable[[Session | None], Update]:
        return lambda session: self.shown(action(session)) if session else {}

    def saving(self, kind: downloads.Kind) -> Callable[[Session | None], str]:
        def write(session: Session | None) -> str:
            try:
                return downloads.write(session, kind)
            except AdaptEditError as error:
                raise gr.Error(str(error), print_exception=False) from None

        return write

    # -- from a view to the components

    def shown(self, view: View) -> Update:
        """What changes on the page."""
        session, loaded = view.session, view.session is not None
        now: Update = {
            self.session: session,
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
