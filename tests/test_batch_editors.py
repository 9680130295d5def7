"""A batch and its editor: another one, other bits, too little memory, no adapter."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from adaptedit.editing.pipeline import AdaptEditPipeline
from adaptedit.editing.placement import Placement
from adaptedit.errors import NotEnoughMemory
from test_batch import batch, edited, fake_editor, folder, jobs

__all__ = ["edited", "fake_editor", "folder"]


def test_another_editor_is_refused(folder: Path, tmp_path: Path) -> None:
    path = jobs(folder, x={"everywhere": True})
    batch(path, tmp_path / "out")
    for options in (("--backbone", "my/other"), ("--adapter", "my/other"), ("--lora", "my/other=0.5")):
        result = batch(path, tmp_path / "out", *options)
        assert result.exit_code == 2 and "my/other" in result.stderr and "another --out" in result.stderr
        assert not set(result.stderr) & set("{}[]"), result.stderr
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "model.safetensors").write_bytes(b"one")
    assert batch(jobs(folder, x={}), tmp_path / "two", "--adapter", adapter).exit_code == 0
    (adapter / "model.safetensors").write_bytes(b"two")  # the same name, trained anew
    assert batch(jobs(folder, x={}), tmp_path / "two", "--adapter", adapter).exit_code == 2
    (adapter / "model.safetensors").write_bytes(b"one")
    spelled = adapter.parent / "." / "adapter/"
    assert batch(jobs(folder, x={}), tmp_path / "two", "--adapter", f"{spelled}/").exit_code == 0
    lora = tmp_path / "style.safetensors"
    lora.write_bytes(b"one")
    assert batch(jobs(folder, x={}), tmp_path / "three", "--lora", lora).exit_code == 0
    lora.write_bytes(b"two")
    assert "holds a batch of loras" in batch(jobs(folder, x={}), tmp_path / "three", "--lora", lora).stderr


def test_pictures_of_other_bits_do_not_mix(
    folder: Path, tmp_path: Path, fake_editor: AdaptEditPipeline, edited: list[str]
) -> None:
    """As where the first run found room for fp8 and the next one only for nf4."""
    out, path = tmp_path / "out", jobs(folder, x={}, y={})
    fake_editor.placement = Placement(torch.device("cpu"), "fp8")
    assert batch(path, out).exit_code == 0
    assert json.loads((out / "manifest.json").read_text())["quantize"] == "fp8"
    (out / "y.png").unlink()
    edited.clear()
    fake_editor.placement = Placement(torch.device("cpu"), "nf4")
    for options in ((), ("--quantize", "nf4")):
        result = batch(path, out, *options)
        assert result.exit_code == 2 and "give --quantize fp8, or give another --out" in result.stderr
    assert edited == [] and not (out / "y.png").exists()
    fake_editor.placement = Placement(torch.device("cpu"), "fp8")
    assert batch(path, out, "--quantize", "fp8").exit_code == 0 and edited == ["y"]


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), NotEnoughMemory("try less")])
def test_too_little_memory_stops_the_batch_and_blames_no_record(
    folder: Path, tmp_path: Path, fake_editor: AdaptEditPipeline, error: Exception
) -> None:
    out, path = tmp_path / "out", jobs(folder, p={}, q={}, r={})
    whole = fake_editor.backbone.edit

    def exhausted(images: Any, prompts: list[str], *rest: Any, **options: Any) -> Any:
        if "q" in prompts:
            raise error
        return whole(images, prompts, *rest, **options)

    fake_editor.backbone.edit = exhausted  # type: ignore[method-assign]
    result = batch(path, out)
    assert result.exit_code == 2 and result.stderr.count("\n") == 1, result.output
    assert result.stderr.startswith("error: q: ")
    assert ("try less" if isinstance(error, NotEnoughMemory) else "not enough memory") in result.stderr
    fake_editor.backbone.edit = whole  # type: ignore[method-assign]
    result = batch(path, out)
    assert result.exit_code == 0 and "3 done, 0 failed" in result.stdout and "2 of 3 this" in result.stdout


def test_what_needs_an_adapter_is_refused_before_an_editor_without_one_is_loaded(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AdaptEditPipeline, "load", None)
    records = {"x": {}, "y": {"everywhere": True, "adapter_scale": 0.5}, "z": {"everywhere": True}}
    result = batch(jobs(folder, **records), tmp_path / "out", "--backbone", "me/editor")
    assert result.exit_code == 2 and not (tmp_path / "out").exists()
    first, second, last = result.stderr.splitlines()
    assert 'line 1: lacks "region", and this editor has no adapter' in first
    assert 'line 2: "adapter_scale" is for an adapter' in second and "2 problems" in last
