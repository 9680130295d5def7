"""Make the pictures of these pages anew, with the weights that ship.

    python docs/make_pictures.py                  # all below, in about five minutes on one core
    python docs/make_pictures.py ui-phone edit    # these alone

It wants `adaptedit data fetch` once. `report`, `ui-desktop` and `ui-phone` also want `pip install playwright`
and a Chromium: Debian's `chromium`, or the path of another in $CHROMIUM.

Three pictures show renders, which take half an hour and 175 MB of downloads, and are made by hand:
tiny-renders.jpg    benchmarks/tiny/gallery.py FOLDER --renders RENDERS --count 60, RENDERS as in training.md
render-pairs.jpg    adaptedit data render-preview -o sheet.png --count 24
render-large.jpg    two larger samples of `adaptedit data render --size 192 --spp 20`
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs" / "pictures"
EXAMPLES = ROOT / "examples"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


def keep(picture: Path | Image.Image, name: str) -> None:
    image = picture if isinstance(picture, Image.Image) else Image.open(picture)
    image.convert("RGB").save(PICTURES / f"{name}.jpg", quality=78, optimize=True)


def run(*command: str | Path) -> None:
    subprocess.run([sys.executable, *command], cwd=ROOT, check=True)


def adaptedit(*arguments: str | Path) -> None:
    run("-c", "from adaptedit.interfaces.cli.main import main; main()", *arguments)


# -- by the command line and the benchmarks


def make_edit(folder: Path) -> None:
    sheet = folder / "sheet.png"
    adaptedit("edit", EXAMPLES / "desk.png", "remove the apple", "-o", folder / "out.png", "--sheet", sheet)
    keep(sheet, "remove-the-apple")


def make_gallery(folder: Path) -> None:
    run("benchmarks/tiny/gallery.py", folder, "--count", "120")
    keep(folder / "first.png", "tiny-first")
    keep(folder / "failures.png", "tiny-failures")


def make_things(folder: Path) -> None:
    run("benchmarks/training/things.py", "src/adaptedit/tiny/weights", folder / "things.png")
    keep(folder / "things.png", "tiny-things")


def make_three_ways(folder: Path) -> None:
    run("benchmarks/compose/run.py", "--sheet", folder / "ways.png")
    keep(folder / "ways.png", "three-ways")


# -- by a browser


def make_report(folder: Path) -> None:
    editors = ("--editor", "frozen", "--editor", "predicted", "--baseline", "frozen")
    metrics = ("--metric", "pixels", "--metric", "local", "--metric", "region")  # the quick ones
    adaptedit("evaluate", "synthetic", "--limit", "24", *editors, *metrics, "--out", folder)
    with browsing(viewport={"width": 1180, "height": 960}) as page:
        page.goto((folder / "report.html").as_uri())
        page.get_by_role("heading", name="Samples").evaluate("heading => heading.scrollIntoView()")
        keep(photograph(page, folder), "report")


def make_ui_desktop(folder: Path) -> None:
    with serving_page(viewport={"width": 1280, "height": 1140}) as page:
        choose_example(page, "turn the balloon blue")
        page.locator("#settings").click()
        page.get_by_label("Seed").fill("1")
        count = page.locator("#candidates input[type=number]")
        count.fill("3")
        count.press("Tab")
        page.locator("#settings").click()
        edit(page)
        page.get_by_label("Slide between before and after").fill("30")
        page.mouse.move(0, 0)
        page.evaluate("scrollTo(0, 0)")
        keep(photograph(page, folder), "ui-desktop")


def make_ui_phone(folder: Path) -> None:
    phone = {"width": 390, "height": 844}
    with serving_page(viewport=phone, has_touch=True, is_mobile=True, color_scheme="dark") as page:
        choose_example(page, "remove the apple")
        page.locator("#find").tap()
        page.locator("#note", has_text="Found").wait_for()
        page.evaluate("scrollTo(0, 0)")
        found = photograph(page, folder)
        edit(page)
        page.evaluate("document.querySelector('#instruction').scrollIntoView()")
        both = Image.new("RGB", (2 * found.width + 24, found.height), "white")
        both.paste(found, (0, 0))
        both.paste(photograph(page, folder), (found.width + 24, 0))
        keep(both, "ui-phone")


@contextmanager
def browsing(**context: Any) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = browser.new_context(**context).new_page()
        page.set_default_timeout(120_000)  # milliseconds
        yield page
        browser.close()


@contextmanager
def serving_page(**context: Any) -> Iterator[Any]:
    from adaptedit.interfaces.ui.models import Models
    from adaptedit.interfaces.ui.serve import serving

    models = Models()
    models.warm()
    with serving(models, host="127.0.0.1", port=None, share=False) as address, browsing(**context) as page:
        page.goto(address)
        yield page


def choose_example(page: Any, instruction: str) -> None:
    page.locator("#examples button", has_text=instruction).click()
    page.locator(".ae-painter").wait_for()


def edit(page: Any) -> None:
    page.locator("#edit").click()
    page.locator("#note", has_text="Done").wait_for()
    page.locator("#history button").nth(1).wait_for()
    page.wait_for_timeout(1500)  # milliseconds: the result is unveiled


def photograph(page: Any, folder: Path) -> Image.Image:
    page.screenshot(path=folder / "screen.png")
    image = Image.open(folder / "screen.png")
    image.load()
    return image


MAKERS: dict[str, Callable[[Path], None]] = {
    "edit": make_edit,
    "gallery": make_gallery,
    "things": make_things,
    "three-ways": make_three_ways,
    "report": make_report,
    "ui-desktop": make_ui_desktop,
    "ui-phone": make_ui_phone,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(MAKERS))
    names = parser.parse_args().names
    if unknown := set(names) - set(MAKERS):
        parser.error(f"no such picture: {', '.join(sorted(unknown))}; there are {', '.join(MAKERS)}")
    for name in names or MAKERS:
        with tempfile.TemporaryDirectory() as folder:
            MAKERS[name](Path(folder))
        print(name, flush=True)


if __name__ == "__main__":
    main()
