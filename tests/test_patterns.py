"""The forward-pattern table: what it reads from a call, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from adaptedit.backbones.layouts import Layout
from adaptedit.backbones.patterns import PATTERNS, spec_of
from adaptedit.errors import AdaptEditError

QWEN = PATTERNS["QwenImageTransformer2DModel"]


def test_qwen_target_comes_first() -> None:
    shapes = [[(1, 4, 6), (1, 8, 8), (1, 2, 2)]] * 2
    assert QWEN.layout(None, {"img_shapes": shapes}) == Layout(0, 24, (4, 6), source=slice(24, 88))
    assert QWEN.layout(None, {"img_shapes": [(1, 4, 6)]}) == Layout(start=0, length=24, grid=(4, 6))


def test_qwen_text_mask_is_optional() -> None:
    states = torch.zeros(1, 2, 3)
    assert QWEN.text({"encoder_hidden_states": states}) == (states, None)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (None, "without img_shapes"),
        ([[(1, 4, 6)], [(1, 6, 4)]], "several sizes"),
        ([[(2, 4, 6)]], "2 frames"),
    ],
)
def test_calls_it_cannot_place_a_region_in(shapes: Any, message: str) -> None:
    with pytest.raises(AdaptEditError, match=message):
        QWEN.layout(None, {"img_shapes": shapes})


def test_unknown_class_lists_the_known() -> None:
    with pytest.raises(AdaptEditError, match="Linear .* QwenImageTransformer2DModel"):
        spec_of(torch.nn.Linear(1, 1))
