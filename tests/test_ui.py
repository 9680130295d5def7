"""The web page without a browser: what each button does, sessions, downloads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torch import Tensor

from adaptedit.editing.options import EditOptions
from adaptedit.editing.pipeline import AdaptEditPipeline
from adaptedit.errors import AdaptEditError
from adaptedit.interfaces.ui import actions, downloads, show
from adaptedit.interfaces.ui.actions import View
from adaptedit.interfaces.ui.models import Models
from adaptedit.interfaces.ui.session import MOST_EDITS, Session
from adaptedit.interfaces.ui.settings import Settings
from adaptedit.interfaces.ui.work import Progress
from adaptedit.pictures.image16 import Image16
from adaptedit.pictures.read import read_image
from adaptedit.region import Region
from conftest import FakeAdapter, FakeBackbone
from test_ui_canvas import layer

SIZE = (96, 64)
SEEDED = Settings(EditOptions(seed=5))


def with_options(**options: Any) -> Settings:
    return Settings(EditOptions(seed=5, **options))


@pytest.fixture
def models(pipe: AdaptEditPipeline) -> Models:
    return Models(load=lambda options: pipe)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)).save(path)
    return path


@pytest.fixture
def session(photo: Path) -> Session:
    return Session.open(photo)


def last(views: Iterator[View]) -> View:
    return list(views)[-1]


def edit(
    session: Session, models: Models, words: str = "x", settings: Settings = SEEDED, **more: Any
) -> View:
    return last(actions.edit(session, models, more.pop("painted", None), words, settings, **more))


# -- find and edit


def test_editing_is_the_same_as_with_the_pipeline(
    session: Session, models: Models, pipe: AdaptEditPipeline, photo: Path
) -> None:
    settings = with_options(grow=3, feather=1.0, context=1.5, steps=2, preserve="soft")
    view = edit(session, models, "remove it", settings)
    region = pipe.predict_region(photo, "remove it").dilate(3)
    out = pipe(
        photo, "remove it", region, seed=5, num_inference_steps=2, preserve="soft", feather=1.0, context=1.5
    )
    assert view.session and view.session.edit and view.note and view.note.text == "Done."
    assert view.session.edit.after.original == out.images[0]
    assert (view.session.edit.region.mask == region.mask).all()
    assert view.session.canvas.region is not None  # what was found is now on the canvas, not grown
    assert view.canvas and view.session.canvas.region.mask.sum() < region.mask.sum()


def test_what_was_found_is_edited_without_looking_again(
    session: Session, models: Models, pipe: AdaptEditPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = last(actions.find(session, models, "x", SEEDED))
    assert found.session and found.session.canvas.layer() and found.note and "Found" in found.note.text
    monkeypatch.setattr(pipe, "_predicted", lambda job: pytest.fail("looked again"))
    view = edit(found.session, models)
    assert view.session and view.session.edit and view.session.edit.region is found.session.canvas.region


@pytest.mark.parametrize("words, settings", [("y", SEEDED), ("x", with_options(threshold=0.4))])
def test_what_was_found_for_other_words_or_another_threshold_is_found_anew(
    session: Session, models: Models, words: str, settings: Settings
) -> None:
    found = last(actions.find(session, models, "x", SEEDED)).session
    assert found
    view = edit(found, models, words, settings)
    assert view.canvas and view.session and view.session.canvas.found_for == (words, settings.edit.threshold)


def test_what_is_painted_is_obeyed_whatever_the_words(session: Session, models: Models) -> None:
    found = last(actions.find(session, models, "x", SEEDED)).session
    assert found
    levels = np.zeros((64, 96), np.uint8)
    levels[50:60, 70:90] = 255
    painted = {"serial": found.canvas.serial, "layer": layer(levels)}
    view = edit(found, models, "y", painted=painted)
    assert view.session and view.session.edit
    assert view.session.edit.region.bbox() == (70, 50, 90, 60)
    before, after = np.asarray(session.picture.rgb), np.asarray(view.session.edit.after.rgb)
    changed = np.argwhere((before != after).any(axis=2))
    assert changed.min(axis=0).tolist() >= [44, 64] and len(changed) > 100
    undone = actions.undo(view.session).session
    assert undone and edit(undone, models, "z").session.edit.region.bbox() == (70, 50, 90, 60)  # type: ignore[union-attr]


def test_a_region_erased_to_nothing_is_refused_and_a_cleared_one_found(
    session: Session, models: Models
) -> None:
    found = last(actions.find(session, models, "x", SEEDED)).session
    assert found
    serial = found.canvas.serial
    refused = edit(found, models, painted={"serial": serial, "layer": layer(np.zeros((64, 96)))})
    assert refused.note and refused.note.kind == "wrong" and "nothing is marked" in refused.note.text
    assert refused.session and not refused.session.edits and not refused.busy
    cleared = edit(found, models, painted={"serial": serial, "layer": None})
    assert cleared.session and cleared.session.edits


def test_no_region_is_a_hint_that_says_what_to_do(session: Session) -> None:
    models = Models(load=lambda *_: AdaptEditPipeline(FakeBackbone(), FakeAdapter(0.1)))  # type: ignore[arg-type]
    for views in (
        actions.find(session, models, "x", SEEDED),
        actions.edit(session, models, None, "x", SEEDED),
    ):
        view = last(views)
        assert view.note and view.note.kind == "hint" and "draw the region" in view.note.text
        assert not view.offer_whole and view.session and not view.session.edits


def test_a_global_edit_offers_the_whole_picture_and_never_takes_it(session: Session) -> None:
    class Everywhere(FakeAdapter):
        def predict_region(self, states: Any, guide: Tensor) -> Tensor:
            return super().predict_region(states, guide) * 0 + 1

    models = Models(load=lambda *_: AdaptEditPipeline(FakeBackbone(), Everywhere()))  # type: ignore[arg-type]
    view = edit(session, models)
    assert view.offer_whole and view.session and not view.session.edits
    view = edit(session, models, everywhere=True)
    assert view.session and view.session.edit and view.session.edit.region.coverage() == 1.0


def test_without_an_adapter_the_page_asks_for_a_region_and_offers_the_whole_picture(session: Session) -> None:
    models = Models(load=lambda *_: AdaptEditPipeline(FakeBackbone()))
    view = edit(session, models)
    assert view.offer_whole and view.note and "give a region" in view.note.text
    assert view.session and not view.session.edits
    view = edit(session, models, everywhere=True)
    assert view.session and view.session.edit and view.session.edit.region.coverage() == 1.0


def test_candidates_are_kept_with_their_seeds_and_one_is_chosen(session: Session, models: Models) -> None:
    now = edit(session, models, settings=with_options(candidates=3)).session
    assert now and now.edit and now.edit.seeds == (5, 6, 7) and actions.seed(now) == "5"
    now = actions.choose(now, 2).session
    assert now and now.edit and now.edit.after is now.edit.results[2] and actions.seed(now) == "7"
    assert show.candidates(now)["selected"] == 2  # type: ignore[index]
    assert actions.choose(now, 3).session is now
    again = actions.again(now).session
    assert again and again.picture is now.edit.results[2]


def test_progress_counts_the_steps_of_all_candidates(pipe: AdaptEditPipeline, photo: Path) -> None:
    told: list[Progress] = []
    on_step = actions._counted(told.append)
    pipe(photo, "x", num_inference_steps=3, num_images_per_prompt=2, on_step=on_step)
    assert [(each.done, each.total) for each in told] == [(n, 6) for n in range(1, 7)]
    assert told[3].text == "Editing: step 4 of 6"


def test_cancel_stops_between_two_steps_and_leaves_all_as_it_was(
    session: Session, models: Models, pipe: AdaptEditPipeline
) -> None:
    steps: list[int] = []
    ran = pipe.backbone.edit
    reached = threading.Event()

    def slowly(*args: Any, on_step: Any, **options: Any) -> Any:
        def step(done: int, total: int) -> None:
            steps.append(done)
            if done == 2:
                reached.set()
                assert seen[-1].session.stop.wait(30)  # the visitor presses Cancel now
            on_step(done, total)

        return ran(*args, on_step=step, **options)

    pipe.backbone.edit = slowly  # type: ignore[method-assign]
    seen: list[Any] = []
    for view in actions.edit(session, models, None, "x", with_options(steps=5)):
        seen.append(view)
        if view.busy and reached.wait(0.3):
            actions.cancel(view.session)
    assert steps == [1, 2]
    assert seen[-1].note.text == "Cancelled." and not seen[-1].busy and seen[-1].session.edits == ()
    pipe.backbone.edit = ran  # type: ignore[method-assign]
    assert edit(session, models).session.edits  # type: ignore[union-attr]  # the model is free again


def test_an_unexpected_error_is_one_line_on_the_page_and_whole_in_the_log(
    session: Session, models: Models, pipe: AdaptEditPipeline, caplog: pytest.LogCaptureFixture
) -> None:
    def burst(*_: Any, **__: Any) -> None:
        raise RuntimeError("CUDA out of memory\nTried to allocate")

    pipe.backbone.edit = burst  # type: ignore[method-assign, assignment]
    view = edit(session, models)
    assert view.note and view.note.kind == "wrong" and view.note.text.endswith("CUDA out of memory")
    assert not view.busy and "Traceback" in caplog.text


def test_without_a_picture_or_words_nothing_runs(session: Session) -> None:
    models = Models(load=lambda *_: pytest.fail("loaded"))
    assert "no picture" in last(actions.find(None, models, "x", SEEDED)).note.text  # type: ignore[union-attr]
    view = edit(session, models, "  ")
    assert view.note and view.note.kind == "wrong" and "instruction is empty" in view.note.text


@pytest.mark.parametrize("name, data", [("notes.png", b"hello"), ("empty.jpg", b"")])
def test_a_bad_picture_is_one_line_without_its_path(tmp_path: Path, name: str, data: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    view = actions.open_picture(str(path))
    assert view.session is None and view.note and view.note.kind == "wrong"
    assert view.note.text.startswith(f"{name}: ") and str(tmp_path) not in view.note.text


# -- sessions


def test_undo_takes_the_last_edit_back_with_its_picture_words_and_marks(
    session: Session, models: Models
) -> None:
    first = edit(session, models, "one").session
    assert first and first.picture is session.picture  # the editor keeps its picture, to try again
    on = actions.again(first).session
    assert on and on.picture is first.edits[0].after and on.canvas.region is None
    second = edit(on, models, "two").session
    assert second and second.shown == 1
    view = actions.undo(second)
    assert view.instruction == "two" and view.session and view.session.picture is on.picture
    assert view.session.edits == first.edits and view.session.shown == 0
    assert view.session.canvas.serial > second.canvas.serial
    view = actions.undo(view.session)
    assert view.session and view.session.picture is session.picture and view.session.edits == ()
    assert actions.undo(view.session).session.edits == ()  # type: ignore[union-attr]


def test_any_version_can_be_looked_at_and_edited_again(session: Session, models: Models) -> None:
    now = session
    for words in ("one", "two"):
        now = edit(now, models, words).session  # type: ignore[assignment]
    assert [item["text"] for item in show.history(now)["items"]] == ["original", "one", "two"]  # type: ignore[index]
    looked = actions.look_at(now, 1).session
    assert looked and looked.edit is now.edits[0] and len(looked.edits) == 2
    original = actions.again(actions.look_at(now, 0).session).session  # type: ignore[arg-type]
    assert original and original.picture is session.original and original.edit is None


def test_a_long_history_loses_its_oldest_edits(session: Session, models: Models) -> None:
    now = edit(session, models, "0").session
    for index in range(1, MOST_EDITS + 2):
        now = now.edited(replace(now.edits[0], instruction=str(index)))  # type: ignore[union-attr]
    assert (
        now and len(now.edits) == MOST_EDITS and now.edits[0].instruction == "2" and now.edit is now.edits[-1]
    )


# -- downloads


@pytest.mark.parametrize(
    "name, mode, suffix",
    [("a.png", "P", ".png"), ("a.JPG", "RGB", ".jpg"), ("a.webp", "RGBA", ".webp"), ("a.bmp", "RGB", ".bmp")],
)
def test_a_result_is_downloaded_in_the_format_it_came_in(
    tmp_path: Path, models: Models, name: str, mode: str, suffix: str
) -> None:
    Image.new(mode, SIZE, 7 if mode == "P" else (9,) * len(mode)).save(tmp_path / name)
    now = edit(Session.open(tmp_path / name), models).session
    path = Path(downloads.write(now, "picture"))
    assert path.name == f"a-edited{suffix}"
    assert Image.open(path).size == SIZE


def test_downloads_are_whole_and_leave_nothing_behind(tmp_path: Path, models: Models) -> None:
    deep = np.random.default_rng(2).integers(0, 65536, (64, 96, 3), dtype=np.uint16)
    source = tmp_path / "deep.png"
    from adaptedit.pictures.picture import Picture
    from adaptedit.pictures.save import save

    save(Image16(deep), source)
    now = edit(Session.open(source), models).session
    assert now and now.edit
    path = Path(downloads.write(now, "picture"))
    after = Picture.open(path)
    assert after.mode == "RGB;16"
    kept = now.edit.region.feather(20).mask == 0
    assert (np.asarray(after.original)[kept] == deep[kept]).all() and kept.any()
    mask = Path(downloads.write(now, "mask"))
    assert mask.name == "deep-region.png" and not path.exists()
    assert np.abs(Region.from_white_is_edit(read_image(mask)).mask - now.edit.region.mask).max() < 1 / 255
    folder = mask.parent
    del now
    assert not folder.exists()


def test_there_is_nothing_to_download_before_an_edit(session: Session) -> None:
    with pytest.raises(AdaptEditError, match="no result to download yet"):
        downloads.write(session, "png")
