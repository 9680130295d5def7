"""The MaskPredictor: what it may see, where its loss goes, and that it can find a place."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from adaptedit.adapter.condition import CELLS, pool_region, signed_distance
from adaptedit.adapter.config import AdapterConfig
from adaptedit.adapter.mask_predictor import MaskPredictor, token_grid
from adaptedit.adapter.model import AdaptEditAdapter
from adaptedit.backbones.base import PromptStates
from adaptedit.errors import AdaptEditError

TEXT_DIM, PICTURE, WORDS = 32, 16, 6
CONFIG = AdapterConfig.preset(
    "small", backbone="Q", backbone_name="q", dim=64, text_dim=TEXT_DIM, num_blocks=1
)


@pytest.fixture
def predictor() -> MaskPredictor:
    torch.manual_seed(0)
    return MaskPredictor(CONFIG)


def sample(batch: int = 2, size: tuple[int, int] = (128, 128)) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(batch, PICTURE + WORDS, TEXT_DIM, generator=generator)
    mask = torch.ones(batch, PICTURE + WORDS, dtype=torch.bool)
    mask[0, -2:] = False
    return features, mask, torch.rand(batch, 3, *size, generator=generator)


@pytest.mark.parametrize("size", [(128, 128), (64, 64), (200, 120)])
def test_logits_have_the_pictures_size(predictor: MaskPredictor, size: tuple[int, int]) -> None:
    features, mask, guide = sample(size=size)
    logits = predictor(features.bfloat16(), mask, PICTURE, guide)
    assert logits.shape == (2, *size) and logits.dtype == torch.float32
    assert 0.02 < logits.sigmoid().mean() < 0.4, "a small region before any training"


def test_padding_is_never_seen_and_rows_are_independent(predictor: MaskPredictor) -> None:
    features, mask, guide = sample()
    expected = predictor(features, mask, PICTURE, guide)
    torch.testing.assert_close(predictor(features[:1, :-2], None, PICTURE, guide[:1]), expected[:1])
    features[0, -2:] = 100.0
    torch.testing.assert_close(predictor(features, mask, PICTURE, guide), expected)


def test_picture_words_and_guide_all_matter(predictor: MaskPredictor) -> None:
    features, mask, guide = sample()
    expected = predictor(features, mask, PICTURE, guide)
    for place in (0, PICTURE):
        changed = features.clone()
        changed[:, place] += torch.linspace(-2, 2, TEXT_DIM)
        assert (predictor(changed, mask, PICTURE, guide) - expected).abs().max() > 1e-3
    assert (predictor(features, mask, PICTURE, 1 - guide) - expected).abs().max() > 1e-3


def test_its_loss_is_decoupled() -> None:
    torch.manual_seed(0)
    adapter = AdaptEditAdapter(CONFIG)
    features, mask, guide = sample()
    features.requires_grad_()
    states = PromptStates(features, mask, PICTURE)
    adapter.predict_region_logits(states, guide).square().mean().backward()
    assert features.grad is None
    assert [
        n for n, p in adapter.mask_predictor.named_parameters() if p.grad is None or not p.grad.any()
    ] == []
    assert all(p.grad is None for n, p in adapter.named_parameters() if not n.startswith("mask_predictor."))
    probability = adapter.predict_region(states, guide)
    assert not probability.requires_grad and 0 < probability.min() <= probability.max() < 1


def test_it_learns_to_find_the_marked_token(predictor: MaskPredictor) -> None:
    """One picture token of each sample carries a mark: its cell of the 4 x 4 grid is the region."""
    generator = torch.Generator().manual_seed(3)
    mark = torch.randn(TEXT_DIM, generator=generator)

    def batch(size: int) -> tuple[Tensor, Tensor, Tensor]:
        features = torch.randn(size, PICTURE + WORDS, TEXT_DIM, generator=generator)
        where = torch.randint(PICTURE, (size,), generator=generator)
        features[torch.arange(size), where] += 2 * mark
        region = torch.nn.functional.one_hot(where, PICTURE).float().view(size, 1, 4, 4)
        region = torch.nn.functional.interpolate(region, scale_factor=8).squeeze(1)
        return features, region, torch.rand(size, 3, 32, 32, generator=generator)

    optimizer = torch.optim.AdamW(predictor.parameters(), lr=3e-3)
    for _ in range(40):
        features, region, guide = batch(4)
        logits = predictor(features, None, PICTURE, guide)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, region)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    features, region, guide = batch(16)
    found = predictor(features, None, PICTURE, guide) > 0
    iou = (found & region.bool()).sum() / (found | region.bool()).sum()
    assert iou > 0.5


@pytest.mark.parametrize(
    ("tokens", "picture", "grid"),
    [(64, (128, 128), (8, 8)), (12, (300, 400), (3, 4)), (12, (400, 300), (4, 3)), (8, (10, 20), (2, 4))],
)
def test_token_grid_follows_the_picture(tokens: int, picture: tuple[int, int], grid: tuple[int, int]) -> None:
    assert token_grid(tokens, *picture) == grid


@pytest.mark.parametrize("tokens", [0, 13])
def test_tokens_that_are_no_picture_are_refused(predictor: MaskPredictor, tokens: int) -> None:
    features, mask, guide = sample()
    with pytest.raises(AdaptEditError, match=str(tokens)):
        predictor(features, mask, tokens, guide)


def brute_force_distance(inside: Tensor) -> Tensor:
    h, w = inside.shape
    cells = torch.cartesian_prod(torch.arange(h), torch.arange(w)).float()
    distances = torch.cdist(cells, cells)
    flat = inside.flatten()
    outside_of = torch.where(flat, distances[:, ~flat].amin(1), -distances[:, flat].amin(1))
    return outside_of.view(h, w)


def test_signed_distance_is_exact() -> None:
    mask = torch.rand(5, 7, 9, generator=torch.Generator().manual_seed(4)).pow(3)
    expected = torch.stack([brute_force_distance(one >= 0.5) for one in mask])
    torch.testing.assert_close(signed_distance(mask), expected)
    diagonal = (7**2 + 9**2) ** 0.5
    assert torch.all(signed_distance(torch.zeros(1, 7, 9)) == -diagonal)
    assert torch.all(signed_distance(torch.ones(1, 7, 9)) == diagonal)


@pytest.mark.parametrize("size", [(8, 8), (20, 13), (4, 4)])
def test_pooling_is_by_area(size: tuple[int, int]) -> None:
    mask: Any = torch.rand(1, *size, generator=torch.Generator().manual_seed(5))
    cells = pool_region(mask, (1, 1), batch=3)
    assert cells.shape == (3, CELLS, CELLS) and 0 <= cells.min() <= cells.max() <= 1
    if size == (8, 8):
        assert cells[0, 0, 0] == pytest.approx(mask[0, :2, :2].mean().item())
