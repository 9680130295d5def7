"""The ComfyUI nodes: their contract without ComfyUI, and in a real one if $COMFYUI has its path."""

from __future__ import annotations

import importlib.util
import inspect
import json
import os
import subprocess
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from adaptedit.editing.pipeline import AdaptEditPipeline
from adaptedit.errors import AdaptEditError, RegionNotFound
from adaptedit.region import Region
from conftest import FakeAdapter, FakeBackbone

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "integrations" / "comfyui"
WORKFLOWS = sorted(path.stem for path in (PACKAGE / "example_workflows").glob("*.json"))


def _load() -> ModuleType:
    """As ComfyUI's loader does."""
    spec = importlib.util.spec_from_file_location(
        "comfyui_adaptedit", PACKAGE / "__init__.py", submodule_search_locations=[str(PACKAGE)]
    )
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


NODES: dict[str, Any] = _load().NODE_CLASS_MAPPINGS


def image(batch: int = 1, size: tuple[int, int] = (96, 80), channels: int = 3) -> Tensor:
    """Not of 8 bits, and a little beyond [0, 1], as an upscaler leaves it."""
    generator = torch.Generator().manual_seed(0)
    return torch.rand(batch, size[1], size[0], channels, generator=generator) * 1.02 - 0.01


def mask(size: tuple[int, int] = (96, 80), box: tuple[int, int, int, int] = (30, 20, 60, 50)) -> Tensor:
    return torch.from_numpy(Region.from_box(box, size).mask.copy())[None]


def edit(pipe: AdaptEditPipeline, picture: Tensor, where: Tensor | None = None, **more: Any) -> Any:
    values = {"instruction": "remove the apple", "seed": 1, "steps": 0, "preserve": "exact", "grow": 0.0}
    values |= {"feather": 4.0, "context": 2.0} | more
    return NODES["AdaptEdit"]().edit(pipe, picture, mask=where, **values)


# -- what ComfyUI reads of a node


@pytest.mark.parametrize("name", NODES)
def test_a_nodes_inputs_are_its_functions_arguments(name: str) -> None:
    node = NODES[name]
    inputs = node.INPUT_TYPES()
    required, optional = inputs["required"], inputs.get("optional", {})
    arguments = inspect.signature(getattr(node, node.FUNCTION)).parameters
    assert [*required, *optional] and set(arguments) == {"self", *required, *optional}
    assert {k for k, v in arguments.items() if v.default is not inspect.Parameter.empty} == set(optional)
    assert len(node.RETURN_TYPES) == len(node.RETURN_NAMES) == len(node.OUTPUT_TOOLTIPS)
    assert node.CATEGORY == "AdaptEdit" and node.DESCRIPTION
    for _, options in (required | optional).values():
        assert options["tooltip"]
        if "min" in options:
            assert options["min"] <= options["default"] <= options["max"]


def test_every_node_has_a_name_to_show() -> None:
    module = sys.modules["comfyui_adaptedit"]
    assert module.NODE_DISPLAY_NAME_MAPPINGS.keys() == NODES.keys()


# -- the edit


def test_not_a_bit_changes_outside_the_region(pipe: AdaptEditPipeline) -> None:
    source = image(batch=2)
    edited, where = edit(pipe, source, mask())

    assert edited.shape == source.shape and edited.dtype == torch.float32
    assert where.shape == (2, 80, 96) and torch.equal(where, mask().expand(2, -1, -1))
    outside = torch.nn.functional.max_pool2d(mask(), 2 * 11 + 1, 1, 11)[0] == 0  # 2 * feather + 3
    assert torch.equal(edited[:, outside], source[:, outside])
    changed = (edited != source).any(-1)
    assert changed[:, 25:45, 35:55].float().mean() > 0.9
    assert edited[changed].min() >= 0 and edited[changed].max() <= 1


