"""The web page in a real browser, with the real `tiny`: needs playwright and a Chromium, see `CHROMIUM`."""

from __future__ import annotations

import io
import os
import re
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from adaptedit.editing.options import LoadOptions
from adaptedit.editing.pipeline import AdaptEditPipeline
from adaptedit.interfaces.loading import load_pipeline
from adaptedit.interfaces.ui.models import Models
from adaptedit.interfaces.ui.serve import serving
from adaptedit.region import Region

MISSING = [name for name in ("gradio", "playwright") if find_spec(name) is None]
CHROMIUM = os.environ.get("CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None
)
if CHROMIUM is None:
    MISSING.append("a Chromium (`make browser` installs Debian's, $CHROMIUM names another)")
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not here: {', '.join(MISSING)}")

DESK = Path(__file__).parents[1] / "examples" / "desk.png"
PHONE = {"width": 390, "height": 844}
PATIENCE = 60_000  # milliseconds that any wait may take

if not MISSING:
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="module")
def tiny() -> AdaptEditPipeline:
    return load_pipeline(LoadOptions())


@pytest.fixture(scope="module")
def address(tiny: AdaptEditPipeline) -> Iterator[str]:

    def load(options: LoadOptions) -> AdaptEditPipeline:
        return tiny if options.backbone == "tiny" else load_pipeline(options)

    models = Models(load=load)
    with serving(models, host="127.0.0.1", port=None, share=False) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any, address: str, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A visitor's page, which fails the test if a script fails or anything is asked of another host."""
    wrong: list[str] = []
    context = browser.new_context(**getattr(request, "param", {}))
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda asked: _own(asked.url, address) or wrong.append(asked.url))
    page.goto(address)
    yield page
    context.close()
    assert wrong == []


def _own(url: str, address: str) -> bool:
    return url.startswith((address, "data:", "blob:"))


def upload(page: Any, path: Path = DESK) -> None:
    page.locator("#upload input[type=file]").set_input_files(path)
    expect(page.locator(".ae-painter")).to_be_visible()


def say(page: Any, words: str) -> None:
    page.get_by_label("Instruction").fill(words)


def note(page: Any, text: str) -> None:
    expect(page.locator("#note")).to_contain_text(re.compile(text))


def edited(page: Any, count: int = 1) -> None:
    """Waits until the history has the original and that many edits."""
    expect(page.locator("#history button")).to_have_count(count + 1)
    note(page, "Done")


def drag(page: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    """On the canvas, in shares of its width and height."""
    canvas = page.locator(".ae-stage canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + start[0] * box["width"], box["y"] + start[1] * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + end[0] * box["width"], box["y"] + end[1] * box["height"], steps=6)
    page.mouse.up()


def download(page: Any, button: str) -> tuple[str, bytes]:
    with page.expect_download(timeout=PATIENCE) as coming:
        page.locator(button).click()
    return coming.value.suggested_filename, Path(coming.value.path()).read_bytes()


def mask(page: Any) -> np.ndarray:
    name, data = download(page, "#save-mask")
    assert name == "desk-region.png"
    return np.asarray(Image.open(io.BytesIO(data))) / 255


def test_a_picture_and_a_sentence_give_what_the_pipeline_gives(page: Any, tiny: AdaptEditPipeline) -> None:
    upload(page)
    say(page, "remove the apple")
    page.locator("#settings").click()
    page.get_by_label("Seed").fill("7")
    page.locator("#find").click()
    note(page, r"Found: \d")
    page.locator("#edit").click()
    edited(page)
    expect(page.locator("#facts")).to_contain_text("seed 7")

    region = tiny.predict_region(DESK, "remove the apple")
    expected = tiny(DESK, "remove the apple", region, seed=7).images[0]
    name, data = download(page, "#save")
    assert name == "desk-edited.png"
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(data))), np.asarray(expected))
    assert np.abs(mask(page) - region.mask).max() < 1 / 255


