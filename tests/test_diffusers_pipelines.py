"""AdaptEdit around the real pipeline classes of diffusers, with tiny random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import tiny_pipelines
from adaptedit.adapter.model import AdaptEditAdapter
from adaptedit.backbones.diffusers import DiffusersBackbone
from adaptedit.editing.pipeline import AdaptEditPipeline
from adaptedit.errors import AdaptEditError
from adaptedit.region import Region
from tiny_pipelines import build

PROMPT = "make the apple red"
STEPS = 2
SEVERAL = ("qwen-edit-2511", "flux2")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_pipelines.shrink(monkeypatch)


@pytest.fixture(params=tiny_pipelines.PIPELINES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def adapter_for(pipe: Any, *, awake: bool = True) -> AdaptEditAdapter:
    """Its predictor finds about half of the picture, in many pieces."""
    torch.manual_seed(2)
    adapter = AdaptEditAdapter.for_backbone(pipe, "small", backbone_name="random")
    torch.nn.init.zeros_(adapter.mask_predictor.head.logit.bias)
    weight = adapter.mask_predictor.head.logit.weight  # SiLU features lean one way; opposite signs balance
    weight.data[:] = 20 * (-1.0) ** torch.arange(weight.shape[1])[None, :, None, None]
    if awake:
        for block in adapter.blocks:
            torch.nn.init.normal_(block.ffn[-1].weight, std=0.5)
    return adapter


def save_with_fresh_adapter(root: Path, name: str) -> Any:
    """The pipeline, in root/NAME; its fresh adapter is in root/NAME-fresh."""
    pipe = build(name)
    pipe.save_pretrained(root / name)
    adapter_for(pipe, awake=False).save_pretrained(root / f"{name}-fresh")
    return pipe


def editor(name: str, *, awake: bool = True) -> AdaptEditPipeline:
    pipe = build(name)
    return AdaptEditPipeline(pipe, adapter_for(pipe, awake=awake))


def picture(size: tuple[int, int] = (120, 90)) -> Image.Image:
    generator = np.random.default_rng(0)
    return Image.fromarray(generator.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))


def seed(value: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(value)


def at_work(edit: AdaptEditPipeline) -> tuple[Image.Image, Region]:
    """A picture at working size, and the region of its left half."""
    size = edit.backbone.working_size((120, 90))
    return picture(size), Region.from_box((0, 0, size[0] // 2, size[1]), size)


def same(one: Image.Image, other: Image.Image) -> bool:
    return one.size == other.size and bool((np.asarray(one) == np.asarray(other)).all())


@pytest.mark.feature("diffusers pipeline: same picture")
def test_a_fresh_adapter_gives_the_pipelines_own_picture(name: str) -> None:
    edit = editor(name, awake=False)
    image, region = at_work(edit)
    with edit.adapter.region(region), torch.no_grad():
        (ours,) = edit.backbone.edit(
            [image], [PROMPT], [region], num_inference_steps=STEPS, generators=[seed()]
        )
    width, height = image.size
    sides = {} if name == "longcat" else {"width": width, "height": height}
    if name == "flux-fill":
        sides["mask_image"] = Image.fromarray((region.mask * 255).astype("uint8"))
    elif name == "kontext":
        sides |= {"max_area": width * height, "guidance_scale": 2.5}
    elif name.startswith("qwen"):
        sides["negative_prompt"] = " "
    plain = build(name)(image=image, prompt=PROMPT, num_inference_steps=STEPS, generator=seed(), **sides)
    assert same(ours.image, plain.images[0])


def test_the_adapter_speaks_and_the_outside_keeps_its_bits(name: str) -> None:
    edit, frozen = editor(name), editor(name, awake=False)
    image = picture((150, 70))
    region = Region.from_box((20, 10, 60, 50), image.size)
    options: dict[str, Any] = {"region": region, "seed": 1, "num_inference_steps": STEPS}
    exact = edit(image, PROMPT, **options).images[0]
    outside = np.ones((70, 150), bool)
    outside[10 - 7 : 50 + 7, 20 - 7 : 60 + 7] = False  # the feather's width
    assert exact.size == image.size
    assert (np.asarray(exact)[outside] == np.asarray(image)[outside]).all()
    assert not same(exact, frozen(image, PROMPT, **options).images[0])
    assert same(exact, edit(image, PROMPT, **options).images[0])


@pytest.mark.feature("preserve: exact, latent, soft")
def test_latent_preservation_ends_on_the_source(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    edit = editor(name)
    image, region = at_work(edit)
    seen: list[Tensor] = []
    decode = edit.backbone.pipe.vae.decode  # type: ignore[attr-defined]
    monkeypatch.setattr(
        edit.backbone.pipe.vae,  # type: ignore[attr-defined]
        "decode",
        lambda latents, **kwargs: seen.append(latents) or decode(latents, **kwargs),
    )
    for follow in (True, False):
        with edit.adapter.region(region), torch.no_grad():
            edit.backbone.edit(
                [image],
                [PROMPT],
                [region],
                follow_source=follow,
                num_inference_steps=STEPS,
                generators=[seed()],
            )
        source, edited = (latents.reshape(*latents.shape[:2], *latents.shape[-2:]) for latents in seen[-2:])
        half = source.shape[-1] // 2 + 1
        away = (source - edited)[..., half:].abs().max()
        assert away < 1e-4 if follow else away > 0.05
        assert not torch.allclose(source[..., : half - 1], edited[..., : half - 1], atol=0.05)


@pytest.mark.feature("region found from its states")
def test_the_region_is_found_in_the_pipelines_own_states(name: str) -> None:
    edit = editor(name)
    region = edit.predict_region(picture(), PROMPT)
    assert region.size == (120, 90)
    states = edit.backbone.features([at_work(edit)[0]], [PROMPT])
    again = edit.backbone.features([at_work(edit)[0]], [PROMPT])
    other = edit.backbone.features([at_work(edit)[0]], ["remove the pear"])
    assert torch.equal(states.hidden_states, again.hidden_states)
    words = slice(states.num_image_tokens, None)
    assert states.hidden_states.shape[1] != other.hidden_states.shape[1] or not torch.equal(
        states.hidden_states[:, words], other.hidden_states[:, words]
    )
    inverse = Image.eval(at_work(edit)[0], lambda value: 255 - value)
    inverted = edit.backbone.features([inverse], [PROMPT])
    seen = slice(0, states.num_image_tokens)
    assert not torch.equal(states.hidden_states[:, seen], inverted.hidden_states[:, seen])


@pytest.mark.feature("save and load")
def test_a_saved_editor_loads_as_the_same_editor(name: str, tmp_path: Path) -> None:
    edit = editor(name)
    edit.backbone.pipe.save_pretrained(tmp_path / "editor")  # type: ignore[attr-defined]
    edit.adapter.save_pretrained(tmp_path / "adapter")
    loaded = AdaptEditPipeline.from_pretrained(
        tmp_path / "editor", tmp_path / "adapter", torch_dtype=torch.float32
    )
    options: dict[str, Any] = {"seed": 1, "num_inference_steps": STEPS, "preserve": "soft"}
    before, after = (
        np.asarray(one(picture(), PROMPT, **options).images[0]).astype(int) for one in (edit, loaded)
    )
    assert abs(after - before).max() <= 1  # a file's weights lie at other addresses: CPU kernels round anew
    assert all(
        torch.equal(weight, loaded.backbone.transformer.state_dict()[key])
        for key, weight in edit.backbone.transformer.state_dict().items()
    )


@pytest.mark.feature("guidance, negative prompt")
def test_guidance_has_one_name(name: str) -> None:
    edit = editor(name)
    image, region = at_work(edit)

    def result(**options: Any) -> Image.Image:
        options |= {"num_inference_steps": STEPS, "generators": [seed()]}
        with edit.adapter.region(region), torch.no_grad():
            return edit.backbone.edit([image], [PROMPT], [region], **options)[0].image

    usual = result()
    assert same(usual, result())
    assert not same(usual, result(guidance_scale=9.0))
    if name in ("qwen-edit", "qwen-edit-2511", "longcat"):
        guided = result(negative_prompt="a pear, blue", guidance_scale=9.0)
        assert not same(guided, result(guidance_scale=9.0))
        assert not same(guided, result(guidance_scale=1.0))  # 1 turns it off
    with pytest.raises(AdaptEditError, match="has no option strenth; it has .*guidance_scale"):
        edit(image, PROMPT, region=region, strenth=1)


@pytest.mark.feature("several pictures a prompt")
def test_several_pictures_a_prompt(name: str) -> None:
    edit = editor(name)
    image, region = at_work(edit)
    options: dict[str, Any] = {"region": region, "seed": 1, "num_inference_steps": STEPS, "preserve": "soft"}
    if name not in SEVERAL:
        with pytest.raises(AdaptEditError, match="one picture only"):
            edit(image, PROMPT, references=[picture()], **options)
        pytest.skip("the pipeline takes one picture; more are refused")
    alone = edit(image, PROMPT, **options).images[0]
    together = edit(image, PROMPT, references=[picture((80, 80))], **options).images[0]
    assert together.size == alone.size and not same(together, alone)


@pytest.mark.feature("few-step LoRA")
def test_a_few_step_lora_before_and_after_the_adapter(name: str, tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    teacher = build(name)
    if not hasattr(teacher, "save_lora_weights"):
        pytest.skip("diffusers gives this pipeline no LoRA")
    torch.manual_seed(3)
    teacher.transformer.add_adapter(peft.LoraConfig(r=4, target_modules=["to_q", "to_k"]))
    for key, weight in teacher.transformer.named_parameters():
        if "lora_" in key:
            torch.nn.init.normal_(weight, std=0.2)
    layers = peft.get_peft_model_state_dict(teacher.transformer)
    type(teacher).save_lora_weights(tmp_path, transformer_lora_layers=layers)

    options: dict[str, Any] = {"seed": 1, "num_inference_steps": 4, "preserve": "soft"}
    after = editor(name)
    without = after(picture(), PROMPT, **options).images[0]
    after.backbone.pipe.load_lora_weights(tmp_path)  # type: ignore[attr-defined]
    pipe = build(name)
    pipe.load_lora_weights(tmp_path)
    before = AdaptEditPipeline(pipe, adapter_for(pipe))
    with_lora = before(picture(), PROMPT, **options).images[0]
    assert same(with_lora, after(picture(), PROMPT, **options).images[0])
    assert not same(with_lora, without)


OFFLOADS: dict[str, Any] = {
    "pipeline: model offload": lambda pipe: pipe.enable_model_cpu_offload(device="cpu"),
    "pipeline: sequential offload": lambda pipe: pipe.enable_sequential_cpu_offload(device="cpu"),
    "pipeline: group offload": lambda pipe: pipe.enable_group_offload(
        torch.device("cpu"), offload_type="leaf_level"
    ),
}


@pytest.mark.parametrize("feature", OFFLOADS)
def test_offloading_a_pipeline(name: str, feature: str) -> None:
    pytest.importorskip("accelerate")
    plain = build(name)
    image = picture(editor(name).backbone.working_size((120, 90)))
    mask = {"mask_image": image.convert("L")} if name == "flux-fill" else {}
    OFFLOADS[feature](plain)
    try:
        plain(image=image, prompt=PROMPT, num_inference_steps=1, **mask)
    except Exception as error:
        pytest.skip(f"fails without an adapter too: {error}".splitlines()[0])
    options: dict[str, Any] = {"seed": 1, "num_inference_steps": STEPS, "preserve": "soft"}
    expected = np.asarray(editor(name)(picture(), PROMPT, **options).images[0]).astype(int)
    edit = editor(name)
    OFFLOADS[feature](edit.backbone.pipe)  # type: ignore[attr-defined]
    for _ in range(2):  # the hooks go and come back at each call's end
        result = np.asarray(edit(picture(), PROMPT, **options).images[0]).astype(int)
        assert abs(result - expected).max() <= 1


def test_steps_are_reported(name: str) -> None:
    edit, seen = editor(name), []
    image, region = at_work(edit)
    edit(image, PROMPT, region=region, num_inference_steps=3, on_step=lambda *step: seen.append(step))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_half_precision_is_refused_and_bfloat16_works(name: str) -> None:
    pipe = build(name).to(torch.bfloat16)
    out = AdaptEditPipeline(pipe, adapter_for(pipe).bfloat16())(picture(), PROMPT, num_inference_steps=1)
    assert out.images[0].size == (120, 90)
    with pytest.raises(AdaptEditError, match="overflow in float16; use torch_dtype=torch.bfloat16"):
        DiffusersBackbone(build(name).to(torch.float16))
