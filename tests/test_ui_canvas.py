"""What the page sends and gets: layers to paint on, settings, previews, the status line."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from adaptedit.editing.options import EditOptions
from adaptedit.errors import AdaptEditError
from adaptedit.interfaces.ui import previews, show
from adaptedit.interfaces.ui.canvas import PNG_URL, Canvas, shown_size
from adaptedit.interfaces.ui.settings import Settings
from adaptedit.pictures.picture import Picture
from adaptedit.region import Region

SIZE = (96, 64)


def layer(levels: np.ndarray) -> str:
    """As a browser sends it."""
    image = Image.new("RGB", levels.shape[::-1], (255, 0, 110))
    image.putalpha(Image.fromarray(levels.astype(np.uint8)))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return PNG_URL + base64.b64encode(buffer.getvalue()).decode()


# -- the canvas


def test_a_layer_that_nobody_touched_leaves_the_region_exactly_as_it_was() -> None:
    soft = Region.from_array(np.random.default_rng(1).random((64, 96), dtype=np.float32))
    canvas = Canvas(size=SIZE, serial=3, region=soft)
    region, touched = canvas.read({"serial": 3, "layer": canvas.layer()})
    assert region is soft and not touched
    wobbled = (canvas.levels().astype(int) + 1).clip(0, 255)  # a browser's rounding
    assert canvas.read({"serial": 3, "layer": layer(wobbled)}) == (soft, False)


def test_strokes_add_and_remove_and_the_rest_keeps_its_values() -> None:
    soft = Region.from_array(np.full((64, 96), 0.3337, np.float32))
    canvas = Canvas(size=SIZE, region=soft)
    levels = canvas.levels()
    levels[10:20, 10:20], levels[40:50, 40:50] = 255, 0
    region, touched = canvas.read({"serial": 0, "layer": layer(levels)})
    assert touched and region is not None
    assert (region.mask[10:20, 10:20] == 1).all() and (region.mask[40:50, 40:50] == 0).all()
    assert (region.mask[:10] == soft.mask[:10]).all() and (region.mask[50:] == soft.mask[50:]).all()


def test_strokes_on_a_canvas_smaller_than_the_picture_land_where_they_were_drawn() -> None:
    size = (3200, 800)
    found = Region.from_box((10, 10, 21, 21), size)
    canvas = Canvas(size=size, region=found)
    assert shown_size(size) == (1600, 400)
    levels = canvas.levels()
    levels[100:200, 1000:1200] = 255
    region, _ = canvas.read({"serial": 0, "layer": layer(levels)})
    assert region is not None
    assert region.bbox() == (10, 10, 2400, 400)
    assert (region.mask[205:395, 2005:2395] == 1).all()
    assert (region.mask[:190] == found.mask[:190]).all()


def test_a_cleared_canvas_marks_nothing_and_a_layer_of_another_canvas_is_not_taken() -> None:
    canvas = Canvas(size=SIZE, serial=2, region=Region.full(SIZE))
    assert canvas.read({"serial": 2, "layer": None}) == (None, False)
    assert canvas.read({"serial": 1, "layer": layer(np.zeros((64, 96)))}) == (canvas.region, False)
    assert canvas.read(None) == (canvas.region, False)


@pytest.mark.parametrize(
    "bad", ["", "data:text/html,x", PNG_URL + "%%", PNG_URL + "AAAA", 7, layer(np.zeros((9, 9)))]
)
def test_what_is_no_layer_of_this_canvas_is_refused_in_one_line(bad: Any) -> None:
    with pytest.raises(AdaptEditError, match=r"^the painted layer .*; reload the page$"):
        Canvas(size=SIZE).read({"serial": 0, "layer": bad})


# -- settings


def fields(**changed: Any) -> dict[str, Any]:
    return dict(
        seed="", steps="", guidance="", negative_prompt="", adapter_scale="", candidates=1,
        preserve="exact", threshold=0.5, grow=0, feather="", context=2,
        backbone="", adapter="",
    ) | changed  # fmt: skip


def test_empty_fields_are_the_defaults_and_numbers_are_read() -> None:
    assert vars(Settings.read(**fields()).edit) == vars(EditOptions())
    read = Settings.read(**fields(seed=" 7 ", steps="3", feather="1.5")).edit
    assert (read.seed, read.steps, read.feather) == (7, 3, 1.5)


@pytest.mark.parametrize(
    "wrong", [{"seed": "-1"}, {"seed": "1.5"}, {"steps": "0"}, {"feather": "wide"}, {"feather": "nan"}]
)
def test_a_number_that_is_none_is_one_line(wrong: dict[str, str]) -> None:
    with pytest.raises(AdaptEditError, match="or leave it empty"):
        Settings.read(**fields(**wrong))


# -- previews and the status line


def test_previews_are_small_and_show_transparency(tmp_path: Path) -> None:
    Image.new("RGBA", (2400, 30), (10, 20, 30, 40)).save(tmp_path / "wide.png")
    picture = Picture.open(tmp_path / "wide.png")
    for url, size in (
        (previews.preview(picture), (1600, 20)),
        (previews.thumbnail(picture), (144, 2)),
    ):
        seen = Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))
        assert seen.size == size and seen.mode == "RGBA"


def test_what_a_visitor_writes_is_never_html() -> None:
    assert "<img" not in show.status("'<img src=x onerror=alert(1)>' finds nothing")
    assert "&lt;img" in show.status("'<img src=x onerror=alert(1)>' finds nothing")
