"""From a name to an editor: what can go wrong on the way is one line."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import diffusers
import pytest
import torch
from huggingface_hub import errors
from safetensors.torch import save_file

from adaptedit.adapter.model import AdaptEditAdapter
from adaptedit.editing.options import LoadOptions
from adaptedit.editing.pipeline import AdaptEditPipeline
from adaptedit.errors import AdaptEditError, AdaptEditWarning
from test_diffusers_pipelines import adapter_for, small
from tiny_pipelines import build

__all__ = ["small"]

PROMPT = "make the apple red"


def saved(tmp_path: Path) -> tuple[Path, Path]:
    pipe = build("kontext")
    pipe.save_pretrained(tmp_path / "editor")
    adapter_for(pipe).save_pretrained(tmp_path / "adapter")
    return tmp_path / "editor", tmp_path / "adapter"


def test_what_cannot_be_loaded_is_refused_in_one_line(tmp_path: Path) -> None:
    folder, adapter = saved(tmp_path)
    with pytest.raises(AdaptEditError, match="overflow in float16"):
        AdaptEditPipeline.from_pretrained(folder, adapter, torch_dtype=torch.float16)
    index = folder / "model_index.json"
    text = index.read_text()
    for wrong, message in (
        ("FluxPipeline", "FluxPipeline is not a pipeline that edits; those that do: .*FluxKontextPipeline"),
        ("Flux9EditPipeline", f"needs Flux9EditPipeline, which diffusers {diffusers.__version__} .* upgrade"),
    ):
        index.write_text(text.replace("FluxKontextPipeline", wrong))
        with pytest.raises(AdaptEditError, match=message):
            AdaptEditPipeline.from_pretrained(folder, adapter)
    index.unlink()
    with pytest.raises(AdaptEditError, match="no diffusers pipeline"):
        AdaptEditPipeline.from_pretrained(folder, adapter)


def test_a_damaged_folder_is_said_in_one_line(tmp_path: Path) -> None:
    folder, _ = saved(tmp_path)
    index = (folder / "model_index.json").read_text()
    other = index.replace("FluxTransformer2DModel", "QwenImageTransformer2DModel")
    weights = "diffusion_pytorch_model.safetensors"
    for number, (damaged, content, message) in enumerate(
        (
            ("model_index.json", "{", r"model_index.json is damaged \(it is no JSON\)"),
            ("model_index.json", "[]", r"is damaged \(it is no object\)"),
            ("model_index.json", other, "lacks weights of its QwenImageTransformer2DModel"),
            ("transformer/config.json", "no", r"transformer/config.json is damaged \(it is no JSON\)"),
            ("transformer/" + weights, None, f"{weights} of transformer is missing"),
            ("text_encoder_2/model.safetensors", None, "model.safetensors of text_encoder_2 is missing"),
            ("tokenizer_2", None, "lacks files of a tokenizer"),
        )
    ):
        copy = tmp_path / str(number)
        shutil.copytree(folder, copy)
        if content is not None:
            (copy / damaged).write_text(content)
        elif (copy / damaged).is_dir():
            shutil.rmtree(copy / damaged)
        else:
            (copy / damaged).unlink()
        with pytest.raises(AdaptEditError, match=message) as caught:
            AdaptEditPipeline.load(LoadOptions(backbone=str(copy), device="cpu"))
        assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_an_argument_that_nobody_knows_is_an_error(tmp_path: Path) -> None:
    folder, _ = saved(tmp_path)
    for name, given, message in (
        (folder, {"foo": 1}, "editor is not loaded with foo; leave it out$"),
        (
            folder,
            {"quantize": "nf4"},
            r"quantize; .*AdaptEditPipeline.load\(LoadOptions\(quantize='nf4', ...\)",
        ),
        (folder, {"revision": "x"}, "has no revision 'x'"),
        ("tiny", {"variant": "x"}, "tiny is not loaded with variant; leave it out$"),
        ("tiny", {"quantize": "nf4"}, "tiny is not loaded with quantize; leave it out$"),
        ("tiny", {"dtype": torch.bfloat16}, "tiny works in float32, not in torch.bfloat16"),
    ):
        with pytest.raises(AdaptEditError, match=message):
            AdaptEditPipeline.from_pretrained(name, **given)
    for options in (LoadOptions(), LoadOptions(backbone=str(folder), device="cpu")):
        with pytest.raises(AdaptEditError, match="is not loaded with foo"):
            AdaptEditPipeline.load(options, foo=1)
    AdaptEditPipeline.from_pretrained("tiny", dtype=torch.float32, local_files_only=True)
    AdaptEditPipeline.from_pretrained(folder, image_encoder=None)


def test_a_cast_to_a_dtype_that_does_not_work_is_refused() -> None:
    tiny = AdaptEditPipeline.from_pretrained("tiny")
    with pytest.raises(AdaptEditError, match="tiny works in float32"):
        tiny.to(torch.bfloat16)
    assert tiny.to(torch.float32) is tiny
    kontext = AdaptEditPipeline(build("kontext"))
    with pytest.raises(AdaptEditError, match="overflow in float16"):
        kontext.to(torch.float16)
    assert _dit(kontext.to(torch.bfloat16)).dtype == torch.bfloat16


def test_an_adapter_for_another_backbone_is_refused_before_the_weights_are_read(tmp_path: Path) -> None:
    folder, _ = saved(tmp_path)
    adapter_for(build("qwen-edit")).save_pretrained(tmp_path / "other")
    (folder / "transformer" / "diffusion_pytorch_model.safetensors").unlink()
    message = "made for QwenImageTransformer2DModel 'random', .* has a FluxTransformer2DModel"
    with pytest.raises(AdaptEditError, match=message):
        AdaptEditPipeline.from_pretrained(folder, tmp_path / "other")


@pytest.mark.filterwarnings("error::FutureWarning")
def test_diffusers_own_arguments_pass_through(tmp_path: Path) -> None:
    folder, adapter = saved(tmp_path)
    for given in ({"dtype": torch.float32}, {"torch_dtype": torch.float32}):
        pipe = AdaptEditPipeline.from_pretrained(folder, **given, device_map="cpu", local_files_only=True)
        assert pipe.adapter is None and _dit(pipe).dtype == torch.float32
    ours = AdaptEditAdapter.from_pretrained(tmp_path, subfolder="adapter")
    below = AdaptEditPipeline.from_pretrained(tmp_path, ours.bfloat16(), subfolder="editor")
    assert below.adapter is ours and ours.attached and _dit(below).dtype == torch.bfloat16
    (weights,) = (folder / "transformer").glob("*.safetensors")
    weights.rename(weights.with_suffix(".bf16.safetensors"))
    AdaptEditPipeline.from_pretrained(folder, adapter, variant="bf16")
    with pytest.raises(AdaptEditError, match="diffusion_pytorch_model.safetensors of transformer is missing"):
        AdaptEditPipeline.from_pretrained(folder, adapter)


def test_weights_that_were_saved_in_4_bits_ask_for_a_gpu_in_one_line(tmp_path: Path) -> None:
    folder, _ = saved(tmp_path)
    config = folder / "transformer" / "config.json"
    four_bits = diffusers.BitsAndBytesConfig(load_in_4bit=True).to_dict()
    config.write_text(json.dumps(json.loads(config.read_text()) | {"quantization_config": four_bits}))
    with pytest.raises(AdaptEditError, match="cannot be loaded: No GPU found") as caught:
        AdaptEditPipeline.load(LoadOptions(backbone=str(folder), device="cpu"))
    assert "\n" not in str(caught.value)


def _dit(pipe: AdaptEditPipeline) -> Any:
    return pipe.backbone.transformer


def test_a_dit_from_one_file_takes_the_place_of_the_pipelines_own(tmp_path: Path) -> None:
    folder, _ = saved(tmp_path)
    own = {name: one.contiguous() for name, one in build("kontext").transformer.state_dict().items()}
    trained = tmp_path / "trained.safetensors"
    save_file({name: one + 1 for name, one in own.items()}, trained)

    def load_file(file: Path, base: Path = folder) -> AdaptEditPipeline:
        options = LoadOptions(backbone=str(base), transformer=str(file), device="cpu", dtype="float32")
        return AdaptEditPipeline.load(options)

    found = _dit(load_file(trained)).state_dict()
    assert all(torch.equal(found[name], one + 1) for name, one in own.items())

    foreign, gguf = tmp_path / "foreign.safetensors", tmp_path / "q4.gguf"
    save_file({"a.scale_weight": torch.ones(1)}, foreign)
    gguf.touch()
    build("qwen-edit").save_pretrained(tmp_path / "qwen")
    (others,) = (tmp_path / "qwen" / "transformer").glob("*.safetensors")
    lora, part = tmp_path / "lora.safetensors", tmp_path / "part.safetensors"
    save_file({"transformer.a.lora_A.weight": torch.ones(1)}, lora)
    save_file({name: one for name, one in own.items() if "proj_out" not in name}, part)
    build("longcat").save_pretrained(tmp_path / "longcat")
    for file, base, message in (
        (foreign, folder, "in ComfyUI's scaled fp8, which diffusers does not read; take a bfloat16"),
        (gguf, folder, "q4.gguf"),
        (tmp_path / "none.safetensors", folder, "give a .safetensors or .gguf file"),
        (trained, tmp_path / "qwen", "holds no QwenImageTransformer2DModel of the sizes"),
        (others, folder, "holds no FluxTransformer2DModel of the sizes"),
        (part, folder, "holds no FluxTransformer2DModel of the sizes"),
        (lora, folder, "is a LoRA, no DiT; put it on the editor with --lora"),
        (trained, tmp_path / "longcat", "no single file into LongCat.*convert"),
    ):
        with pytest.raises(AdaptEditError, match=message) as caught:
            load_file(file, base)
        assert "\n" not in str(caught.value)


def test_an_adapter_of_a_fine_tune_or_a_copy_fits_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """README's own example: made for "my-kontext", saved, and used on the pipeline from the hub."""
    pipe = build("kontext")
    adapter = AdaptEditAdapter.for_backbone(pipe, "small", backbone_name="my-kontext")
    adapter.save_pretrained(tmp_path / "mine")
    monkeypatch.setattr(type(pipe), "name_or_path", "black-forest-labs/FLUX.1-Kontext-dev")
    again = AdaptEditAdapter.from_pretrained(tmp_path / "mine")
    with pytest.warns(AdaptEditWarning, match="made for 'my-kontext' and is used on 'black-forest-labs/"):
        AdaptEditPipeline(pipe, again)
    again.detach()
    other = AdaptEditAdapter(replace(adapter.config, dim=96))
    with pytest.raises(AdaptEditError, match="'my-kontext' .*, not for .* 'black-forest-labs/FLUX.1-Kont"):
        other.attach(AdaptEditPipeline(pipe).backbone)


