"""tiny's own DiT and BERT give the bits of diffusers' and transformers' classes with the same weights."""

from __future__ import annotations

from dataclasses import asdict

import pytest
import torch
from diffusers import QwenImageTransformer2DModel as DiffusersDiT
from torch import Tensor
from transformers import AutoTokenizer, BertModel

from adaptedit.tiny import backbone as tiny
from adaptedit.tiny.dit import DiTConfig, QwenImageTransformer2DModel
from adaptedit.tiny.text import MAX_TOKENS, TextEncoder, _package_folder

_SMALL = DiTConfig(
    patch_size=2,
    in_channels=12,
    out_channels=5,
    num_layers=2,
    attention_head_dim=16,
    num_attention_heads=2,
    joint_attention_dim=24,
    axes_dims_rope=(4, 6, 6),
)


def _random(config: DiTConfig) -> QwenImageTransformer2DModel:
    """Every parameter random: none is one or zero, as norms and biases are at first."""
    torch.manual_seed(0)
    model = QwenImageTransformer2DModel(config).eval().requires_grad_(False)
    for parameter in model.parameters():
        parameter.copy_(torch.randn(parameter.shape) / max(1, parameter.shape[-1]) ** 0.5)
    return model


def _shipped() -> QwenImageTransformer2DModel:
    return tiny.load().transformer


def _outputs(
    ours: QwenImageTransformer2DModel, dtype: torch.dtype, grids: list[tuple[int, int]], padding: int
) -> tuple[Tensor, Tensor]:
    """Ours and diffusers' for two samples of a source and a target, of which one has padded text."""
    theirs = DiffusersDiT(**asdict(ours.config)).eval()
    theirs.load_state_dict(ours.state_dict())
    generator = torch.Generator().manual_seed(1)
    tokens, length = sum(h * w for h, w in grids), 11

    def numbers(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator).to(dtype)

    mask = torch.ones(2, length, dtype=torch.bool)
    mask[0, length - padding :] = False
    arguments = {
        "hidden_states": numbers(2, tokens, ours.config.in_channels),
        "encoder_hidden_states": numbers(2, length, ours.config.joint_attention_dim),
        "encoder_hidden_states_mask": mask if padding else None,
        "timestep": torch.rand(2, generator=generator).to(dtype),
        "img_shapes": [[(1, *grid) for grid in grids]] * 2,
    }
    with torch.no_grad():
        return ours.to(dtype)(**arguments)[0], theirs.to(dtype)(**arguments, return_dict=False)[0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("padding", [0, 4])
@pytest.mark.parametrize("grids", [[(4, 4), (4, 4)], [(3, 5), (6, 2), (1, 1)]], ids=["two", "three"])
def test_dit_is_diffusers(dtype: torch.dtype, padding: int, grids: list[tuple[int, int]]) -> None:
    ours, theirs = _outputs(_random(_SMALL), dtype, grids, padding)
    assert torch.equal(ours, theirs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_dit_is_diffusers_with_the_shipped_weights(dtype: torch.dtype) -> None:
    ours, theirs = _outputs(_shipped(), dtype, [(8, 8), (8, 8)], padding=4)
    assert torch.equal(ours, theirs)


@pytest.mark.parametrize(
    "sentences",
    [
        ["remove the apple"],
        ["remove the apple", "make the mug on the left of the lamp blue, please", ""],
        ["a word " * MAX_TOKENS, "Éclair 日本語 [MASK]"],
    ],
    ids=["one", "padded", "cut"],
)
def test_bert_is_transformers(sentences: list[str]) -> None:
    folder = _package_folder()
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    theirs = BertModel.from_pretrained(folder, local_files_only=True, add_pooling_layer=False).eval()
    tokens = tokenizer(sentences, padding=True, truncation=True, max_length=MAX_TOKENS, return_tensors="pt")
    with torch.no_grad():
        expected = theirs(**tokens).last_hidden_state
    states, mask = TextEncoder()(sentences)
    assert torch.equal(mask, tokens["attention_mask"].bool())
    assert torch.equal(states, expected)
