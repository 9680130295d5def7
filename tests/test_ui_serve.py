"""The page's server: work that is watched, the model that all visitors share, the door."""

from __future__ import annotations

import os
import socket
import sys
import threading
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from adaptedit.editing.options import EditOptions, LoadOptions
from adaptedit.editing.pipeline import AdaptEditPipeline
from adaptedit.errors import AdaptEditError
from adaptedit.interfaces.ui import actions
from adaptedit.interfaces.ui.actions import View
from adaptedit.interfaces.ui.models import Models
from adaptedit.interfaces.ui.serve import serving
from adaptedit.interfaces.ui.session import Session
from adaptedit.interfaces.ui.settings import Settings
from adaptedit.interfaces.ui.work import Cancelled, Done, Progress, watch

SEEDED = Settings(EditOptions(seed=5))


@pytest.fixture
def session(tmp_path: Path) -> Session:
    Image.effect_noise((96, 64), 80).convert("RGB").save(tmp_path / "photo.png")
    return Session.open(tmp_path / "photo.png")


@pytest.fixture
def models(pipe: AdaptEditPipeline) -> Models:
    return Models(load=lambda options: pipe)


def edit(session: Session, models: Models, settings: Settings = SEEDED) -> View:
    return list(actions.edit(session, models, None, "x", settings))[-1]


# -- work that is watched


def test_a_page_that_goes_away_stops_its_work() -> None:
    stop, stopped = threading.Event(), threading.Event()

    def run(tell: Any) -> None:
        try:
            tell(Progress("one"))
            stop.wait(30)
            tell(Progress("two"))
        except Cancelled:
            stopped.set()

    news = watch(run, stop)
    assert next(news) == Progress("one")
    news.close()
    assert stopped.wait(30)


def test_work_ends_with_its_result() -> None:
    assert list(watch(lambda tell: 42, threading.Event())) == [Done(42)]


# -- the model that all share


def test_visitors_use_the_model_one_after_the_other(session: Session, pipe: AdaptEditPipeline) -> None:
    models = Models(load=lambda *_: pipe)
    inside, most, count = 0, 0, threading.Lock()
    ran = pipe.backbone.edit

    def counted(*args: Any, **options: Any) -> Any:
        nonlocal inside, most
        with count:
            inside += 1
            most = max(most, inside)
        try:
            return ran(*args, **options)
        finally:
            with count:
                inside -= 1

    pipe.backbone.edit = counted  # type: ignore[method-assign]
    done: list[View] = []
    visitors = [threading.Thread(target=lambda: done.append(edit(session, models))) for _ in range(4)]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join()
    assert most == 1 and len(done) == 4
    results = [view.session.edit.after.original for view in done]  # type: ignore[union-attr]
    assert all(result == results[0] for result in results)


def test_who_waits_is_told_so_and_can_give_up(pipe: AdaptEditPipeline) -> None:
    models, told = Models(load=lambda *_: pipe), []

    def tell(progress: Progress) -> None:
        told.append(progress.text)
        raise Cancelled

    with models.using("", "", lambda _: None), pytest.raises(Cancelled), models.using("", "", tell):
        pass
    assert told == ["Waiting for another edit to finish"]


def test_a_model_is_loaded_when_it_is_first_asked_for_and_an_error_keeps_the_page_alive(
    session: Session, pipe: AdaptEditPipeline
) -> None:
    loads: list[tuple[str, str | None]] = []

    def load(options: LoadOptions) -> AdaptEditPipeline:
        loads.append((options.backbone, options.adapter))
        if options.backbone == "nowhere":
            raise AdaptEditError("nowhere: no such editor")
        return pipe

    models = Models(load=load)
    edit(session, models), edit(session, models)
    bad = edit(session, models, settings=replace(SEEDED, backbone=" nowhere "))
    assert bad.note and bad.note == actions.Note("nowhere: no such editor", "wrong")
    edit(session, models, settings=replace(SEEDED, backbone="qwen", adapter="mine"))
    assert edit(session, models).session.edits  # type: ignore[union-attr]
    assert loads == [("tiny", None), ("nowhere", None), ("qwen", "mine"), ("tiny", None)]


def test_visitors_of_a_public_page_cannot_name_models(session: Session) -> None:
    models = Models(LoadOptions(adapter="mine"), fixed=True, load=lambda *_: pytest.fail("loaded"))
    for other in (replace(SEEDED, backbone="some/model"), replace(SEEDED, adapter="other")):
        view = edit(session, models, settings=other)
        assert view.note and view.note.text.startswith("this page has tiny only")


# -- the door


def test_without_gradio_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, models: Models) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    with (
        pytest.raises(AdaptEditError, match=r"pip install 'adaptedit\[ui\]'"),
        serving(models, host="127.0.0.1", port=None, share=False),
    ):
        pass


def test_the_page_is_served_for_this_machine_and_asks_nobody_else(models: Models) -> None:
    pytest.importorskip("gradio")
    with serving(models, host="127.0.0.1", port=None, share=False) as address:
        folder = Path(os.environ["GRADIO_TEMP_DIR"])
        assert folder.is_dir() and address.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(address) as answer:
            policy = answer.headers["content-security-policy"]
        assert "default-src 'self'" in policy and "http" not in policy and "*" not in policy
        port = int(address.rsplit(":", 1)[1].strip("/"))
        with (
            pytest.raises(AdaptEditError, match="give another --host or --port"),
            serving(models, host="127.0.0.1", port=port, share=False),
        ):
            pass
    assert not folder.exists()
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("127.0.0.1", port))
