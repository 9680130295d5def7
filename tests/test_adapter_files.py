"""An adapter on disk, and its presets."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from adaptedit.adapter.config import AdapterConfig
from adaptedit.adapter.model import AdaptEditAdapter
from adaptedit.errors import AdaptEditError
from random_dit import (
    attached,
    backbone,
    boxes,
    make_adapter,
    make_backbone,
    run,
    wake,
)

__all__ = ["attached", "backbone"]


@pytest.mark.parametrize("dtype", [None, torch.bfloat16])
def test_save_and_load(backbone: Any, tmp_path: Any, dtype: torch.dtype | None) -> None:
    adapter = make_adapter(backbone, awake=True)
    adapter.save_pretrained(tmp_path / "a", dtype=dtype)
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
    ]
    loaded = AdaptEditAdapter.from_pretrained(tmp_path / "a")
    assert loaded.config == adapter.config
    weights = adapter.state_dict()
    for name, weight in loaded.state_dict().items():
        assert torch.equal(weight, weights[name].to(dtype or weight.dtype))
    assert all(p.requires_grad and not p.is_meta for p in loaded.parameters())
    loaded.attach(backbone)
    with loaded.region(boxes()):
        assert torch.isfinite(run(backbone)).all()


def test_a_damaged_file_is_refused(backbone: Any, tmp_path: Any) -> None:
    from safetensors.torch import load_file, save_file

    with pytest.raises(AdaptEditError, match="config.json is missing"):
        AdaptEditAdapter.from_pretrained(tmp_path)
    make_adapter(backbone).save_pretrained(tmp_path)
    weights, config = tmp_path / "model.safetensors", tmp_path / "config.json"
    tensors, text = load_file(weights), config.read_text()
    for name, change, message in (
        ("missing", lambda t: t.pop("condition.queries"), "lacks condition.queries"),
        ("unknown", lambda t: t.update(extra=torch.zeros(1)), "unknown extra"),
        ("shape", lambda t: t.update({"condition.queries": torch.zeros(1)}), "condition.queries has shape"),
    ):
        changed = dict(tensors)
        change(changed)
        save_file(changed, weights)
        with pytest.raises(AdaptEditError, match=message):
            AdaptEditAdapter.from_pretrained(tmp_path)
            pytest.fail(name)
    weights.write_bytes(b"no safetensors")
    with pytest.raises(AdaptEditError, match="damaged"):
        AdaptEditAdapter.from_pretrained(tmp_path)
    save_file(tensors, weights)
    for bad, message in (
        (text[:-5], "damaged"),
        (text.replace('"format": 1', '"format": 2'), "format 1"),
        (text.replace('"rank"', '"rang"'), "lacks rank"),
        (text.replace('"rank": 32', '"rank": 33'), "multiple"),
    ):
        config.write_text(bad)
        with pytest.raises(AdaptEditError, match=message):
            AdaptEditAdapter.from_pretrained(tmp_path)
    config.write_text(text)
    AdaptEditAdapter.from_pretrained(tmp_path)


def count(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_presets_at_the_size_of_qwen_image_edit() -> None:
    def parts(name: str) -> tuple[int, int, int]:
        config = AdapterConfig.preset(
            name, backbone="Q", backbone_name="q", dim=3072, text_dim=3584, num_blocks=60
        )
        with torch.device("meta"):
            adapter = AdaptEditAdapter(config)
        return count(adapter.blocks), count(adapter.condition), count(adapter.mask_predictor)

    blocks, condition, predictor = parts("paper")
    assert blocks == pytest.approx(4.674e9, rel=0.02)
    assert condition == pytest.approx(351e6, rel=0.02)
    assert 7.4e6 <= predictor <= 7.9e6
    assert sum(parts("base")[:2]) <= 0.01 * 20.43e9
    assert sum(parts("small")[:2]) <= 0.003 * 20.43e9
    with pytest.raises(AdaptEditError, match="paper, base, small"):
        parts("large")


@pytest.mark.parametrize("preset", ["paper", "base", "small"])
def test_every_preset_is_zero_at_first_and_works(backbone: Any, preset: str) -> None:
    frozen = run(backbone)
    adapter = AdaptEditAdapter.for_backbone(backbone, preset, backbone_name="random").attach(backbone)
    with adapter.region(boxes()):
        assert torch.equal(run(backbone), frozen)
        wake(adapter)
        assert not torch.equal(run(backbone), frozen)
    zero = [name for name, p in adapter.blocks.named_parameters() if name.endswith("weight") and not p.any()]
    assert zero == []


# -- the model card and the hub


def test_a_saved_adapter_has_a_card_that_a_user_may_change(tmp_path: Path) -> None:
    adapter = make_adapter(make_backbone())
    adapter.save_pretrained(tmp_path)
    card = (tmp_path / "README.md").read_text()
    assert (
        f"base_model: {adapter.config.backbone_name}\n" in card and "base_model_relation: adapter\n" in card
    )
    (tmp_path / "README.md").write_text("mine")
    adapter.save_pretrained(tmp_path)
    assert (tmp_path / "README.md").read_text() == "mine"


@pytest.mark.parametrize("card", [True, False])
def test_an_adapter_goes_to_the_hub_and_comes_back(
    card: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Any] = []

    class Hub:
        def __init__(self, token: str | None) -> None:
            calls.append(token)

        def create_repo(self, *names: str, **options: Any) -> str:
            calls.append((names, options))
            return "https://hub/me/mine"

        def file_exists(self, repo_id: str, name: str) -> bool:
            return card

        def upload_folder(self, *, folder_path: str, ignore_patterns: list[str], **options: Any) -> None:
            shutil.copytree(folder_path, tmp_path / "hub", ignore=shutil.ignore_patterns(*ignore_patterns))

    monkeypatch.setattr("huggingface_hub.HfApi", Hub)
    adapter = make_adapter(make_backbone())
    assert adapter.push_to_hub("me/mine", private=True, token="secret") == "https://hub/me/mine"
    assert calls == ["secret", (("me/mine",), {"private": True, "exist_ok": True})]
    names = {"config.json", "model.safetensors"} | (set() if card else {"README.md"})
    assert {path.name for path in (tmp_path / "hub").iterdir()} == names
    again = AdaptEditAdapter.from_pretrained(tmp_path / "hub").state_dict()
    assert all(torch.equal(again[name], weight) for name, weight in adapter.state_dict().items())
