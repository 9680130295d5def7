"""LoRA weights through `LoadOptions`: weights, several, those that save steps, and the wrong ones."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from adaptedit.backbones.diffusers.backbone import DiffusersBackbone
from adaptedit.editing.lora import few_steps, parse
from adaptedit.editing.options import LoadOptions
from adaptedit.editing.pipeline import AdaptEditPipeline
from adaptedit.errors import AdaptEditError
from adaptedit.region import Region
from test_diffusers_pipelines import save_with_fresh_adapter, small

__all__ = ["small"]

peft = pytest.importorskip("peft")
LIGHTNING = "Qwen-Image-Edit-2511-Lightning-4steps-V1.0-bf16.safetensors"


def save_lora(pipe: Any, folder: Path, file: str) -> Path:
    torch.manual_seed(3)
    config = peft.LoraConfig(r=2, target_modules=["to_q", "to_v"], init_lora_weights="gaussian")
    pipe.transformer.add_adapter(config)
    for name, weight in pipe.transformer.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight)
    layers = peft.get_peft_model_state_dict(pipe.transformer)
    type(pipe).save_lora_weights(folder, transformer_lora_layers=layers, weight_name=file)
    return folder / file


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("editors")
    for name in ("kontext", "qwen-edit-2511", "flux2"):
        pipe = save_with_fresh_adapter(root, name)
        save_lora(pipe, root, LIGHTNING if name == "qwen-edit-2511" else f"{name}.safetensors")
    return root


def loaded(folders: Path, name: str, *loras: str, **options: Any) -> AdaptEditPipeline:
    where = LoadOptions(backbone=str(folders / name), device="cpu", dtype="float32", loras=loras, **options)
    return AdaptEditPipeline.load(where)


def edited(pipe: AdaptEditPipeline, **options: Any) -> np.ndarray[Any, Any]:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (80, 120, 3), dtype=np.uint8))
    region = Region.from_box((20, 20, 90, 60), picture.size)
    return np.asarray(pipe(picture, "make it red", region, seed=1, **{"steps": 2} | options).images[0])


@pytest.mark.parametrize("name", ["kontext", "flux2"])
def test_a_lora_acts_by_its_weight_and_a_fresh_adapter_changes_no_bit_of_it(folders: Path, name: str) -> None:
    file = str(folders / f"{name}.safetensors")
    bare, whole = edited(loaded(folders, name)), edited(loaded(folders, name, file))
    assert not np.array_equal(bare, whole)
    assert np.array_equal(bare, edited(loaded(folders, name, f"{file}=0")))
    assert np.array_equal(whole, edited(loaded(folders, name, file, adapter=str(folders / f"{name}-fresh"))))
    halves = edited(loaded(folders, name, f"{file}=0.5", f"{file}=0.5"))
    assert np.abs(halves.astype(int) - whole).max() <= 1  # sums in another order
    assert not np.array_equal(bare, edited(loaded(folders, name, file, quantize="fp8")))


def test_several_loras_load_without_a_warning(folders: Path, recwarn: pytest.WarningsRecorder) -> None:
    file = str(folders / "kontext.safetensors")
    loaded(folders, "kontext", file, file)
    assert not [one for one in recwarn if "peft" in f"{one.message}{one.filename}"]


def test_a_lightning_lora_brings_its_settings_and_the_users_own_win(folders: Path) -> None:
    pipe = loaded(folders, "qwen-edit-2511", str(folders / LIGHTNING))
    assert isinstance(pipe.backbone, DiffusersBackbone)
    config = pipe.backbone.pipe.scheduler.config
    assert config.base_shift == config.max_shift == pytest.approx(1.0986, abs=1e-4)
    assert config.shift_terminal is None
    steps: list[tuple[int, int]] = []
    plain = edited(pipe, steps=None, on_step=lambda *step: steps.append(step))
    assert steps[-1] == (4, 4)
    steps.clear()
    guided = edited(pipe, steps=3, guidance=4.0, on_step=lambda *step: steps.append(step))
    assert steps[-1] == (3, 3)
    assert not np.array_equal(guided, edited(pipe, steps=3))
    assert np.array_equal(plain, edited(pipe, steps=4, guidance=1.0))


@pytest.mark.parametrize(
    ("name", "steps", "weight"),
    [
        (LIGHTNING, 4, 1.0),
        ("lightx2v/Qwen-Image-Lightning/Qwen-Image-Edit-Lightning-8steps-V1.0.safetensors", 8, 1.0),
        ("alimama-creative/FLUX.1-Turbo-Alpha", 8, 1.0),
        ("ByteDance/Hyper-SD/Hyper-FLUX.1-dev-16steps-lora.safetensors", 16, 0.125),
    ],
)
def test_names_of_loras_that_save_steps(name: str, steps: int, weight: float) -> None:
    found = few_steps(name)
    assert found is not None and (found[1], found[0].weight) == (steps, weight)


def test_a_lora_that_saves_no_steps_changes_no_setting() -> None:
    assert few_steps("me/kontext-watercolour") is None and few_steps("styles/turbo.safetensors") is None


def test_names_and_weights(tmp_path: Path) -> None:
    assert parse("a.safetensors=0.8") == ("a.safetensors", 0.8)
    assert parse("owner/name") == ("owner/name", None)
    odd = tmp_path / "a=b.safetensors"
    odd.touch()
    assert parse(str(odd)) == (str(odd), None)
    for wrong in ("a.safetensors=much", "a.safetensors=nan", "=1"):
        with pytest.raises(AdaptEditError, match="the weight after the last = must be a number"):
            parse(wrong)


def test_what_is_no_lora_for_this_editor_is_refused_in_one_line(
    folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"nothing")
    for name, lora, message in (
        ("kontext", str(folders / LIGHTNING), "is no LoRA for FluxTransformer2DModel: "),
        (
            "qwen-edit-2511",
            str(folders / "kontext.safetensors"),
            "is no LoRA for QwenImageTransformer2DModel: ",
        ),
        ("kontext", str(broken), "broken.safetensors"),
        ("kontext", "nowhere.safetensors", "there is no LoRA nowhere.safetensors; give"),
        ("kontext", str(tmp_path), "cannot be loaded|is no LoRA"),
        (
            "kontext",
            str(folders),
            r"holds several .safetensors files \(.*kontext.safetensors.*\); give --lora",
        ),
        ("kontext", str(folders / "kontext"), "kontext holds no .safetensors file"),
        ("kontext", str(folders / "kontext" / "transformer"), "it holds no LoRA weights of a DiT"),
    ):
        with pytest.raises(AdaptEditError, match=message) as caught:
            loaded(folders, name, lora)
        assert "\n" not in str(caught.value)
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(AdaptEditError, match=r"a LoRA needs peft .*pip install 'adaptedit\[gpu\]'"):
        loaded(folders, "kontext", str(folders / "kontext.safetensors"))