def test_paint_adds_erase_removes_and_what_is_drawn_is_edited(page: Any, tiny: AdaptEditPipeline) -> None:
    upload(page)
    say(page, "remove the apple")
    page.locator("#find").click()
    note(page, "Found")
    drag(page, (0.7, 0.2), (0.9, 0.2))  # on bare wood, right of the laptop
    page.get_by_role("button", name="Erase").click()
    drag(page, (0.1, 0.85), (0.35, 0.85))  # over the apple's shadow
    page.locator("#edit").click()
    edited(page)
    drawn, found = mask(page), tiny.predict_region(DESK, "remove the apple").mask
    height, width = drawn.shape
    at = lambda x, y: (int(y * height), int(x * width))  # noqa: E731
    assert drawn[at(0.8, 0.2)] == 1 and found[at(0.8, 0.2)] < 0.1
    assert drawn[at(0.22, 0.85)] == 0 and found[at(0.22, 0.85)] > 0.5
    assert abs(drawn[at(0.22, 0.68)] - found[at(0.22, 0.68)]) < 1 / 255  # the apple itself, as it was found

    say(page, "remove the key")  # what was drawn stays, whatever the words
    page.locator("#edit").click()
    edited(page, 2)
    assert np.array_equal(mask(page), drawn)

    page.get_by_role("button", name="Clear").click()  # and now it is found
    page.locator("#edit").click()
    edited(page, 3)
    assert np.abs(mask(page) - tiny.predict_region(DESK, "remove the key").mask).max() < 1 / 255


def test_strokes_can_be_undone_and_an_erased_region_is_refused(page: Any) -> None:
    upload(page)
    undo, clear = (
        page.get_by_role("button", name="Undo", exact=True),
        page.get_by_role("button", name="Clear"),
    )
    expect(clear).to_be_disabled()
    drag(page, (0.5, 0.5), (0.6, 0.6))
    expect(clear).to_be_enabled()
    undo.click()
    expect(clear).to_be_disabled()
    expect(undo).to_be_disabled()
    say(page, "remove the apple")
    page.locator("#find").click()
    note(page, "Found")
    page.get_by_label("Brush size").fill("40")
    page.get_by_role("button", name="Erase").click()
    for y in (0.6, 0.75, 0.9):
        drag(page, (0.0, y), (0.6, y))
    page.locator("#edit").click()
    note(page, "nothing is marked any more")


def test_the_slider_moves_and_history_goes_back_and_on(page: Any) -> None:
    upload(page)
    for count, words in enumerate(("remove the apple", "remove the key"), 1):
        say(page, words)
        page.locator("#edit").click()
        edited(page, count)
        page.locator("#again").click()
        note(page, f'The result of "{words}" is in the editor')
    slider = page.get_by_label("Slide between before and after")
    slider.fill("70")
    assert page.locator(".ae-line").evaluate("line => line.offsetLeft / line.parentElement.clientWidth") == (
        pytest.approx(0.7, abs=0.02)
    )
    _, both = download(page, "#save")
    before, after = np.asarray(Image.open(DESK)), np.asarray(Image.open(io.BytesIO(both)))
    assert (before != after)[150:, :150].any() and (before != after)[170:260, 160:240].any()

    page.locator("#history button").nth(1).click()
    expect(page.locator("#history button").nth(1)).to_have_attribute("aria-pressed", "true")
    _, one = download(page, "#save")
    assert (before == np.asarray(Image.open(io.BytesIO(one))))[
        200:260, 190:240
    ].all()  # the key is still there

    page.locator("#undo").click()
    note(page, "Undone")
    expect(page.locator("#history button")).to_have_count(2)
    expect(page.get_by_label("Instruction")).to_have_value("remove the key")
    page.locator("#undo").click()
    expect(page.locator("#past")).to_be_hidden()
    expect(page.get_by_label("Instruction")).to_have_value("remove the apple")


def test_one_of_several_candidates_is_chosen(page: Any) -> None:
    upload(page)
    say(page, "remove the apple")
    page.locator("#settings").click()
    page.get_by_label("Seed").fill("3")
    count = page.locator("#candidates input[type=number]")
    count.fill("3")
    count.press("Tab")
    page.locator("#edit").click()
    expect(page.locator("#choices button")).to_have_count(3)
    note(page, "Done")
    _, first = download(page, "#save")
    page.locator("#choices button").nth(2).click()
    expect(page.locator("#facts")).to_contain_text("seed 5")
    _, third = download(page, "#save")
    assert first != third
    page.locator("#keep-seed").click()
    expect(page.get_by_label("Seed")).to_have_value("5")


def test_what_runs_can_be_cancelled(page: Any) -> None:
    upload(page)
    say(page, "remove the apple")
    page.locator("#settings").click()
    page.get_by_label("Steps").fill("1000")
    page.locator("#edit").click()
    note(page, r"step \d+ of 1000")
    expect(page.locator("#note progress")).to_be_visible()
    expect(page.locator("#edit")).to_be_hidden()
    page.locator("#cancel").click()
    note(page, "Cancelled")
    expect(page.locator("#history button")).to_have_count(0)
    page.get_by_label("Steps").fill("")
    page.locator("#edit").click()
    edited(page)


