"""Data sets that are read from files beside pictures: PIE-Bench, and a folder of one's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from adaptedit.data.readers import folder, pie_bench
from adaptedit.errors import AdaptEditError
from adaptedit.region import Region
from test_benchmarks import picture, same

# -- PIE-Bench


def pie_files(root: Path, **changed: Any) -> Path:
    record = {
        "image_path": "6_change_attribute_color_40/1_artificial/000000000001.jpg",
        "original_prompt": "a slanted mountain bicycle on the road",
        "editing_prompt": "a slanted [rusty] mountain bicycle on the road",
        "editing_instruction": "Make the frame of the bike rusty",
        "editing_type_id": "6",
        "blended_word": "bicycle bicycle",
        "mask": [512 * 10 + 20, 30, 512 * 11 + 20, 30, 512 * 512 - 5, 100],
    } | changed
    image = root / "annotation_images" / "6_change_attribute_color_40/1_artificial/000000000001.jpg"
    image.parent.mkdir(parents=True)
    picture(1, (512, 512)).save(image)
    (root / "mapping_file.json").write_text(json.dumps({"611000000001": record}))
    return root


def test_pie_bench(tmp_path: Path) -> None:
    found = pie_bench.load(path=pie_files(tmp_path))
    assert found.ids == ["611000000001"]
    sample = found.load("611000000001")
    assert (sample.instruction, sample.category) == ("Make the frame of the bike rusty", "change colour")
    assert sample.source_caption == "a slanted mountain bicycle on the road"
    assert sample.target_caption == "a slanted rusty mountain bicycle on the road"
    truth = np.zeros((512, 512))
    truth[10:12, 20:50] = 1
    truth[511, 507:] = 1
    assert sample.region is not None and np.array_equal(sample.region.mask, truth)
    assert sample.source.size == (512, 512) and sample.target is None


def test_pie_bench_with_the_official_scripts_border(tmp_path: Path) -> None:
    region = pie_bench.load(path=pie_files(tmp_path), border=True).load("611000000001").region
    truth = np.ones((512, 512))
    truth[1:-1, 1:-1] = 0
    truth[10:12, 20:50] = 1
    assert region is not None and np.array_equal(region.mask, truth)


@pytest.mark.parametrize("mask", [[1], [1, -2], ["1", 2], "1 2", [512 * 512, 1]])
def test_a_mask_that_is_no_run_lengths_is_refused(mask: Any, tmp_path: Path) -> None:
    with pytest.raises(
        AdaptEditError, match="PIE-Bench, sample 611000000001: the mask is not a list of start"
    ):
        pie_bench.load(path=pie_files(tmp_path, mask=mask)).load("611000000001")


def test_a_mapping_file_that_is_not_pie_benchs(tmp_path: Path) -> None:
    with pytest.raises(AdaptEditError, match="forms.gle"):
        pie_bench.load()
    with pytest.raises(AdaptEditError, match="lacks mapping_file.json|no such file"):
        pie_bench.load(path=tmp_path)
    (tmp_path / "mapping_file.json").write_text('{"1": {"image_path": "a.jpg"}}')
    with pytest.raises(AdaptEditError, match="mapping_file.json, 1: lacks original_prompt, editing_prompt"):
        pie_bench.load(path=tmp_path)


# -- a folder of one's own


def own(root: Path, *lines: Any) -> Path:
    picture(1).save(root / "desk.png")
    picture(2, (16, 12)).save(root / "after.png")
    for name, mode, value in (("white", "L", 255), ("black", "L", 0)):
        mask = Image.new(mode, (32, 24), 255 - value)
        mask.paste(value, (4, 4, 12, 12))
        mask.save(root / f"{name}.png")
    hole = picture(1).convert("RGBA")
    hole.paste((0, 0, 0, 0), (4, 4, 12, 12))
    hole.save(root / "alpha.png")
    text = (line if isinstance(line, str) else json.dumps(line) for line in lines)
    (root / "metadata.jsonl").write_text("\n".join(text))
    return root


DESK = {"source": "desk.png", "instruction": "remove the mug"}


def test_the_shortest_line_is_a_picture_and_an_instruction(tmp_path: Path) -> None:
    found = folder.load(path=own(tmp_path, DESK, ""))
    assert (found.name, found.ids) == (tmp_path.name, ["desk"])
    sample = found.load("desk")
    assert same(sample.source, picture(1)) and sample.instruction == "remove the mug"
    assert (sample.target, sample.region, sample.category) == (None, None, "")


@pytest.mark.parametrize("polarity", ["white", "black", "alpha"])
def test_a_line_with_everything(polarity: str, tmp_path: Path) -> None:
    texts = {"category": "remove", "source_caption": "a desk, a mug", "target_caption": "a desk"}
    line = {**DESK, **texts, "id": "b", "target": "after.png", "mask": f"{polarity}.png", "more": 1}
    sample = folder.load(path=own(tmp_path, {**line, "polarity": polarity})).load("b")
    assert {key: getattr(sample, key) for key in texts} == texts
    assert same(sample.target, picture(2, (16, 12)))
    region = Region.from_box((4, 4, 12, 12), (32, 24))
    assert sample.region is not None and np.array_equal(sample.region.mask, region.mask)
    own(tmp_path, line)
    sample = folder.load(path=tmp_path / "metadata.jsonl", polarity=polarity).load("b")
    assert sample.region is not None and np.array_equal(sample.region.mask, region.mask)


@pytest.mark.parametrize(
    "lines, message",
    [
        ([], "is empty"),
        ([DESK, "{"], "line 2: is not JSON"),
        (["3"], "line 1: is not an object"),
        ([{"file_name": "desk.png"}], 'line 1: lacks "instruction"'),
        ([{"instruction": "x"}], 'line 1: lacks "source"'),
        ([{**DESK, "instruction": 3}], '"instruction" must be text, got 3'),
        ([{**DESK, "mask": "white.png"}], "polarity ''; say which of its pixels are to be edited"),
        ([{**DESK, "mask": "white.png", "polarity": "grey"}], "polarity 'grey'"),
        ([DESK, DESK], "line 2: the id 'desk' is taken"),
        ([{**DESK, "id": "../x"}], "not fit for a file name"),
    ],
)
def test_a_line_that_is_wrong_is_named(lines: list[Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(AdaptEditError, match=message):
        folder.load(path=own(tmp_path, *lines))


def test_files_that_are_wrong_name_the_sample(tmp_path: Path) -> None:
    Image.new("L", (10, 10)).save(tmp_path / "small.png")
    small = {**DESK, "id": "a", "mask": "small.png", "polarity": "white"}
    found = folder.load(path=own(tmp_path, small, {**DESK, "source": "no.png"}))
    with pytest.raises(AdaptEditError, match="sample a: .*the mask is 10x10 pixels and the picture 32x24"):
        found.load("a")
    with pytest.raises(AdaptEditError, match="sample no: .*no.png: no such file"):
        found.load("no")