def test_an_adapter_comes_from_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, adapter = saved(tmp_path)
    asked: dict[str, Any] = {}

    def download(name: str, **arguments: Any) -> str:
        asked.update(arguments, name=name)
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    AdaptEditAdapter.from_pretrained("me/mine", revision="v1", subfolder="adapter", token="secret")
    assert asked == {
        "name": "me/mine",
        "allow_patterns": ["adapter/config.json", "adapter/model.safetensors"],
        "revision": "v1",
        "token": "secret",
    }

    def refuse(*_: Any, **__: Any) -> None:
        raise errors.RepositoryNotFoundError("no", response=_response(404))

    monkeypatch.setattr("huggingface_hub.snapshot_download", refuse)
    with pytest.raises(AdaptEditError, match="me/mine is neither a folder nor on the"):
        AdaptEditAdapter.from_pretrained("me/mine")


def _response(status: int) -> Any:
    request = SimpleNamespace(url="https://huggingface.co/x/y")
    return SimpleNamespace(status_code=status, headers={}, request=request)


REFUSALS: list[tuple[Any, str]] = [
    (lambda: errors.GatedRepoError("no", response=_response(403)), "is gated: accept its terms .*token="),
    (lambda: errors.RepositoryNotFoundError("no", response=_response(404)), "neither a folder nor on the"),
    (lambda: errors.RevisionNotFoundError("no", response=_response(404)), "no such revision"),
    (lambda: errors.LocalEntryNotFoundError("no"), "cannot be reached; go online once"),
    (lambda: ImportError("it needs sentencepiece\n and more"), "needs sentencepiece; pip install"),
]


@pytest.mark.parametrize("error, message", REFUSALS)
def test_what_the_hub_refuses_is_said_in_one_line(
    error: Any, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, adapter = saved(tmp_path)

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError("diffusers' own words") from error()

    monkeypatch.setattr(diffusers.DiffusionPipeline, "load_config", refuse)
    with pytest.raises(AdaptEditError, match=message) as caught:
        AdaptEditPipeline.from_pretrained("owner/name", adapter)
    assert "\n" not in str(caught.value)


def test_offline_without_a_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, adapter = saved(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(AdaptEditError, match="owner/name is not on this machine"):
        AdaptEditPipeline.from_pretrained("owner/name", adapter)
