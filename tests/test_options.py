"""Every option of an edit and of loading reaches the editor from every door, or its absence has a reason.

A door is given one option at a time, in its own words; what arrives is compared with what was meant.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from adaptedit.data.sample import EditSample
from adaptedit.editing.job import EditJob
from adaptedit.editing.options import EditOptions, LoadOptions
from adaptedit.editing.pipeline import AdaptEditPipeline
from adaptedit.evaluation.editors import editor
from adaptedit.interfaces.cli import edit as edit_command
from adaptedit.interfaces.diffusers import LocalEditing
from adaptedit.interfaces.ui import actions
from adaptedit.interfaces.ui.models import Models
from adaptedit.interfaces.ui.session import Session
from adaptedit.interfaces.ui.settings import Settings
from adaptedit.region import Region
from command import run
from conftest import FakeAdapter, FakeBackbone
from doors import BOX, DOORS, LOADED, MEANT, SIZE
from serving import png, serving
from test_comfyui import NODES, image
from test_ui_canvas import fields as page_fields


class Seen(Exception):
    """Ends an edit once its job is known."""


class Recording(AdaptEditPipeline):
    """Keeps the job of the first edit, and edits nothing."""

    job: EditJob | None = None

    def find_task(self, job: EditJob) -> Any:
        self.job = job
        yield from ()
        return job.options.region or Region.from_box(BOX, job.image.size)

    def edit_task(self, job: EditJob, *_: Any, **__: Any) -> Any:
        self.job = job
        raise Seen


@pytest.fixture
def recording() -> Recording:
    return Recording(FakeBackbone(), FakeAdapter())  # type: ignore[arg-type]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    Image.new("RGB", SIZE).save(tmp_path / "picture.png")
    Region.from_box(BOX, SIZE).save(tmp_path / "mask.png")
    return tmp_path


def by_edit(told: list[str], pipe: Recording, home: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(edit_command, "load_pipeline", lambda options: pipe)
    patch.chdir(home)
    run("edit", "picture.png", "remove it", *told)


def by_batch(told: dict[str, Any], pipe: Recording, home: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setattr("adaptedit.interfaces.batch.editor.load_pipeline", lambda *_: pipe)
    line = {"image": "picture.png", "instruction": "remove it"} | told
    (home / "jobs.jsonl").write_text(json.dumps(line))
    run("batch", home / "jobs.jsonl", "--out", home / "out")


def by_server(told: dict[str, Any], pipe: Recording, home: Path, patch: pytest.MonkeyPatch) -> None:
    picture = png(Image.new("RGB", SIZE))
    erased = Image.new("RGBA", SIZE)
    erased.putalpha(Image.fromarray(255 - np.asarray(Region.from_box(BOX, SIZE).to_image())))
    files = {"image": picture}
    if "mask" in told:
        files, told = files | {"mask": png(erased)}, {}
    if "image" in told:
        files, told = {"image": [picture, picture]}, {}
    with serving(pipe) as served:
        served.post(prompt="remove it", **files, **told)


def by_page(told: dict[str, Any], pipe: Recording, home: Path, patch: pytest.MonkeyPatch) -> None:
    settings = Settings.read(**page_fields(**told))
    session = Session.open(home / "picture.png")
    list(actions.edit(session, Models(load=lambda options: pipe), None, "remove it", settings))


def by_comfyui(told: dict[str, Any], pipe: Recording, home: Path, patch: pytest.MonkeyPatch) -> None:
    values = {"instruction": "remove it", "seed": 0, "steps": 0, "preserve": "exact", "grow": 0.0}
    values |= {"feather": -1.0, "context": 2.0} | told
    with pytest.raises(Seen):
        NODES["AdaptEdit"]().edit(pipe, image(size=SIZE), **values)


def by_python(told: dict[str, Any], pipe: Recording, home: Path, patch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Seen):
        pipe(Image.new("RGB", SIZE), "remove it", **told)


def by_diffusers(told: dict[str, Any], pipe: Recording, home: Path, patch: pytest.MonkeyPatch) -> None:
    door: Any = LocalEditing()
    patch.setattr(door, "_editor", lambda: pipe, raising=False)
    patch.setattr(door, "maybe_free_model_hooks", lambda: None, raising=False)
    with pytest.raises(Seen):
        door(Image.new("RGB", SIZE), "remove it", **told)


TELL: dict[str, Callable[..., None]] = {
    "edit": by_edit,
    "batch": by_batch,
    "server": by_server,
    "page": by_page,
    "ComfyUI": by_comfyui,
    "Python": by_python,
    "diffusers": by_diffusers,
}


def comparable(name: str, value: Any) -> Any:
    if isinstance(value, Region):
        return value.bbox()
    if name == "references":
        return [picture.size for picture in value]
    return list(value) if name in ("include", "exclude") else value


def test_every_option_has_a_row_at_every_door() -> None:
    options = {one.name for one in fields(EditOptions)}
    assert MEANT.keys() == options
    assert {door: rows.keys() for door, rows in DOORS.items()} == dict.fromkeys(DOORS, options)
    assert LOADED.keys() == {one.name for one in fields(LoadOptions)}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("option", MEANT)
def test_an_option_reaches_the_editor_from_each_door(
    option: str, door: str, recording: Recording, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = DOORS[door][option]
    if isinstance(told, str):
        assert len(told.split()) > 3  # a reason
        return
    TELL[door](told, recording, home, monkeypatch)
    assert recording.job is not None
    meant = MEANT[option]
    assert comparable(option, getattr(recording.job.options, option)) == meant
    defaults = EditOptions()
    set_by_the_door = {"seed", "adapter_scale"} | ({"region"} if door == "page" else set())
    for other in MEANT.keys() - {option} - set_by_the_door:
        now, default = getattr(recording.job.options, other), getattr(defaults, other)
        assert comparable(other, now) == comparable(other, default), other


# -- evaluation, which sets the region, the seed and what is preserved itself


def test_an_evaluation_passes_its_options_on(recording: Recording) -> None:
    sample = EditSample("a", "remove it", Image.new("RGB", SIZE), region=Region.from_box(BOX, SIZE))
    options = EditOptions(steps=3, guidance=4.5, negative_prompt="blurry", adapter_scale=0.5, feather=2.5)
    for name in ("given-latent", "predicted", "frozen-stitched", "cropped"):
        recording.adapter.disabled = nullcontext  # type: ignore[assignment,union-attr]
        with pytest.raises(Seen):
            editor(name, lambda: recording, options)(sample, 7)
        assert recording.job
        for option in ("steps", "guidance", "negative_prompt", "adapter_scale", "feather"):
            assert getattr(recording.job.options, option) == MEANT[option]


# -- loading


def test_every_load_option_is_an_input_of_comfyui(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[LoadOptions] = []
    monkeypatch.setattr(AdaptEditPipeline, "load", seen.append)
    node = NODES["AdaptEditLoad"]()
    node.load(**LOADED | {"loras": "\n".join(LOADED["loras"])})
    node.load("tiny", "")
    assert seen == [LoadOptions(**LOADED), LoadOptions()]
    inputs = node.INPUT_TYPES()
    assert LOADED.keys() == inputs["required"].keys() | inputs["optional"].keys()


@pytest.mark.parametrize("command", ["edit", "region", "batch", "serve", "ui", "evaluate"])
def test_every_load_option_is_taken_by_every_command(
    command: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[LoadOptions] = []

    def load(options: LoadOptions, *_: Any) -> Any:
        seen.append(options)
        raise Seen

    for module in ("cli.edit", "cli.region", "cli.serve", "cli.evaluate", "batch.editor"):
        monkeypatch.setattr(f"adaptedit.interfaces.{module}.load_pipeline", load)
    monkeypatch.setattr(Models, "warm", lambda self: load(self.default))
    monkeypatch.setattr("adaptedit.interfaces.serve.server.serve", lambda settings, loads, *_, **__: loads())
    line = {"id": "a", "file_name": "picture.png", "instruction": "remove it", "mask": "mask.png"}
    (home / "metadata.jsonl").write_text(json.dumps(line | {"polarity": "white"}))
    (home / "jobs.jsonl").write_text(json.dumps({"image": "picture.png", "instruction": "remove it"}))
    arguments = {
        "edit": [home / "picture.png", "remove it"],
        "region": [home / "picture.png", "remove it", "-o", home / "found.png"],
        "batch": [home / "jobs.jsonl", "--out", home / "out"],
        "serve": ["--port", 0],
        "ui": [],
        "evaluate": ["folder", "--data", home, "--out", home / "runs", "--metric", "pixels"],
    }[command]
    told: list[str] = []
    for name, value in LOADED.items():
        if name == "loras":
            told += [part for lora in value for part in ("--lora", lora)]
        else:
            told += [f"--{name}", value]
    run(command, *arguments, *told)
    assert seen == [LoadOptions(**LOADED)]
