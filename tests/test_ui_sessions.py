"""What a page keeps for its visitors: within a number of bytes, and nobody ends another's session."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from adaptedit.editing.pipeline import AdaptEditPipeline
from adaptedit.errors import AdaptEditError
from adaptedit.interfaces.ui import folder as folders
from adaptedit.interfaces.ui.canvas import Canvas
from adaptedit.interfaces.ui.models import Models
from adaptedit.interfaces.ui.serve import serving
from adaptedit.interfaces.ui.session import Edit, Session
from adaptedit.interfaces.ui.sessions import FORGOTTEN, IDLE, Sessions
from adaptedit.pictures.picture import Picture
from adaptedit.region import Region

BYTES = 100 * 100 * 8  # of an RGB picture, as the model sees it and as it came
MASK = 100 * 100 * 4


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def session() -> Session:
    picture = Picture.open(Image.new("RGB", (100, 100)))
    return Session(name="a.png", original=picture, picture=picture, canvas=Canvas(size=picture.size))


def edited(before: Session, words: str) -> Session:
    result = Picture.open(Image.new("RGB", (100, 100)))
    return before.edited(
        Edit(
            before=before.picture,
            canvas=before.canvas,
            instruction=words,
            region=Region.full((100, 100)),
            results=(result,),
            seeds=(1,),
            seconds=1.0,
        )
    )


def test_every_picture_and_mask_is_counted_once() -> None:
    one = session()
    assert one.bytes() == BYTES
    two = edited(edited(one, "a"), "b")
    assert two.bytes() == 3 * BYTES + 2 * MASK
    assert two.again().bytes() == two.bytes()
    grey = Picture.open(np.zeros((100, 100), np.uint16))
    assert replace(one, picture=grey).bytes() == BYTES + 100 * 100 * 6


def test_made_up_names_end_nobodys_session() -> None:
    sessions = Sessions(3 * BYTES)
    mine = sessions.put("mine", "me", session())
    for number in range(1000):
        assert sessions.get(f"made up {number}") is None
    for number in range(50):
        sessions.put(f"pictures too {number}", "stranger", session())
    assert sessions.get("mine") is mine and sessions.bytes <= sessions.most


def test_where_nothing_may_go_a_new_picture_is_refused_and_the_old_one_stays() -> None:
    sessions = Sessions(2 * BYTES)
    first, second = sessions.put("1", "a", session()), sessions.put("2", "b", session())
    with pytest.raises(AdaptEditError, match="holds as many pictures as its memory allows"):
        sessions.put("3", "c", session())
    large = edited(session(), "x")
    with pytest.raises(AdaptEditError, match="smaller picture"):
        sessions.put("1", "a", replace(large, original=first.original))  # type: ignore[union-attr]
    assert sessions.get("1") is first and sessions.get("2") is second and sessions.get("3") is None


def test_who_goes_first() -> None:
    clock = Clock()
    sessions = Sessions(4 * BYTES, clock)
    for name, peer in (("idle", "a"), ("closed", "b"), ("own", "me"), ("other", "c")):
        clock.now += 1
        sessions.put(name, peer, session())
    sessions.close("closed")
    clock.now = IDLE + 1.5  # only "idle" is over it

    def left() -> set[str]:
        return {name for name in ("idle", "closed", "own", "other", "new", "newer") if name in sessions._held}

    sessions.put("new", "me", session())
    assert left() == {"idle", "own", "other", "new"}
    sessions.put("newer", "me", session())
    assert left() == {"idle", "other", "new", "newer"}
    sessions.put("from elsewhere", "d", session())
    assert left() == {"other", "new", "newer"}
    clock.now += FORGOTTEN + 1
    sessions.put("late", "d", session())
    assert left() == set()


def test_a_long_history_loses_its_oldest_edits_before_anybody_loses_a_session() -> None:
    sessions = Sessions(6 * BYTES)
    sessions.put("other tab", "me", session())
    now = session()
    for words in "abcdefgh":
        kept = sessions.put("mine", "me", edited(now, words))
        assert kept is not None and kept.edits[-1].instruction == words and kept.edit is kept.edits[-1]
        now = kept
    assert sessions.get("other tab") is not None and len(now.edits) < 8 and sessions.bytes <= sessions.most


def test_a_visitor_who_comes_back_is_not_closed_any_more() -> None:
    sessions = Sessions(2 * BYTES)
    mine = sessions.put("mine", "me", session())
    sessions.close("mine")
    assert sessions.get("mine") is mine
    sessions.put("2", "b", session())
    with pytest.raises(AdaptEditError):
        sessions.put("3", "c", session())


# -- the folder


def test_what_a_killed_page_left_goes_when_the_next_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders.tempfile, "gettempdir", lambda: str(tmp_path))
    started = "from adaptedit.interfaces.ui.folder import temporary_folder as f\nimport tempfile, time\n"
    started += (
        f"tempfile.tempdir = {str(tmp_path)!r}\nwith f() as folder: print(folder, flush=True); time.sleep(60)"
    )
    killed, living = (
        subprocess.Popen([sys.executable, "-c", started], stdout=subprocess.PIPE, text=True) for _ in range(2)
    )
    paths = [Path(process.stdout.readline().strip()) for process in (killed, living)]  # type: ignore[union-attr]
    (paths[0] / "photo.png").touch()
    killed.kill()
    killed.wait()
    foreign = tmp_path / "adaptedit-page-link"
    (tmp_path / "photos").mkdir()
    foreign.symlink_to(tmp_path / "photos")
    for path in paths:
        os.utime(path, (time.time() - 100,) * 2)
    with folders.temporary_folder() as folder:
        assert not paths[0].exists() and paths[1].is_dir() and folder.is_dir()
        assert foreign.is_symlink() and (tmp_path / "photos").is_dir()
    assert not folder.exists()
    living.kill()
    living.wait()


# -- the door


def test_uploads_that_would_wait_too_long_are_refused(models: Models, tmp_path: Path) -> None:
    """Each waits in one of Gradio's forty threads."""
    pytest.importorskip("gradio")
    from adaptedit.interfaces.ui.page import MOST_WAITING, Page

    pool = SimpleNamespace(waiting=MOST_WAITING, picture=lambda *_, **__: pytest.fail("asked"))
    page = Page(models, Sessions(10**9), pool)  # type: ignore[arg-type]
    request = SimpleNamespace(session_hash="x", client=None, request=None)
    shown = page.on_upload(str(tmp_path / "a.png"), request)  # type: ignore[arg-type]
    assert "Too many pictures" in shown[page.note] and page.sessions.get("x") is None


@pytest.fixture
def models(pipe: AdaptEditPipeline) -> Models:
    return Models(load=lambda options: pipe)


def test_the_page_answers_to_its_own_names_only_and_to_short_requests(models: Models) -> None:
    pytest.importorskip("gradio")
    with serving(models, host="127.0.0.1", port=None, share=False) as address:

        def status(**headers: str) -> int:
            try:
                request = urllib.request.Request(address, headers=headers)
                with urllib.request.urlopen(request, timeout=30) as answer:
                    return int(answer.status)
            except urllib.error.HTTPError as error:
                return error.code

        assert status() == status(Host="localhost:7860") == status(Host="[::1]:7860") == 200
        assert status(Host="evil.com") == status(Host="192.0.2.1") == 400
        connection = http.client.HTTPConnection(address.removeprefix("http://").strip("/"), timeout=30)
        connection.putrequest("POST", "/gradio_api/run/predict")
        connection.putheader("content-length", "202000000")
        connection.endheaders(b"{")
        assert connection.getresponse().status == 413
        connection.close()
