"""From a name to an editor: what can go wrong on the way is one line."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import diffusers
import pytest
import torch
from huggingface_hub import errors

from adaptedit.editing import load
from adaptedit.editing.pipeline import AdaptEditPipeline
from adaptedit.errors import AdaptEditError
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
    with pytest.raises(AdaptEditError, match="needs an adapter"):
        AdaptEditPipeline.from_pretrained(folder)
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


def test_an_adapter_for_another_backbone_is_refused_before_the_weights_are_read(tmp_path: Path) -> None:
    folder, _ = saved(tmp_path)
    adapter_for(build("qwen-edit")).save_pretrained(tmp_path / "other")
    (folder / "transformer" / "diffusion_pytorch_model.safetensors").unlink()
    message = "made for QwenImageTransformer2DModel 'random', .* has a FluxTransformer2DModel"
    with pytest.raises(AdaptEditError, match=message):
        AdaptEditPipeline.from_pretrained(folder, tmp_path / "other")


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

    monkeypatch.setattr(load.diffusers.DiffusionPipeline, "load_config", refuse)
    with pytest.raises(AdaptEditError, match=message) as caught:
        AdaptEditPipeline.from_pretrained("owner/name", adapter)
    assert "\n" not in str(caught.value)


def test_offline_without_a_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, adapter = saved(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(AdaptEditError, match="owner/name is not on this machine"):
        AdaptEditPipeline.from_pretrained("owner/name", adapter)