@pytest.mark.parametrize("page", [{"viewport": PHONE, "has_touch": True, "is_mobile": True}], indirect=True)
def test_on_a_phone_nothing_sticks_out_and_a_finger_paints(page: Any) -> None:
    page.locator("#examples button").first.tap()
    expect(page.locator(".ae-painter")).to_be_visible()
    expect(page.get_by_label("Instruction")).to_have_value("remove the apple")
    page.locator(".ae-stage canvas").tap()
    expect(page.get_by_role("button", name="Clear")).to_be_enabled()
    page.locator("#edit").tap()
    edited(page)
    page.locator("#settings").tap()
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    for button in page.locator("button:visible").all():
        box = button.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= PHONE["width"], button.inner_text()


def test_all_of_it_by_keyboard(page: Any) -> None:
    expect(page.locator("#examples button")).not_to_have_count(0)
    page.locator("#examples button").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".ae-painter")).to_be_visible()
    seen: list[str] = []
    for _ in range(40):
        page.keyboard.press("Tab")
        seen.append(
            page.evaluate("document.activeElement.closest('[id]').id + document.activeElement.tagName")
        )
        if seen[-1] == "instructionINPUT":
            break
    assert seen[-1] == "instructionINPUT", seen
    expect(page.locator("#note")).to_have_attribute("role", "status")
    page.keyboard.press("Enter")
    edited(page)
    after = []
    for _ in range(3):
        page.keyboard.press("Tab")
        after.append(page.evaluate("document.activeElement.id"))
    assert after[:2] == ["find", "edit"]
    slider = page.get_by_label("Slide between before and after")
    slider.focus()
    expect(slider).to_have_value("8")  # the result has been unveiled
    page.keyboard.press("ArrowRight")
    expect(slider).to_have_value("9")


def test_a_bad_picture_is_refused_in_one_line_and_the_next_one_is_taken(page: Any, tmp_path: Path) -> None:
    for name, data in (
        ("notes.png", b"no picture"),
        ("notes.txt", b"no picture"),
        ("cut.png", DESK.read_bytes()[:2000]),
    ):
        (tmp_path / name).write_bytes(data)
        page.locator("#upload input[type=file]").set_input_files(tmp_path / name)
        note(page, rf"^\s*{name}: ")
        expect(page.locator("#note p")).to_have_class(re.compile("ae-wrong"))
        expect(page.locator("#upload input[type=file]")).to_have_count(1)
    upload(page)


def test_no_region_a_global_edit_and_an_unknown_model_are_told_kindly(
    page: Any, tiny: AdaptEditPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    page.locator("#edit").click()
    note(page, "no picture yet")
    upload(page)
    page.locator("#edit").click()
    note(page, "the instruction is empty")
    say(page, "remove the <b>`${apple}`</b>")
    page.locator("#settings").click()
    page.get_by_label("Backbone").fill("/nowhere/at/all")
    page.locator("#edit").click()
    note(page, "/nowhere/at/all")
    expect(page.locator("#note p")).to_have_class(re.compile("ae-wrong"))
    page.get_by_label("Backbone").fill("")

    found = tiny.adapter.predict_region
    monkeypatch.setattr(tiny.adapter, "predict_region", lambda *args: found(*args) * 0 + 0.01)
    page.locator("#edit").click()
    note(page, re.escape("found nothing in the picture for 'remove the <b>`${apple}`</b>'"))
    expect(page.locator("#whole")).to_be_hidden()

    monkeypatch.setattr(tiny.adapter, "predict_region", lambda *args: found(*args) * 0 + 0.99)
    page.locator("#edit").click()
    note(page, "seems to mean the whole picture")
    page.locator("#whole").click()
    edited(page)
    assert Region.from_array(mask(page)).coverage() == 1.0
    expect(page.locator("#whole")).to_be_hidden()


def test_another_picture_starts_again(page: Any) -> None:
    upload(page)
    say(page, "remove the apple")
    page.locator("#edit").click()
    edited(page)
    page.locator("#other").click()
    expect(page.locator("#upload")).to_be_visible()
    expect(page.locator(".ae-painter")).to_be_hidden()
    expect(page.locator(".ae-compare")).to_be_hidden()
    upload(page)
    expect(page.locator("#past")).to_be_hidden()


def test_two_visitors_have_their_own_pictures(page: Any, browser: Any, address: str) -> None:
    upload(page)
    other = browser.new_context().new_page()
    other.goto(address)
    other.locator("#examples button").nth(1).click()
    expect(other.get_by_label("Instruction")).not_to_have_value("")
    say(page, "remove the apple")
    page.locator("#edit").click()
    other.locator("#edit").click()
    edited(page)
    edited(other)
    assert download(page, "#save")[0] == "desk-edited.png"
    assert download(other, "#save")[0] == "party-edited.jpg"
    other.context.close()
