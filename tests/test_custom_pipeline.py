"""diffusers' own door: tiny random pipelines, loaded with `custom_pipeline=`, called as diffusers calls."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from diffusers.modular_pipelines import QwenImageEditAutoBlocks
from PIL import Image

import tiny_pipelines
from adaptedit.adapter.model import AdaptEditAdapter
from adaptedit.editing.pipeline import AdaptEditPipeline
from adaptedit.errors import AdaptEditError, GlobalEdit, RegionNotFound
from adaptedit.region import Region
from test_diffusers_pipelines import adapter_for, picture, same, seed
from tiny_pipelines import AREA, build

FILES = Path(__file__).parents[1] / "integrations" / "diffusers"
FAMILIES = [
    ("kontext", "flux_kontext.py"),
    ("qwen-edit", "qwen_image_edit.py"),
    ("qwen-edit-2511", "qwen_image_edit_plus.py"),
]
PROMPT, STEPS = "make the apple red", 2
LEFT = Region.from_box((0, 0, 60, 90), (120, 90))


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_pipelines.shrink(monkeypatch)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A folder with a pipeline and its adapter, by name."""

    @cache
    def save(name: str) -> Path:
        folder = tmp_path_factory.mktemp(name)
        original = build(name)
        original.save_pretrained(folder / "pipe")
        adapter_for(original).save_pretrained(folder / "adapter")
        return folder

    return save


def load(folder: Path, file: str) -> Any:
    loaded = diffusers.DiffusionPipeline.from_pretrained(
        folder / "pipe", custom_pipeline=str(FILES / file), dtype=torch.float32, trust_remote_code=True
    )
    loaded.set_progress_bar_config(disable=True)
    loaded.load_adaptedit(folder / "adapter")
    return loaded


@pytest.fixture(scope="module")
def pipe(saved: Callable[[str], Path]) -> Any:
    return load(saved("kontext"), "flux_kontext.py")


def white(region: Region) -> Image.Image:
    return Image.fromarray((region.mask * 255).astype(np.uint8))


@pytest.mark.parametrize(("name", "file"), FAMILIES)
def test_it_is_the_same_edit_as_through_the_pipeline(
    saved: Callable[[str], Path], name: str, file: str
) -> None:
    folder = saved(name)
    edit = AdaptEditPipeline.from_pretrained(folder / "pipe", folder / "adapter", torch_dtype=torch.float32)
    expected = edit(picture(), PROMPT, LEFT, num_inference_steps=STEPS, generator=seed())

    out = load(folder, file)(
        picture(), PROMPT, mask_image=white(LEFT), num_inference_steps=STEPS, generator=seed()
    )

    assert same(out.images[0], expected.images[0])
    assert not same(out.images[0], picture())
    outside = np.s_[:, 90:]
    assert (np.asarray(out.images[0])[outside] == np.asarray(picture())[outside]).all()


def test_output_types_and_return_dict(pipe: Any) -> None:
    def run(**how: Any) -> Any:
        return pipe(picture(), PROMPT, white(LEFT), num_inference_steps=1, generator=seed(), **how)

    levels = np.asarray(run().images[0])
    array, tensor = run(output_type="np").images, run(output_type="pt", return_dict=False)[0]

    assert array.shape == (1, 90, 120, 3) and tensor.shape == (1, 3, 90, 120)
    assert (np.round(array[0] * 255) == levels).all()
    assert (tensor[0].permute(1, 2, 0).numpy() == array[0]).all()
    with pytest.raises(AdaptEditError, match="output_type='latent' is not known"):
        run(output_type="latent")


