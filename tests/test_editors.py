"""The editors that an evaluation measures: what each edits, finds and reports."""

from __future__ import annotations

import textwrap
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from adaptedit.data.sample import EditSample
from adaptedit.editing.options import EditOptions
from adaptedit.editing.pipeline import AdaptEditPipeline
from adaptedit.errors import AdaptEditError
from adaptedit.evaluation.editors import EDITORS, editor
from adaptedit.region import Region
from conftest import FakeAdapter, FakeBackbone


def big(size: int = 64) -> EditSample:
    picture = Image.effect_noise((size, size), 80).convert("RGB")
    return EditSample("big", "remove it", picture, region=Region.from_box((20, 20, 40, 40), picture.size))


@pytest.mark.parametrize("name", EDITORS)
def test_every_editor_edits_and_says_what_it_found(name: str, pipe: AdaptEditPipeline) -> None:
    edit = editor(name, lambda: pipe, EditOptions())(big(), 1)
    assert edit.failure is None and edit.image.size == (64, 64)
    found = {"whole-frame": 1.0, "centre-box": 0.25}.get(name, 1 / 16)
    if name.startswith(("frozen", "given", "cropped")):
        assert edit.region is None
    else:
        assert edit.region is not None and edit.region.coverage() == pytest.approx(found, abs=0.01)


def test_a_region_that_is_not_found_is_an_empty_one_and_a_failure() -> None:
    blind = AdaptEditPipeline(FakeBackbone(), FakeAdapter(certainty=0.1))  # type: ignore[arg-type]
    sample = big()
    edit = editor("predicted", lambda: blind, EditOptions())(sample, 1)
    assert edit.failure is not None and edit.failure.startswith("found nothing")
    assert edit.region is not None and edit.region.coverage() == 0
    assert edit.image == sample.source


def test_other_peoples_pictures_and_functions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (64, 64), "red").save(tmp_path / "big.png")
    (tmp_path / "theirs.py").write_text(
        textwrap.dedent("""
            def edit(picture, instruction, seed):
                return picture.transpose(0)
        """)
    )
    monkeypatch.syspath_prepend(tmp_path)

    def no_pipe() -> AdaptEditPipeline:
        raise AssertionError("needs no pipeline")

    assert editor(str(tmp_path), no_pipe, EditOptions())(big(), 1).image.getpixel((0, 0)) == (255, 0, 0)
    missing = editor(str(tmp_path), no_pipe, EditOptions())(replace(big(), id="other"), 1)
    assert missing.failure == f"{tmp_path} has no picture other.png"
    sample = big()
    assert editor("theirs:edit", no_pipe, EditOptions())(sample, 1).image == sample.source.transpose(0)
    assert editor("nothing", no_pipe, EditOptions())(sample, 1).image == sample.source
    with pytest.raises(AdaptEditError, match="cannot import the editor 'theirs:edits'"):
        editor("theirs:edits", no_pipe, EditOptions())
    with pytest.raises(AdaptEditError, match="unknown editor 'best'; choose nothing, predicted"):
        editor("best", no_pipe, EditOptions())


# -- the shares of the plain editor, of the transfer of detail, of the crop, of the adapter


def test_the_plain_editor_is_told_apart_from_what_is_put_around_it(pipe: AdaptEditPipeline) -> None:
    sample = replace(
        big(), source=big().source.resize((64, 64)), region=Region.from_box((8, 8, 24, 24), (64, 64))
    )
    adapter = pipe.adapter
    assert isinstance(adapter, FakeAdapter)
    without = AdaptEditPipeline(FakeBackbone())
    options = EditOptions()
    images = {}
    for name in ("frozen", "frozen-stitched", "cropped"):
        images[name] = editor(name, lambda: pipe, options)(sample, 1).image
        assert editor(name, lambda: without, options)(sample, 1).image == images[name]
    (plain,) = pipe.backbone.edit(
        [sample.source],
        ["x"],
        [Region.full((64, 64))],
        generators=[torch.Generator().manual_seed(1)],
    )
    assert images["frozen"] == plain.image
    source, cropped = np.asarray(sample.source), np.asarray(images["cropped"])
    assert (source[60:] == cropped[60:]).all() and (source[10:20, 10:20] != cropped[10:20, 10:20]).any()