def test_a_picture_of_8_bits_comes_out_as_through_every_other_door(pipe: AdaptEditPipeline) -> None:
    levels = (image()[0].clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    as_load_image_has_it = torch.from_numpy(levels.astype(np.float32) / 255.0)[None]
    region = Region.from_array(mask()[0].numpy())
    expected = pipe(Image.fromarray(levels), "remove the apple", region, seed=1, feather=4.0).images[0]

    edited, _ = edit(pipe, as_load_image_has_it, mask())

    as_save_image_writes_it = np.clip(255.0 * edited[0].numpy(), 0, 255).astype(np.uint8)
    assert (as_save_image_writes_it == np.asarray(expected)).all()


def test_alpha_stays(pipe: AdaptEditPipeline) -> None:
    source = image(channels=4)
    edited, _ = edit(pipe, source, mask())
    assert torch.equal(edited[..., 3], source[..., 3])
    assert not torch.equal(edited[..., :3], source[..., :3])


def test_without_a_mask_the_region_is_found_and_shown(pipe: AdaptEditPipeline) -> None:
    found = NODES["AdaptEditPredictRegion"]().predict(pipe, image(2), "remove the apple", 0.5, 0.0)[0]
    _, where = edit(pipe, image(2))
    assert found.shape == (2, 80, 96) and found.dtype == torch.float32
    assert found[:, 30, 36].min() > 0.9 and found[:, 70, 80].max() == 0  # an upper left quarter
    assert torch.equal(where, found)


def test_each_picture_has_its_own_mask(pipe: AdaptEditPipeline) -> None:
    masks = torch.cat([mask(), mask(box=(10, 50, 40, 75))])
    edited, where = edit(pipe, image(2), masks)
    changed = (edited != image(2)).any(-1)
    assert torch.equal(where, masks)
    assert changed[0, 30, 45] and not changed[0, 72, 15] and changed[1, 65, 25] and not changed[1, 22, 50]


def test_grow_and_steps_are_obeyed(pipe: AdaptEditPipeline) -> None:
    _, where = edit(pipe, image(), mask(), grow=5.0)
    assert torch.equal(where[0], torch.tensor(Region.from_array(mask()[0].numpy()).dilate(5).mask))
    assert not torch.equal(edit(pipe, image(), mask(), steps=1)[0], edit(pipe, image(), mask(), steps=9)[0])


EMPTY = torch.zeros(1, 64, 64)


@pytest.mark.parametrize(
    ("picture", "where", "more", "message"),
    [
        (image(), mask(size=(48, 40), box=(5, 5, 9, 9)), {}, "region is 48x40 pixels and the picture 96x80"),
        (image(), EMPTY, {}, "the empty one that Load Image gives"),
        (image(), torch.zeros(1, 80, 96), {}, "the region is empty"),
        (image(2), mask().expand(3, -1, -1), {}, "3 masks for 2 pictures"),
        (image(), mask()[..., None], {}, r"a MASK is \(B, H, W\), got \(1, 80, 96, 1\)"),
        (image(), mask() * 255, {}, "mask values must be finite and in"),
        (image()[0], mask(), {}, r"an IMAGE is \(B, H, W, 3 or 4\)"),
        (image() * torch.nan, mask(), {}, "NaN or infinite"),
        (image(), mask(), {"instruction": " "}, "the instruction is empty"),
        (image(), mask(), {"preserve": "all"}, "preserve='all' is not known"),
    ],
)
def test_bad_input_is_refused_in_a_line(
    pipe: AdaptEditPipeline, picture: Tensor, where: Tensor, more: dict[str, Any], message: str
) -> None:
    with pytest.raises(AdaptEditError, match=message):
        edit(pipe, picture, where, **more)


def test_nothing_found_is_said() -> None:
    pipe = AdaptEditPipeline(FakeBackbone(), FakeAdapter(certainty=0.2))  # type: ignore[arg-type]
    with pytest.raises(RegionNotFound):
        edit(pipe, image())


def test_the_default_editor_loads_and_edits() -> None:
    editor = NODES["AdaptEditLoad"]().load("tiny", "")[0]
    desk = np.asarray(Image.open(ROOT / "examples" / "desk.png").convert("RGB"), np.float32) / 255
    edited, where = edit(editor, torch.from_numpy(desk)[None], feather=-1.0)
    assert where[0, 200, 85] > 0.9 and where[0, 100, 250] < 0.1  # the apple, the laptop
    assert not torch.equal(edited[0, 200, 85], torch.from_numpy(desk)[200, 85])


def test_progress_and_cancel(pipe: AdaptEditPipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    moved: list[tuple[int, int]] = []

    class ProgressBar:
        def __init__(self, total: int) -> None:
            self.total = total

        def update_absolute(self, value: int) -> None:
            moved.append((value, self.total))

    class Cancelled(Exception):
        pass

    def cancel_in_the_second() -> None:
        if len(moved) == 4:
            raise Cancelled

    modules = {name: ModuleType(name) for name in ("comfy", "comfy.utils", "comfy.model_management")}
    modules["comfy"].__spec__ = ModuleSpec("comfy", None)
    modules["comfy.utils"].ProgressBar = ProgressBar  # type: ignore[attr-defined]
    modules["comfy.model_management"].throw_exception_if_processing_interrupted = cancel_in_the_second  # type: ignore[attr-defined]
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    with pytest.raises(Cancelled):
        edit(pipe, image(2), mask(), steps=3)
    assert moved == [(1, 6), (2, 6), (3, 6), (4, 6)]


# -- the example workflows


def api(name: str) -> dict[str, Any]:
    return json.loads((PACKAGE / "example_workflows" / "api" / f"{name}.json").read_text())  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_gives_our_nodes_what_they_take(name: str) -> None:
    prompt = api(name)
    ours = {key: node for key, node in prompt.items() if node["class_type"] in NODES}
    assert ours
    for node in ours.values():
        inputs = NODES[node["class_type"]].INPUT_TYPES()
        required, known = inputs["required"], inputs["required"] | inputs.get("optional", {})
        assert required.keys() <= node["inputs"].keys() <= known.keys()
        for key, value in node["inputs"].items():
            kind, options = known[key]
            if isinstance(value, list):
                origin = prompt[value[0]]["class_type"]
                assert origin not in NODES or NODES[origin].RETURN_TYPES[value[1]] == kind
            elif isinstance(kind, list):
                assert value in kind
            elif kind in ("INT", "FLOAT"):
                assert options["min"] <= value <= options["max"]
            else:
                assert kind == "STRING" and isinstance(value, str)


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_is_the_same_in_both_formats(name: str) -> None:
    graph = json.loads((PACKAGE / "example_workflows" / f"{name}.json").read_text())
    prompt = api(name)
    assert {str(node["id"]): node["type"] for node in graph["nodes"]} == {
        key: node["class_type"] for key, node in prompt.items()
    }
    slots = {node["id"]: [slot["name"] for slot in node["inputs"]] for node in graph["nodes"]}
    drawn = {(str(to), slots[to][slot], str(of), out) for _, of, out, to, slot, _ in graph["links"]}
    wired = {
        (key, field, *value)
        for key, node in prompt.items()
        for field, value in node["inputs"].items()
        if isinstance(value, list)
    }
    assert drawn == wired


# -- in a real ComfyUI

real = pytest.mark.skipif("COMFYUI" not in os.environ, reason="COMFYUI, the path of a ComfyUI, is not set")


def comfyui(*arguments: str | Path) -> dict[str, Any]:
    script = Path(__file__).with_name("comfyui_host.py")
    done = subprocess.run(
        [sys.executable, script, os.environ["COMFYUI"], *arguments], capture_output=True, text=True
    )
    answers = [line for line in done.stdout.splitlines() if line.startswith("ANSWER ")]
    assert done.returncode == 0 and answers, done.stderr[-4000:]
    return json.loads(answers[-1].removeprefix("ANSWER "))  # type: ignore[no-any-return]


@real
def test_the_example_runs(tmp_path: Path) -> None:
    desk = Image.open(ROOT / "examples" / "desk.png")
    desk.save(tmp_path / "desk.png")
    answer = comfyui("workflow", PACKAGE / "example_workflows" / "api" / "edit.json", tmp_path, tmp_path)
    assert answer["valid"] and answer["success"], answer
    edited = Image.open(tmp_path / "adaptedit_00001_.png")
    expected = AdaptEditPipeline.from_pretrained("tiny")(desk, "remove the apple", seed=1).images[0]
    assert (np.asarray(edited) == np.asarray(expected.convert("RGB"))).all()  # type: ignore[union-attr]


@real
def test_the_workflow_for_other_models_lacks_only_their_files(tmp_path: Path) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "desk.png")
    answer = comfyui(
        "workflow", PACKAGE / "example_workflows" / "api" / "qwen_image_edit.json", tmp_path, tmp_path
    )
    problems = {
        (error["type"], error["extra_info"]["input_name"])
        for node in answer["node_errors"].values()
        for error in node["errors"]
    }
    assert problems == {("value_not_in_list", name) for name in ("unet_name", "clip_name", "vae_name")}


@real
def test_a_users_mistake_is_one_line_on_the_node(tmp_path: Path) -> None:
    prompt = api("edit")
    prompt["4"]["inputs"]["mask"] = ["2", 1]  # Load Image's empty mask
    (tmp_path / "wrong.json").write_text(json.dumps(prompt))
    Image.open(ROOT / "examples" / "desk.png").convert("RGB").save(tmp_path / "desk.png")
    answer = comfyui("workflow", tmp_path / "wrong.json", tmp_path, tmp_path)
    (error,) = answer["errors"]
    assert error["node_id"] == "4" and "the empty one that Load Image gives" in error["exception_message"]