def test_the_callback_sees_every_step(pipe: Any) -> None:
    seen: list[int] = []

    def callback(pipe: Any, step: int, timestep: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
        seen.append(step)
        assert kwargs["latents"].ndim == 3
        return kwargs

    pipe(picture(), PROMPT, white(LEFT), num_inference_steps=3, callback_on_step_end=callback)

    assert seen == [0, 1, 2]


def test_several_pictures_and_candidates(pipe: Any) -> None:
    other = picture().transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    masks = [white(LEFT), white(LEFT)]

    out = pipe([picture(), other], [PROMPT] * 2, masks, num_inference_steps=1, num_images_per_prompt=2)

    assert [image.size for image in out.images] == [(120, 90)] * 4
    assert not same(out.images[0], out.images[1]) and not same(out.images[0], out.images[2])
    with pytest.raises(AdaptEditError, match="2 pictures, 2 prompts and 3 regions"):
        pipe([picture(), other], PROMPT, [white(LEFT)] * 3)


@pytest.mark.parametrize(("probability", "refused"), [(0.9, GlobalEdit), (0.1, RegionNotFound)])
def test_without_a_mask_the_region_is_found_or_refused(
    pipe: Any, monkeypatch: pytest.MonkeyPatch, probability: float, refused: type[AdaptEditError]
) -> None:
    everywhere = torch.full((1, 96, 96), probability)
    monkeypatch.setattr(AdaptEditAdapter, "predict_region", lambda self, states, guide: everywhere)
    with pytest.raises(refused):
        pipe(picture(), PROMPT, num_inference_steps=1)
    with pytest.raises(refused):
        pipe.predict_region(picture(), PROMPT)


def test_a_predicted_mask_can_be_given_back(pipe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    probability = torch.zeros(1, 96, 96)
    probability[:, :, :40] = 1.0
    monkeypatch.setattr(AdaptEditAdapter, "predict_region", lambda self, states, guide: probability)

    mask = pipe.predict_region(picture(), PROMPT)
    found = pipe(picture(), PROMPT, num_inference_steps=1, generator=seed())
    given = pipe(picture(), PROMPT, mask, num_inference_steps=1, generator=seed())

    assert mask.mode == "L" and mask.size == (120, 90) and mask.getpixel((5, 5)) == 255
    assert np.abs(found.regions[0].mask - given.regions[0].mask).max() <= 0.5 / 255 + 1e-6
    assert not same(given.images[0], picture())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mask_image": Image.new("L", (60, 90), 255)}, "the mask is 60x90 pixels and the picture 120x90"),
        ({"mask_image": Image.new("L", (120, 90), 0)}, "the region is empty"),
        ({"mask_image": Image.new("L", (120, 90), 255), "strength": 0.8}, "has no option strength"),
        ({"mask_image": Image.new("L", (120, 90), 255), "preserve": "all"}, "preserve='all' is not known"),
    ],
)
def test_bad_input_is_refused(pipe: Any, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(AdaptEditError, match=message):
        pipe(picture(), PROMPT, **arguments)


def test_an_exchanged_scheduler_is_used(pipe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = {"mask_image": white(LEFT), "num_inference_steps": 2}
    before = pipe(picture(), PROMPT, generator=seed(), **arguments).images[0]
    changed = pipe.scheduler.from_config(pipe.scheduler.config, base_shift=3.0, max_shift=3.0)
    monkeypatch.setattr(pipe, "scheduler", changed)
    assert not same(before, pipe(picture(), PROMPT, generator=seed(), **arguments).images[0])


def test_unloading_gives_the_pipeline_back(saved: Callable[[str], Path]) -> None:
    pipe = load(saved("kontext"), "flux_kontext.py")
    hooks = pipe.transformer._forward_pre_hooks
    assert hooks
    with pytest.raises(AdaptEditError, match="another adapter is attached"):
        pipe.load_adaptedit(adapter_for(pipe))
    pipe.unload_adaptedit()
    assert not hooks
    with pytest.raises(AdaptEditError, match="this editor has no adapter"):
        pipe(picture(), PROMPT)


def test_a_modular_pipeline_edits_in_a_region_too(monkeypatch: pytest.MonkeyPatch) -> None:
    encoders = import_module("diffusers.modular_pipelines.qwenimage.encoders")
    rule = encoders.calculate_dimensions
    monkeypatch.setattr(encoders, "calculate_dimensions", lambda area, ratio: rule(AREA, ratio))
    classic = build("qwen-edit")
    modular = QwenImageEditAutoBlocks().init_pipeline()
    parts = {name: part for name, part in classic.components.items() if name in modular.components}
    modular.update_components(**parts)

    def run() -> Image.Image:
        return modular(
            image=picture((96, 96)), prompt=PROMPT, num_inference_steps=1, generator=seed(), output="images"
        )[0]

    plain = run()
    adapter = adapter_for(modular).attach(modular)
    attached = run()
    with adapter.region(Region.from_box((0, 0, 48, 96), (96, 96))):
        local = run()

    assert plain.size == (96, 96) and same(attached, plain)
    assert not same(local, plain)
