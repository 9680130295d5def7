"""What people who know diffusers expect of `AdaptEditPipeline`: arguments, results, generators."""

from __future__ import annotations

import copy
import inspect
import pickle
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import tiny_pipelines
from adaptedit import AdaptEditError, AdaptEditPipeline, Region
from adaptedit.adapter.model import AdaptEditAdapter
from adaptedit.backbones.base import PromptStates
from conftest import FakeAdapter, FakeBackbone
from test_diffusers_pipelines import adapter_for, picture, same
from tiny_pipelines import build

EDITORS = ["kontext", "qwen-edit", "qwen-edit-2511", "flux2"]
PROMPT, STEPS = "make the apple red", 2
SIZE = (64, 64)
BOX = (10, 10, 40, 40)
LOCAL: dict[str, Any] = {"region": Region.from_box((0, 0, 60, 90), (120, 90)), "seed": 3, "steps": STEPS}


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_pipelines.shrink(monkeypatch)


def seeded(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def at_working_size(pipe: AdaptEditPipeline) -> Image.Image:
    return picture().resize(pipe.backbone.working_size(picture().size))


# -- real pipelines


@pytest.mark.parametrize("name", EDITORS)
def test_the_whole_picture_without_an_adapter_is_the_plain_pipelines_own(name: str) -> None:
    plain = build(name)
    pipe = AdaptEditPipeline(plain)
    source = at_working_size(pipe)
    own = pipe(
        source, PROMPT, everywhere=True, preserve="soft", generator=seeded(), num_inference_steps=STEPS
    ).images[0]
    arguments = {"image": source, "prompt": PROMPT, "num_inference_steps": STEPS, "generator": seeded()}
    arguments |= dict(pipe.backbone.defaults) | pipe.backbone.editor.sized(source.size)  # type: ignore[attr-defined]
    assert same(own, plain(**arguments).images[0])


@pytest.mark.parametrize("name", EDITORS)
def test_no_adapter_is_a_fresh_adapter(name: str) -> None:
    plain = build(name)
    without = AdaptEditPipeline(plain)(picture(), PROMPT, **LOCAL).images[0]
    fresh = AdaptEditAdapter.for_backbone(plain, "small", backbone_name="mine")
    assert same(without, AdaptEditPipeline(plain, fresh)(picture(), PROMPT, **LOCAL).images[0])


def test_without_an_adapter_a_region_is_asked_for() -> None:
    with pytest.raises(AdaptEditError, match="no adapter.*give a region, or edit everywhere"):
        AdaptEditPipeline(build("kontext"))(picture(), PROMPT)


def test_memory_switches_and_components_are_the_diffusers_pipelines() -> None:
    plain = build("kontext")
    pipe = AdaptEditPipeline(plain)
    pipe.enable_attention_slicing()
    assert pipe.components.keys() == plain.components.keys()
    assert pipe.device == plain.device
    assert pipe.to(torch.bfloat16).backbone.transformer.dtype == torch.bfloat16
    with pytest.raises(AttributeError, match="no attribute 'wings'"):
        pipe.wings  # noqa: B018


def test_the_adapters_strength_is_an_argument() -> None:
    plain = build("kontext")
    pipe = AdaptEditPipeline(plain, adapter_for(plain))
    full, none = (pipe(picture(), PROMPT, adapter_scale=scale, **LOCAL).images[0] for scale in (1.0, 0.0))
    assert same(full, pipe(picture(), PROMPT, **LOCAL).images[0])
    assert pipe.adapter and pipe.adapter.scale == 1.0
    assert not same(full, none)
    with pipe.adapter.disabled():
        assert same(none, pipe(picture(), PROMPT, **LOCAL).images[0])


def test_an_attached_editor_is_not_copied() -> None:
    plain = build("kontext")
    adapter = adapter_for(plain)
    pipe = AdaptEditPipeline(plain, adapter)
    for one in (pipe, adapter, plain.transformer):
        with pytest.raises(AdaptEditError, match="cannot be (copied|pickled)"):
            copy.deepcopy(one)
        with pytest.raises(AdaptEditError, match="cannot be (copied|pickled)|cannot be copied or pickled"):
            pickle.dumps(one)
    adapter.detach()
    copy.deepcopy(adapter), copy.deepcopy(plain.transformer)


def test_a_compiled_transformer_and_a_subclass_are_taken() -> None:
    plain = build("kontext")
    adapter = adapter_for(plain)
    expected = AdaptEditPipeline(plain, adapter)(picture(), PROMPT, **LOCAL).images[0]
    adapter.detach()
    kind = type(plain.transformer)
    plain.transformer.__class__ = type("Mine", (kind,), {})
    assert same(expected, AdaptEditPipeline(plain, adapter)(picture(), PROMPT, **LOCAL).images[0])
    adapter.detach()
    plain.transformer.__class__ = kind
    plain.transformer = torch.compile(plain.transformer, backend="eager")
    assert same(expected, AdaptEditPipeline(plain, adapter)(picture(), PROMPT, **LOCAL).images[0])


def test_nan_is_told_at_its_step() -> None:
    plain = build("kontext")
    pipe = AdaptEditPipeline(plain)
    step, calls = plain.scheduler.step, []

    def broken(output: Any, *arguments: Any, **options: Any) -> Any:
        calls.append(1)
        return step(output * (float("nan") if len(calls) == 2 else 1), *arguments, **options)

    plain.scheduler.step = broken
    with pytest.raises(AdaptEditError, match="step 2 of 4 gave NaN"):
        pipe(picture(), PROMPT, everywhere=True, steps=4)


# -- arguments and results, on a stand-in


@pytest.mark.parametrize("kind", ["Region", "PIL", "path", "bool", "uint8", "float", "tensor"])
def test_a_region_may_be_a_mask_of_any_usual_kind(kind: str, pipe: AdaptEditPipeline, tmp_path: Path) -> None:
    region = Region.from_box(BOX, SIZE)
    mask = region.to_image()
    mask.save(tmp_path / "mask.png")
    given = {
        "Region": region,
        "PIL": mask,
        "path": tmp_path / "mask.png",
        "bool": region.mask > 0.5,
        "uint8": np.asarray(mask),
        "float": region.mask,
        "tensor": torch.from_numpy(region.mask),
    }[kind]
    out = pipe(Image.new("RGB", SIZE), "x", given, seed=1)
    assert (out.regions[0].mask == region.mask).all()


@pytest.mark.parametrize("wrong", [(1, 2, 3, 4), 7, np.zeros((4, 4, 3)), {"box": 1}])
def test_anything_else_is_no_region(wrong: Any, pipe: AdaptEditPipeline) -> None:
    with pytest.raises(AdaptEditError, match="region|give as many of each"):
        pipe(Image.new("RGB", SIZE), "x", wrong)


def test_a_list_of_generators_gives_each_result_its_own(pipe: AdaptEditPipeline) -> None:
    alone = [pipe(Image.new("RGB", SIZE), "x", generator=seeded(n)).images[0] for n in (1, 2)]
    together = pipe([Image.new("RGB", SIZE)] * 2, "x", generator=[seeded(1), seeded(2)])
    assert all(same(a, b) for a, b in zip(alone, together.images, strict=True))
    assert together.seeds == [1, 2]
    assert same(alone[0], pipe(Image.new("RGB", SIZE), "x", seed=1).images[0])
    with pytest.raises(AdaptEditError, match="2 generators for 3 results"):
        pipe(Image.new("RGB", SIZE), "x", generator=[seeded(1), seeded(2)], candidates=3)
    with pytest.raises(AdaptEditError, match="exclude each other"):
        pipe(Image.new("RGB", SIZE), "x", generator=seeded(), seed=1)


def test_results_as_arrays_and_tuples(pipe: AdaptEditPipeline) -> None:
    images = [Image.new("RGB", SIZE)] * 2
    pil, regions, seeds = pipe(images, "x", seed=1, return_dict=False)
    arrays = pipe(images, "x", seed=1, output_type="np").images
    tensors = pipe(images, "x", seed=1, output_type="pt").images
    assert arrays.shape == (2, 64, 64, 3) and arrays.dtype == np.float32 and len(regions) == len(seeds) == 2
    assert (np.round(arrays[0] * 255) == np.asarray(pil[0])).all()
    assert tensors.shape == (2, 3, 64, 64) and (tensors[0].permute(1, 2, 0).numpy() == arrays[0]).all()
    with pytest.raises(AdaptEditError, match="output_type='latent' is not known"):
        pipe(images, "x", output_type="latent")


def test_two_threads_may_share_a_pipeline() -> None:
    class Alone(FakeBackbone):
        inside = 0

        def edit(self, *arguments: Any, **options: Any) -> Any:
            self.inside += 1
            assert self.inside == 1
            try:
                return super().edit(*arguments, **options)
            finally:
                self.inside -= 1

    pipe = AdaptEditPipeline(Alone(), FakeAdapter())  # type: ignore[arg-type]
    results: list[Any] = []
    threads = [
        threading.Thread(target=lambda n=n: results.append(pipe(Image.new("RGB", SIZE), "x", seed=n)))
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(out.seeds[0] for out in results) == [0, 1, 2, 3]


def test_a_predictor_that_gives_nan_says_so() -> None:
    class Broken(FakeAdapter):
        def predict_region(self, states: PromptStates, guide: torch.Tensor) -> torch.Tensor:
            return super().predict_region(states, guide) * float("nan")

    pipe = AdaptEditPipeline(FakeBackbone(), Broken())  # type: ignore[arg-type]
    with pytest.raises(AdaptEditError, match="mask predictor gives NaN"):
        pipe(Image.new("RGB", SIZE), "x")


@pytest.mark.parametrize(
    ("name", "distilled", "steps", "guidance"),
    [("kontext", False, 28, 2.5), ("flux2", True, 4, 1.0), ("flux2", False, 50, 4.0)],
)
def test_an_edit_without_options_takes_what_the_model_card_says(
    name: str, distilled: bool, steps: int, guidance: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = build(name)
    if name == "flux2":
        plain.register_to_config(is_distilled=distilled)
    seen: list[Any] = []
    call = type(plain).__call__

    def noted(self: Any, *arguments: Any, **options: Any) -> Any:
        bound = inspect.signature(call).bind(self, *arguments, **options)
        bound.apply_defaults()
        seen.append((bound.arguments["num_inference_steps"], bound.arguments["guidance_scale"]))
        return call(self, *arguments, **options | {"num_inference_steps": 1})

    noted.__signature__ = inspect.signature(call)  # type: ignore[attr-defined]
    monkeypatch.setattr(type(plain), "__call__", noted)
    AdaptEditPipeline(plain)(picture(), PROMPT, everywhere=True)
    assert seen == [(steps, guidance)]


def test_a_subclass_of_a_pipeline_edits_as_its_base() -> None:
    for name in ("kontext", "qwen-edit"):
        plain = build(name)
        expected = AdaptEditPipeline(plain)(picture(), PROMPT, **LOCAL).images[0]
        plain.__class__ = type("Mine", (type(plain),), {})
        assert same(expected, AdaptEditPipeline(plain)(picture(), PROMPT, **LOCAL).images[0])


def test_pipelines_around_one_editor_take_turns() -> None:
    plain = build("kontext")
    expected = AdaptEditPipeline(plain)(picture(), PROMPT, **LOCAL).images[0]
    results: list[Any] = []

    def edit() -> None:
        results.append(AdaptEditPipeline(plain)(picture(), PROMPT, **LOCAL).images[0])

    threads = [threading.Thread(target=edit) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 3 and all(same(expected, one) for one in results)


def test_an_adapter_of_another_editor_is_refused() -> None:
    first, second = build("kontext"), build("kontext")
    adapter = adapter_for(first).attach(first)
    with pytest.raises(AdaptEditError, match="attached to another editor"):
        AdaptEditPipeline(second, adapter)


def test_an_adapter_may_be_a_folder(tmp_path: Path) -> None:
    plain = build("kontext")
    adapter = adapter_for(plain)
    adapter.save_pretrained(tmp_path)
    expected = AdaptEditPipeline(plain, adapter)(picture(), PROMPT, **LOCAL).images[0]
    adapter.detach()
    assert same(expected, AdaptEditPipeline(plain, tmp_path)(picture(), PROMPT, **LOCAL).images[0])


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("kontext", {"negative_prompt": "blurry"}, "ignores a negative prompt while its true_cfg_scale is 1"),
        ("qwen-edit", {"negative_prompt": "blurry", "guidance": 1.0}, "ignores a negative prompt"),
        ("kontext", {"adapter_scale": 0.5}, "there is no adapter, so its scale changes nothing"),
    ],
)
def test_what_would_change_nothing_is_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(AdaptEditError, match=message):
        AdaptEditPipeline(build(name))(picture(), PROMPT, **LOCAL, **options)


def test_guidance_of_a_distilled_editor_is_refused() -> None:
    plain = build("flux2")
    plain.register_to_config(is_distilled=True)
    with pytest.raises(AdaptEditError, match="is distilled and ignores guidance"):
        AdaptEditPipeline(plain)(picture(), PROMPT, guidance=4.0, **LOCAL)


def test_a_used_generator_has_no_seed_that_gives_its_picture_again(pipe: AdaptEditPipeline) -> None:
    generator = seeded(3)
    image = Image.new("RGB", SIZE)
    assert [pipe(image, "x", generator=generator).seeds for _ in range(2)] == [[3], [None]]


@pytest.mark.parametrize(
    "wrong",
    [
        {"generator": 3},
        {"generator": [3]},
        {"seed": 1.5},
        {"seed": "3"},
        {"seed": True},
        {"steps": 2.5},
        {"guidance": "a"},
        {"adapter_scale": "a"},
        {"num_images_per_prompt": 1.5},
        {"prompt": None},
        {"prompt": 3},
        {"prompt": ["x", 3]},
        {"region": (10, 10, 60, 70)},
    ],
)
def test_a_wrong_argument_is_one_line(wrong: dict[str, Any], pipe: AdaptEditPipeline) -> None:
    with pytest.raises(AdaptEditError) as error:
        pipe(**{"image": Image.new("RGB", SIZE), "prompt": "x"} | wrong)
    assert "\n" not in str(error.value)


def test_one_reference_may_stand_alone(pipe: AdaptEditPipeline) -> None:
    pipe(Image.new("RGB", SIZE), "x", references=Image.new("RGB", SIZE))
    pipe(Image.new("RGB", SIZE), "x", references=None)
