"""The ComfyUI nodes that cut out a crop and put it back."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from adaptedit.errors import AdaptEditError
from test_comfyui import NODES, image, mask


def crop(picture: Tensor, where: Tensor, context: float = 1.5, feather: float = 2.0) -> Any:
    return NODES["AdaptEditCrop"]().crop(picture, where, context, feather)


def stitch(source: Tensor, edited: Tensor, where: Tensor, box: Any = None, feather: float = 2.0) -> Tensor:
    return NODES["AdaptEditStitch"]().stitch(source, edited, where, feather, box)[0]


def test_a_crop_holds_the_region_and_an_unchanged_one_stitches_to_the_source() -> None:
    source, where = image(2, (400, 300)), mask((400, 300), (250, 180, 350, 250))
    cut, its_mask, box = crop(source, where)
    left, top, right, bottom = box
    assert left < 250 and top < 180 and right > 350 and bottom > 250
    assert torch.equal(cut, source[:, top:bottom, left:right])
    assert its_mask.shape == cut.shape[:3] and its_mask.sum() == 2 * where.sum()
    assert torch.equal(stitch(source, cut, where, box), source)


@pytest.mark.parametrize("scale", [1, 2])
def test_a_stitched_edit_is_there_and_nothing_else_is(scale: int) -> None:
    source, where = image(1, (400, 300)), mask((400, 300), (250, 180, 350, 250))
    source = source * 0.1 + 0.5
    cut, its_mask, box = crop(source, where)
    painted = torch.where(its_mask[..., None] > 0, torch.tensor([0.9, 0.1, 0.1]), cut)
    small = torch.nn.functional.avg_pool2d(painted.movedim(-1, 1), scale).movedim(1, -1)

    result = stitch(source, small + 0.05, where, box)  # a model's own change of tone

    inside = result[0, 190:240, 260:340]
    assert (inside - torch.tensor([0.9, 0.1, 0.1])).abs().max() < 0.02
    outside = torch.nn.functional.max_pool2d(where, 15, 1, 7)[0] == 0
    assert torch.equal(result[:, outside], source[:, outside])


@pytest.mark.parametrize(
    ("edited", "where", "box", "feather", "message"),
    [
        (image(1, (300, 400)), mask((400, 300)), None, 2.0, "other proportions"),
        (image(2, (400, 300)), mask((400, 300)), None, 2.0, "2 edited pictures for 1 sources"),
        (image(1, (400, 300)), mask((200, 150)), None, 2.0, "region is 200x150 pixels and the picture 400x"),
        (image(1, (400, 300)), torch.zeros(1, 300, 400), None, 2.0, "the region is empty"),
        (image(1, (40, 40)), mask((400, 300)), (25, 15, 65, 55), 9.0, "reaches beyond the crop"),
    ],
)
def test_what_cannot_be_stitched_is_refused(
    edited: Tensor, where: Tensor, box: Any, feather: float, message: str
) -> None:
    with pytest.raises(AdaptEditError, match=message):
        stitch(image(1, (400, 300)), edited, where, box, feather)
