"""A real editor without an adapter, at every door: what a fresh adapter gives, bit for bit.

Tiny random pipelines of the real classes, saved to a folder and loaded by name as users load them.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import tiny_pipelines
from adaptedit import AdaptEditPipeline, Region
from adaptedit.adapter.model import AdaptEditAdapter
from adaptedit.editing.options import EditOptions, LoadOptions
from adaptedit.interfaces.loading import load_pipeline
from adaptedit.interfaces.ui import actions
from adaptedit.interfaces.ui.models import Models
from adaptedit.interfaces.ui.session import Session
from adaptedit.interfaces.ui.settings import Settings
from command import check, run
from serving import png, serving
from test_diffusers_pipelines import picture, same
from tiny_pipelines import build

EDITORS = ["kontext", "qwen-edit", "qwen-edit-2511", "flux2"]
REGION = Region.from_box((10, 10, 60, 70), (120, 90))
OPTIONS: dict[str, Any] = {"seed": 3, "steps": 2}
FLAGS = ("--seed", 3, "--steps", 2, "--dtype", "float32")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_pipelines.shrink(monkeypatch)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    @cache
    def save(name: str) -> Path:
        folder = tmp_path_factory.mktemp(name)
        build(name).save_pretrained(folder / "editor")
        picture().save(folder / "picture.png")
        REGION.save(folder / "mask.png")
        return folder

    return save


def fresh(name: str) -> AdaptEditPipeline:
    pipe = build(name)
    return AdaptEditPipeline(pipe, AdaptEditAdapter.for_backbone(pipe, "small", backbone_name="mine"))


def opened(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.copy()


@pytest.mark.parametrize("name", EDITORS)
def test_the_command_line(name: str, saved: Callable[[str], Path], tmp_path: Path) -> None:
    home, pipe = saved(name), fresh(name)
    backbone = ("--backbone", home / "editor", *FLAGS)
    for where, region in ((("--region", home / "mask.png"), REGION), (("--everywhere",), None)):
        out = tmp_path / "out.png"
        done = run("edit", home / "picture.png", "make it red", *where, *backbone, "-o", out, "--overwrite")
        assert done.exit_code == 0, done.output
        expected = pipe(picture(), "make it red", region, everywhere=region is None, **OPTIONS).images[0]
        assert same(opened(out), expected)
    load = backbone[:2]
    for command, advice in (
        (("edit",), "give --region MASK or --everywhere"),
        (("region", "-o", tmp_path / "mask.png"), "give --adapter, or draw the mask yourself"),
    ):
        asked = run(command[0], home / "picture.png", "make it red", *command[1:], *load)
        check(asked, f"no adapter, so it does not find the place by itself; {advice}")


@pytest.mark.parametrize("name", ["kontext", "qwen-edit-2511"])
def test_the_other_doors(name: str, saved: Callable[[str], Path], tmp_path: Path) -> None:
    home, options = saved(name), LoadOptions(backbone=str(saved(name) / "editor"), dtype="float32")
    expected = fresh(name)(picture(), "make it red", REGION, **OPTIONS).images[0]

    line = {"image": "picture.png", "instruction": "make it red", "region": "mask.png", **OPTIONS}
    jobs = home / "jobs.jsonl"
    jobs.write_text(json.dumps(line))
    batch = run("batch", jobs, "--out", tmp_path / "b", "--backbone", options.backbone, "--dtype", "float32")
    assert batch.exit_code == 0, batch.output
    assert same(opened(tmp_path / "b" / "picture.png"), expected)

    pipe = load_pipeline(options)
    erased = Image.new("RGBA", picture().size)
    erased.putalpha(Image.fromarray(255 - np.asarray(REGION.to_image())))
    with serving(pipe) as served:
        answer = served.post(image=png(picture()), mask=png(erased), prompt="make it red", **OPTIONS)
        assert answer.status_code == 200, answer.text
        data = base64.b64decode(answer.json()["data"][0]["b64_json"])
        refused = served.post(image=png(picture()), prompt="make it red")
    assert same(Image.open(io.BytesIO(data)).convert("RGB"), expected)
    assert refused.status_code == 400 and refused.json()["error"]["code"] == "region_required"

    session = Session.open(home / "picture.png").marked(REGION)
    settings = Settings(EditOptions(**OPTIONS))
    view = list(actions.edit(session, Models(load=lambda _: pipe), None, "make it red", settings))[-1]
    assert view.session and view.session.edit
    assert same(view.session.edit.after.rgb, expected)


def test_an_evaluation(saved: Callable[[str], Path], tmp_path: Path) -> None:
    home = saved("kontext")
    line = {"source": "picture.png", "instruction": "make it red", "mask": "mask.png", "polarity": "white"}
    (home / "metadata.jsonl").write_text(json.dumps(line))
    editors = [part for name in ("frozen", "frozen-stitched", "cropped") for part in ("--editor", name)]
    data = ("folder", "--data", home, "--out", tmp_path, "--metric", "pixels")
    load = ("--backbone", home / "editor", "--dtype", "float32", "--steps", 2)
    done = run("evaluate", *data, *editors, *load)
    assert done.exit_code == 0, done.output
    torch.set_num_threads(1)
    for name in ("frozen", "frozen-stitched", "cropped"):
        assert json.loads((tmp_path / name / "edits.jsonl").read_text())["failure"] is None
